"""Pictures show the shares that they are made of."""

import re

import pytest

from nightshift.card.pictures import profile_picture
from nightshift.profile.feature import FeatureProfile
from nightshift.spec import Kind


def heights(values: list[float]) -> list[float]:
    """Return the heights of the bars in the picture of ``values``, from left to right."""
    found = re.findall(
        r'x="([\d.]+)" y="[\d.]+" width="[\d.]+" height="([\d.]+)"',
        profile_picture(FeatureProfile.of(values, Kind.NUMERIC).to_json()),
    )
    return [float(height) for _, height in sorted(found, key=lambda one: float(one[0]))]


@pytest.mark.parametrize(
    ("values", "shares"),
    [
        ([0.0] * 7 + [1.0] * 3, [1.0, 3 / 7]),
        ([5.0] * 4, [1.0]),
        ([1.0, 2.0, 2.0, 9.0, 9.0, 9.0, 9.0], [0.25, 0.5, 1.0]),
    ],
    ids=["a switch", "one value", "a few values"],
)
def test_a_number_of_few_values_has_a_column_for_each_as_high_as_its_rows(
    values: list[float], shares: list[float]
) -> None:
    shown = heights(values)

    assert [height / max(shown) for height in shown] == pytest.approx(shares, abs=0.01)


def test_a_number_of_many_values_is_a_histogram_that_is_highest_where_they_are_densest() -> None:
    shown = heights([float(value) for value in range(100)] + [50.0 + part / 100 for part in range(100)])

    assert 0.3 < shown.index(max(shown)) / len(shown) < 0.8
