"""Another unit is a known factor, not one that is merely near."""

from collections.abc import Callable

import numpy as np
import pytest

from nightshift.profile.feature import FeatureProfile
from nightshift.profile.units import other_unit
from nightshift.spec import Kind

LAWS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    "amounts": lambda chance, rows: np.exp(chance.normal(3, 0.5, rows)),
    "waits": lambda chance, rows: 1 + chance.gamma(3, 10, rows),
}


def told(law: str, times: float) -> int:
    """Return in how many of ten windows, whose numbers are so many times what they were, a unit is seen."""
    chance = np.random.default_rng(6)
    before = FeatureProfile.of(LAWS[law](chance, 10_000), Kind.NUMERIC)
    windows = [FeatureProfile.of(LAWS[law](chance, 1500) * times, Kind.NUMERIC, bins_of=before) for _ in range(10)]
    return sum(other_unit(before, window) is not None for window in windows)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("times", [2.0, 3.0, 0.5])
def test_what_doubled_or_halved_is_in_no_other_unit(law: str, times: float) -> None:
    assert told(law, times) <= 2


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("times", [1.609344, 2.54, 3.28084])
def test_a_known_factor_is_another_unit(law: str, times: float) -> None:
    assert told(law, times) >= 8
