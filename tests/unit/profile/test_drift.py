"""A quiet window is healthy, an honest change is drift, a fault is broken, and each names its column."""

import json
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from factories.profile import IMPORTANCE, KINDS, compared, of_status, trips
from nightshift.profile.drift import DriftReport, compare
from nightshift.profile.profile import Profile
from nightshift.spec import Kind, Limits
from nightshift.verdict import Status

WINDOW = 1500


def a_window(seed: int = 1) -> pd.DataFrame:
    return trips(WINDOW, seed=seed)


@pytest.mark.parametrize("seed", range(1, 11))
def test_a_window_from_the_same_law_is_healthy(seed: int) -> None:
    report = compared(a_window(seed))

    assert report.checks
    assert {check.status for check in report.checks} == {Status.HEALTHY}


def some(window: pd.DataFrame, column: str, share: float, value: float | str | None) -> pd.DataFrame:
    """Return the window with ``value`` in an even share of a column's rows."""
    changed = window[column].astype(object)
    changed[np.arange(len(window)) % 100 < share * 100] = value
    return window.assign(**{column: changed if isinstance(value, str) else changed.astype(window[column].dtype)})


@pytest.mark.parametrize(
    ("fault", "column"),
    [
        (lambda window: some(window, "speed", 0.4, np.nan), "speed"),
        (lambda window: some(window, "speed", 1.0, np.nan), "speed"),
        (lambda window: some(window, "weather", 0.4, None), "weather"),
        (lambda window: some(window, "speed", 0.1, -999.0), "speed"),
        (lambda window: some(window, "speed", 0.05, np.inf), "speed"),
        (lambda window: window.assign(speed=window["speed"] * 100), "speed"),
        (lambda window: window.assign(speed=21.0), "speed"),
        (lambda window: window.assign(zone="east"), "zone"),
        (lambda window: window.drop(columns="zone"), "zone"),
    ],
    ids=["nulls", "all null", "null names", "sentinel", "infinite", "unit", "stuck", "stuck name", "gone"],
)
def test_a_fault_is_broken_and_names_its_column_alone(
    fault: Callable[[pd.DataFrame], pd.DataFrame], column: str
) -> None:
    broken = of_status(compared(fault(a_window())), Status.BROKEN)

    assert {check.subject for check in broken} == {column}
    assert all(column in check.sentence for check in broken)


def test_a_shift_of_the_world_is_drift_and_not_broken() -> None:
    window = a_window()

    report = compared(window.assign(speed=window["speed"] + 6))

    assert of_status(report, Status.BROKEN) == []
    assert {check.subject for check in of_status(report, Status.DRIFTED)} == {"speed"}
    assert report.columns[0].column == "speed"


def test_a_shift_of_what_the_model_ignores_is_no_drift() -> None:
    window = a_window()
    ignoring = {"speed": 0.0, "hour": 0.8, "weather": 0.1, "zone": 0.1}

    report = compared(window.assign(speed=window["speed"] + 6), importance=ignoring)

    assert {check.status for check in report.checks} == {Status.HEALTHY}


def test_some_values_beyond_all_that_was_seen_are_not_broken() -> None:
    window = a_window()

    report = compared(window.assign(speed=window["speed"] * 1.3))

    assert of_status(report, Status.BROKEN) == []


def test_columns_come_by_their_effect() -> None:
    effects = [column.effect for column in compared(a_window()).columns]

    assert effects == sorted(effects, reverse=True)
    assert len(effects) == len(IMPORTANCE)


def test_moved_answers_are_drift_of_the_output() -> None:
    chance = np.random.default_rng(0)
    kinds = {"probability": Kind.NUMERIC}
    reference = Profile.of(pd.DataFrame({"probability": chance.beta(2, 5, 4000)}), kinds)
    moved = Profile.of(pd.DataFrame({"probability": chance.beta(5, 2, WINDOW)}), kinds, bins_of=reference)

    report = compare(reference, moved, importance={}, limits=Limits(), output="probability")

    assert {check.subject for check in of_status(report, Status.DRIFTED)} == {"probability"}


def test_a_window_without_rows_is_answered() -> None:
    report = compared(trips(0))

    assert of_status(report, Status.BROKEN) == []


def test_a_report_survives_json() -> None:
    report = compared(a_window())

    assert DriftReport.from_json(json.loads(json.dumps(report.to_json(), allow_nan=False))) == report


