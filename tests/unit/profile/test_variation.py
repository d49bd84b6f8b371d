"""What windows of the reference did among themselves is what a later one may do."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from nightshift.profile.baseline import Baseline
from nightshift.profile.budget import Budget
from nightshift.profile.drift import DriftReport, compare_with
from nightshift.profile.profile import Profile
from nightshift.profile.variation import Variation
from nightshift.spec import Kind, Limits
from nightshift.verdict import Status

DAY, DAYS = 300, 60
KINDS = {
    "weekday": Kind.NUMERIC,
    "humidity": Kind.NUMERIC,
    "campaign": Kind.CATEGORICAL,
    "fare": Kind.NUMERIC,
    "cold": Kind.NUMERIC,
    "dew": Kind.NUMERIC,
}


def days(first: int, count: int, *, seed: int) -> list[pd.DataFrame]:
    """Return days of which each has its weekday, its weather and perhaps a campaign."""
    chance = np.random.default_rng(seed)
    return [_day(day, chance) for day in range(first, first + count)]


def _day(day: int, chance: np.random.Generator) -> pd.DataFrame:
    cold = chance.normal(0, 3) + chance.normal(size=DAY)
    return pd.DataFrame(
        {
            "weekday": float(day % 7),
            "humidity": np.round(60 + chance.normal(0, 6) + 8 * chance.normal(size=DAY), 1),
            "campaign": np.where(chance.random(DAY) < 0.3, f"c{chance.integers(8)}", "none"),
            "fare": np.exp(chance.normal(3, 0.5, DAY)),
            "cold": cold,
            "dew": cold - 2 * chance.random(DAY),
        }
    )


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    seen = days(0, DAYS, seed=1)
    whole = Profile.of(pd.concat(seen), KINDS)
    parts = [Profile.of(day, KINDS, bins_of=whole) for day in seen]
    return Baseline(whole, Variation.of_parts(whole, parts, _even()), Budget(0.005))


def _even() -> dict[str, float]:
    return dict.fromkeys(KINDS, 1 / len(KINDS))


def told(baseline: Baseline, day: pd.DataFrame) -> DriftReport:
    current = Profile.of(day, KINDS, bins_of=baseline.reference)
    return compare_with(baseline, current, importance=_even(), limits=Limits(column=0.001))


def test_days_to_come_are_as_quiet_as_those_that_were(baseline: Baseline) -> None:
    reports = [told(baseline, day) for day in days(DAYS, 40, seed=2)]

    assert [report.status for report in reports] == [Status.HEALTHY] * 40


def test_a_weekday_that_no_day_ever_was_is_broken(baseline: Baseline) -> None:
    (day,) = days(DAYS, 1, seed=3)

    broken = {check.subject for check in told(baseline, day.assign(weekday=99.0)).checks if check.status == "BROKEN"}

    assert broken == {"weekday"}


FAULTS: dict[str, Callable[[pd.Series], object]] = {
    "humidity": lambda column: column.where(np.arange(DAY) % 10 < 6, 60.0123),
    "campaign": lambda column: column.where(np.arange(DAY) % 10 > 0, "unknown"),
}


@pytest.mark.parametrize("column", FAULTS)
def test_a_column_that_comes_and_goes_is_still_broken_when_it_is_filled_up(baseline: Baseline, column: str) -> None:
    (day,) = days(DAYS, 1, seed=4)

    checks = told(baseline, day.assign(**{column: FAULTS[column](day[column])})).checks

    assert {check.subject for check in checks if check.status is Status.BROKEN} == {column}


def test_on_the_coldest_day_of_all_the_others_are_not_asked_about_it(baseline: Baseline) -> None:
    (day,) = days(DAYS, 1, seed=5)
    coldest = day.assign(cold=day["cold"] - day["cold"].mean() - 8.5, dew=day["dew"] - day["cold"].mean() - 8.5)

    report = told(baseline, coldest)

    assert not [check.sentence for check in report.checks if "beside what the other columns" in check.sentence]


@pytest.mark.parametrize("by", [-4.0, 4.0])
def test_a_fault_on_known_ground_names_its_column_wherever_it_put_it(baseline: Baseline, by: float) -> None:
    (day,) = days(DAYS, 1, seed=9)
    usual = {name: day[name] - day["cold"].mean() + by for name in ("cold", "dew")}
    broken = day.assign(cold=usual["cold"], dew=usual["dew"] + np.sign(by) * 4)

    report = told(baseline, broken)

    assert {check.subject for check in report.checks if check.status is not Status.HEALTHY} == {"dew"}


def test_a_column_that_the_first_day_lacked_swings_all_the_same() -> None:
    first, *others = days(0, 8, seed=10)
    seen = [first.assign(cold=np.nan, campaign=None), *others]
    whole = Profile.of(pd.concat(seen), KINDS)

    variation = Variation.of_parts(whole, [Profile.of(day, KINDS, bins_of=whole) for day in seen], _even())

    assert variation.swings_by_itself("cold")
    assert variation.swing("cold", "location").windows == 7


def test_the_next_of_twenty_windows_is_seldom_beyond_what_they_allow() -> None:
    chance = np.random.default_rng(6)
    drifts = np.exp(chance.normal(-2, 0.4, (2000, 21)))

    beyond = [Variation(tuple(row[:-1])).drift_within(0.001) < row[-1] for row in drifts]
    worst = [max(row[:-1]) < row[-1] for row in drifts]

    assert np.mean(beyond) < 0.003 < 0.03 < np.mean(worst)


def test_the_next_of_thirty_windows_is_seldom_beyond_what_they_allow_though_a_few_of_them_lie_far_up() -> None:
    chance = np.random.default_rng(11)
    drifts = np.exp(-2 + 0.3 * chance.gamma(4.0, 1.0, (8000, 31)))

    beyond = [Variation(tuple(row[:-1])).drift_within(0.001) < row[-1] for row in drifts]

    assert np.mean(beyond) < 0.005


def test_a_part_is_held_to_the_other_rows_alone() -> None:
    rows = pd.concat(days(0, 5, seed=7), ignore_index=True)
    whole = Profile.of(rows, KINDS)
    part, rest = (Profile.of(some, KINDS, bins_of=whole) for some in (rows[:DAY], rows[DAY:]))

    left = whole.without(part)

    for name, column in left.columns.items():
        own = rest.columns[name]
        assert (column.rows, column.missing, column.bins) == (own.rows, own.missing, own.bins)
        assert {value: count for value, count in column.counts.items() if count and value in own.counts} == {
            value: count for value, count in own.counts.items() if value in column.counts
        }
