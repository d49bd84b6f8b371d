"""A profile of parts is the profile of the whole, and what was written is what is read."""

import json
import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.profile import KINDS, trips
from nightshift.errors import BinsDifferError, ProfileError
from nightshift.profile.distance import distances, psi
from nightshift.profile.movement import Movement
from nightshift.profile.profile import FeatureProfile, Profile
from nightshift.spec import Kind

numbers = st.lists(st.none() | st.floats(-1e6, 1e6) | st.just(math.inf), max_size=40)
REFERENCE = FeatureProfile.of([float(value) for value in range(-50, 50)], Kind.NUMERIC)


def column(values: list[float | None]) -> FeatureProfile:
    return FeatureProfile.of(pd.Series(values, dtype="float64"), Kind.NUMERIC, bins_of=REFERENCE)


@given(numbers, numbers)
def test_merged_parts_count_what_the_whole_counts(one: list[float | None], other: list[float | None]) -> None:
    merged, whole = column(one).merge(column(other)), column(one + other)

    assert (merged.rows, merged.missing, merged.infinite) == (whole.rows, whole.missing, whole.infinite)
    assert (merged.lowest, merged.highest, merged.bins) == (whole.lowest, whole.highest, whole.bins)
    assert merged.mean == pytest.approx(whole.mean, abs=1e-3)


@given(numbers, numbers)
def test_which_part_comes_first_does_not_matter(one: list[float | None], other: list[float | None]) -> None:
    there, back = column(one).merge(column(other)), column(other).merge(column(one))

    assert (there.rows, there.bins, there.lowest) == (back.rows, back.bins, back.lowest)


@given(numbers)
def test_every_row_is_counted_exactly_once(values: list[float | None]) -> None:
    found = column(values)

    assert found.missing + found.infinite + sum(found.bins) == len(values)
    assert found.missing == values.count(None)


@given(numbers, numbers)
def test_psi_is_finite_and_never_negative(one: list[float | None], other: list[float | None]) -> None:
    found = psi(column(one), column(other))

    assert math.isfinite(found)
    assert found >= -1e-12


def test_an_empty_bin_keeps_psi_finite() -> None:
    assert 0.25 < psi(REFERENCE, column([49.0] * 100)) < math.inf


def test_two_columns_without_a_value_lie_no_distance_apart() -> None:
    nothing = column([None, None])

    found = distances(nothing, nothing, Movement.of(nothing, nothing))

    assert set(found.values()) == {0.0}


def test_the_mean_and_the_deviation_are_those_of_pandas() -> None:
    rows = trips()

    found = Profile.of(rows, KINDS).columns["speed"]

    assert found.mean == pytest.approx(rows["speed"].mean(), rel=1e-6)
    assert found.deviation == pytest.approx(rows["speed"].std(ddof=0), rel=1e-6)
    assert found.missing == rows["speed"].isna().sum()


def test_a_profile_survives_json() -> None:
    profile = Profile.of(trips(), KINDS)

    assert Profile.from_json(json.loads(json.dumps(profile.to_json(), allow_nan=False))) == profile


def test_profiles_on_different_bins_are_not_merged() -> None:
    with pytest.raises(BinsDifferError, match="bins_of"):
        REFERENCE.merge(FeatureProfile.of([1.0, 2.0], Kind.NUMERIC))


def test_profiles_of_different_columns_are_not_merged() -> None:
    with pytest.raises(BinsDifferError, match="different columns"):
        Profile.of(trips(), KINDS).merge(Profile.of(trips(), {"speed": Kind.NUMERIC}))


@pytest.mark.parametrize("content", [None, [], {}, {"format": 99, "rows": 1, "columns": {}}])
def test_what_is_no_profile_is_refused(content: Any) -> None:
    with pytest.raises(ProfileError, match="profile the rows again"):
        Profile.from_json(content)
