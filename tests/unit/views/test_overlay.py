"""Two distributions on the same bars: nothing is lost, and both sides are shown truly."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from nightshift.profile.feature import FeatureProfile
from nightshift.spec import Kind
from nightshift.views.overlay import Overlay, overlay

NUMBERS = some.lists(
    some.one_of(some.none(), some.floats(-1e6, 1e6), some.integers(-3, 3).map(float)), min_size=1, max_size=200
)
NAMES = some.lists(some.one_of(some.none(), some.text("abcdefgh", max_size=2)), min_size=1, max_size=80)


def laid(before: list[Any], now: list[Any], kind: Kind = Kind.NUMERIC) -> Overlay:
    reference = FeatureProfile.of(before, kind)
    return overlay("x", reference.to_json(), FeatureProfile.of(now, kind, bins_of=reference).to_json())


def check_shares(found: Overlay, before: list[Any], now: list[Any]) -> None:
    for shares, beyond, values in ((found.before, found.beyond[0], before), (found.now, found.beyond[1], now)):
        known = any(value is not None for value in values)
        assert all(share >= 0 for share in shares)
        assert sum(shares) + beyond == pytest.approx(1 if known else 0, abs=1e-6)


@given(before=NUMBERS, now=NUMBERS)
def test_the_bars_of_numbers_and_what_lies_beyond_are_all_there_is(before: list[Any], now: list[Any]) -> None:
    found = laid(before, now)

    check_shares(found, before, now)
    assert len(found.labels) == len(found.before) == len(found.now)
    assert list(found.edges) == sorted(found.edges)
    assert max(found.beyond) <= 0.01


@given(before=NAMES, now=NAMES)
def test_the_bars_of_names_are_all_there_is(before: list[Any], now: list[Any]) -> None:
    found = laid(before, now, Kind.CATEGORICAL)

    check_shares(found, before, now)
    assert len(set(found.labels)) == len(found.labels)


def test_few_values_are_shown_one_by_one() -> None:
    found = laid([1.0, 1.0, 2.0, 10.0], [2.0, 3.0])

    assert found.labels == ("1", "2", "3", "10")
    assert (found.before, found.now) == ((0.5, 0.25, 0.0, 0.25), (0.0, 0.5, 0.5, 0.0))


def test_many_values_are_shown_on_bars_of_one_width() -> None:
    found = laid([value / 10 for value in range(1000)], [50 + value / 100 for value in range(1000)])

    widths = {round(right - left, 6) for left, right in zip(found.edges, found.edges[1:], strict=False)}
    assert len(widths) == 1
    peak = found.now.index(max(found.now))
    assert 50 <= found.edges[peak] <= 60
    assert sum(share for share, edge in zip(found.now, found.edges, strict=False) if edge > 62) == 0


def test_one_wild_value_does_not_flatten_the_picture() -> None:
    found = laid([value / 10 for value in range(1000)], [*(value / 10 for value in range(999)), 1e9])

    assert found.edges[-1] < 200
    assert found.window.highest == 1e9
    assert 0 < found.beyond[1] < 0.01


def test_a_window_without_a_known_value_is_empty_beside_the_reference() -> None:
    found = laid([value / 10 for value in range(1000)], [None, None])

    assert sum(found.now) == 0
    assert (found.window.missing, found.window.mean) == (1.0, None)


def test_both_sides_tell_their_rows_nulls_and_means() -> None:
    found = laid([1.0, 3.0, None, None], [5.0])

    assert (found.reference.rows, found.reference.missing, found.reference.mean) == (4, 0.5, 2.0)
    assert found.reference.deviation == pytest.approx(1.0, abs=1e-6)
    assert found.window.mean is not None
    assert math.isclose(found.window.mean, 5.0, abs_tol=1e-5)


def test_of_many_names_the_commonest_of_either_side_are_shown() -> None:
    before = [f"n{place}" for place in range(40) for _ in range(40 - place)]

    found = laid(before, ["new"] * 10, Kind.CATEGORICAL)

    assert len(found.labels) == 24
    assert "new" in found.labels
    assert found.now[found.labels.index("new")] == 1.0


@pytest.mark.parametrize(
    ("before", "now", "weeks", "kind"),
    [
        ([1.0, 1.0, 2.0, 10.0], [2.0, 3.0], [1.0, 3.0], Kind.NUMERIC),
        ([value / 10 for value in range(1000)], [value / 20 for value in range(1000)], [1.0, 40.0], Kind.NUMERIC),
        (["a", "a", "b"], ["c"], ["a", "c"], Kind.CATEGORICAL),
    ],
)
def test_the_windows_before_are_on_the_same_bars(
    before: list[Any], now: list[Any], weeks: list[Any], kind: Kind
) -> None:
    reference = FeatureProfile.of(before, kind)
    window, others = (FeatureProfile.of(values, kind, bins_of=reference).to_json() for values in (now, weeks))
    found = overlay("x", reference.to_json(), window, others)

    assert len(found.weeks) == len(found.labels)
    assert sum(found.weeks) == pytest.approx(1)
    assert found.trailing is not None
    assert found.trailing.rows == 2
    assert overlay("x", reference.to_json(), window).weeks == ()