def test_a_stored_profile_compares_like_the_one_it_was() -> None:
    reference = Profile.of(trips(), KINDS)
    current = Profile.of(a_window(), KINDS, bins_of=reference)
    stored = [Profile.from_json(json.loads(json.dumps(one.to_json()))) for one in (reference, current)]

    found = compare(stored[0], stored[1], importance=IMPORTANCE, limits=Limits())

    assert found == compare(reference, current, importance=IMPORTANCE, limits=Limits())


@pytest.mark.parametrize(
    ("said", "turned"),
    [
        ("1.609 times", lambda speed: speed * 1.609344),
        ("1.8 times plus 32", lambda speed: speed * 1.8 + 32),
        ("0.01667 times", lambda speed: speed / 60),
    ],
)
def test_a_whole_column_in_another_unit_is_broken_and_the_unit_is_named(
    said: str, turned: Callable[["pd.Series[float]"], "pd.Series[float]"]
) -> None:
    window = a_window()

    report = compared(window.assign(speed=turned(window["speed"])))

    (broken,) = of_status(report, Status.BROKEN)
    assert (broken.subject, broken.name) == ("speed", "unit")
    assert said in broken.sentence


@pytest.mark.parametrize("turned", [lambda speed: speed + 4, lambda speed: 20 + 1.3 * (speed - 20)])
def test_an_honest_shift_or_stretch_is_no_other_unit(
    turned: Callable[["pd.Series[float]"], "pd.Series[float]"],
) -> None:
    window = a_window()

    report = compared(window.assign(speed=turned(window["speed"])))

    assert report.status is Status.DRIFTED


@pytest.mark.parametrize("value", [0.0, -1.0, 120.0])
def test_one_value_beyond_the_range_of_a_column_with_many_is_a_sentinel(value: float) -> None:
    chance = np.random.default_rng(1)
    before, now = (pd.DataFrame({"share": 5 + np.round(chance.beta(2, 3, rows), 3) * 90}) for rows in (5000, 1500))
    reference = Profile.of(before, {"share": Kind.NUMERIC})
    current = Profile.of(some(now, "share", 0.02, value), reference.kinds, bins_of=reference)

    report = compare(reference, current, importance={"share": 1.0}, limits=Limits())

    assert [check.name for check in of_status(report, Status.BROKEN)] == ["sentinel"]


def test_a_value_that_was_rare_and_alone_has_become_frequent_is_a_sentinel() -> None:
    chance = np.random.default_rng(2)
    before, now = (pd.DataFrame({"dwell": np.round(np.exp(chance.normal(2, 1.1, rows)), 1)}) for rows in (50_000, 1500))
    reference = Profile.of(before, {"dwell": Kind.NUMERIC})
    current = Profile.of(some(now, "dwell", 0.02, 0.1), reference.kinds, bins_of=reference)

    report = compare(reference, current, importance={"dwell": 1.0}, limits=Limits())

    assert (before["dwell"] == 0.1).sum() > 2
    assert [check.name for check in of_status(report, Status.BROKEN)] == ["sentinel"]


def one_column(before: np.ndarray, now: np.ndarray) -> DriftReport:
    reference = Profile.of(pd.DataFrame({"one": before}), {"one": Kind.NUMERIC})
    current = Profile.of(pd.DataFrame({"one": now}), reference.kinds, bins_of=reference)
    return compare(reference, current, importance={"one": 1.0}, limits=Limits())


def test_a_small_window_of_many_values_has_not_lost_those_that_came_once() -> None:
    chance = np.random.default_rng(3)
    before, now = (np.round(chance.exponential(24, rows), 1) for rows in (2000, 300))
    now[::50] = -1.0

    assert [check.name for check in of_status(one_column(before, now), Status.BROKEN)] == ["sentinel"]


def test_values_that_a_window_of_many_does_not_list_are_not_taken_to_be_new() -> None:
    chance = np.random.default_rng(4)
    values = np.arange(200) / 100  # as many as are listed one by one, sixty of them rare
    shares = np.where(np.arange(200) < 140, 1.0, 0.06) / (140 + 60 * 0.06)
    before, now = (chance.choice(values, rows, p=shares) for rows in (20_000, 3000))
    now[:25] = 0.005 + np.arange(25) / 100  # less than one percent is really new

    assert len(np.unique(now)) > 200
    assert not [check for check in one_column(before, now).checks if check.name == "unseen"]


def test_whole_numbers_that_moved_honestly_have_no_sentinel_among_them() -> None:
    chance = np.random.default_rng(5)
    before = chance.integers(-20, 90, 10_000).astype(float)
    windows = [chance.integers(-20, 90, 300) - 8.0 for _ in range(20)]

    reports = [one_column(before, now) for now in windows]

    assert not [check.sentence for report in reports for check in report.checks if check.name == "sentinel"]
