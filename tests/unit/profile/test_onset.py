"""A column that moved is told apart by when: suddenly, gradually, long since, or as on each such weekday."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from factories.profile import IMPORTANCE, KINDS, trips
from nightshift.profile.drift import compare
from nightshift.profile.onset import Course, Earlier, Onset, courses_of
from nightshift.profile.profile import Profile
from nightshift.spec import Limits
from nightshift.verdict import Status

DAY, WEEK = timedelta(days=1), timedelta(weeks=1)
MONDAY = datetime(2013, 6, 3, tzinfo=UTC)
REFERENCE = Profile.of(trips(8000), KINDS)

Change = Callable[[pd.DataFrame, float], pd.DataFrame]


def faster(rows: pd.DataFrame, size: float) -> pd.DataFrame:
    return rows.assign(speed=rows["speed"] + 4 * size)


def wetter(rows: pd.DataFrame, size: float) -> pd.DataFrame:
    chance = np.random.default_rng(len(rows))
    return rows.assign(weather=rows["weather"].where(chance.random(len(rows)) > 0.5 * size, "wet"))


def emptier(rows: pd.DataFrame, size: float) -> pd.DataFrame:
    chance = np.random.default_rng(len(rows))
    return rows.assign(speed=rows["speed"].where(chance.random(len(rows)) > 0.5 * size))


CHANGES = {"speed": faster, "weather": wetter, "emptier speed": emptier}


def the_course(sizes: Sequence[float], change: Change, *, length: timedelta = WEEK, rows: int = 1500) -> Course:
    """Return the course of the last window, when windows in a row were changed by ``sizes``."""
    starts = [MONDAY + place * length for place in range(len(sizes))]
    profiles = [
        Profile.of(change(trips(rows, seed=100 + place), size), KINDS, bins_of=REFERENCE)
        for place, size in enumerate(sizes)
    ]
    report = compare(REFERENCE, profiles[-1], importance=IMPORTANCE, limits=Limits())
    checks = [check for check in report.checks if check.name != "input drift"]
    earlier = [Earlier(start, profile) for start, profile in zip(starts[:-1], profiles[:-1], strict=True)]
    (found,) = courses_of(checks, REFERENCE, profiles[-1], earlier, start=starts[-1], length=length)
    return found


@pytest.mark.parametrize("rows", [300, 1500])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize(
    ("sizes", "onset"),
    [
        ([0, 1], Onset.SUDDEN),
        ([0, 0, 0, 0, 1], Onset.SUDDEN),
        ([1, 1], Onset.LASTING),
        ([1, 1, 1, 1, 1], Onset.LASTING),
        ([0, 0, 1, 1, 1], Onset.LASTING),
        ([0, 0, 0, 1, 1], Onset.LASTING),
        ([0.2, 0.4, 0.6, 0.8, 1], Onset.GRADUAL),
        ([0, 0.25, 0.5, 0.75, 1], Onset.GRADUAL),
    ],
)
def test_steps_slopes_and_what_lasts_are_told_apart(
    sizes: list[float], onset: Onset, change: Change, rows: int
) -> None:
    assert the_course(sizes, change, rows=rows).onset is onset


def test_what_lasts_is_told_with_the_day_on_which_it_began() -> None:
    course = the_course([0, 0, 1, 1, 1], faster)

    assert course.since == MONDAY + 2 * WEEK
    assert course.sentence == "since 17 Jun"


def test_distances_to_each_baseline_stand_side_by_side() -> None:
    course = the_course([0, 0, 0, 0, 1], faster)

    assert course.measure == "location"
    assert course.training == pytest.approx(course.trailing, rel=0.2)
    assert (course.same_weekday, course.windows) == (None, 4)
    assert course.sentence == "suddenly, unlike the 4 windows before"


def test_after_a_step_the_weeks_before_are_nearer_than_training() -> None:
    course = the_course([1, 1, 1, 1, 1], faster)

    assert course.trailing is not None
    assert course.trailing < 0.2 * course.training


def on_weekends(days: int) -> list[float]:
    return [1.0 if (MONDAY + day * DAY).weekday() >= 5 else 0.0 for day in range(days)]


@pytest.mark.parametrize("rows", [300, 1500])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_sunday_like_all_sundays_is_the_calendar(change: Change, rows: int) -> None:
    course = the_course(on_weekends(28), change, length=DAY, rows=rows)

    assert course.onset is Onset.RECURRING
    assert course.same_weekday is not None
    assert course.trailing is not None
    assert course.same_weekday < course.trailing
    assert course.sentence == "like the 3 windows of the same weekday before, unlike other days"


def test_a_wednesday_that_is_like_a_sunday_is_sudden() -> None:
    sizes = [*on_weekends(23), 1.0]

    assert (MONDAY + 23 * DAY).weekday() == 2
    assert the_course(sizes, faster, length=DAY).onset is Onset.SUDDEN


def test_weekdays_say_nothing_of_windows_of_whole_weeks() -> None:
    assert the_course([0, 0, 1, 0, 1], faster).same_weekday is None


def test_without_earlier_windows_nothing_is_said() -> None:
    now = Profile.of(faster(trips(500, seed=1), 1), KINDS, bins_of=REFERENCE)
    checks = compare(REFERENCE, now, importance=IMPORTANCE, limits=Limits()).checks

    assert any(check.status is Status.DRIFTED for check in checks)
    assert list(courses_of(checks, REFERENCE, now, [], start=MONDAY, length=WEEK)) == []


def test_earlier_windows_without_rows_or_without_the_column_are_passed_over() -> None:
    empty = Profile.of(trips(0), KINDS, bins_of=REFERENCE)
    others = Profile.of(trips(500).drop(columns="speed"), KINDS, bins_of=REFERENCE)
    now = Profile.of(faster(trips(500, seed=1), 1), KINDS, bins_of=REFERENCE)
    checks = compare(REFERENCE, now, importance=IMPORTANCE, limits=Limits()).checks
    earlier = [Earlier(MONDAY, empty), Earlier(MONDAY + WEEK, others)]

    assert list(courses_of(checks, REFERENCE, now, earlier, start=MONDAY + 2 * WEEK, length=WEEK)) == []


def test_a_course_is_written_as_plain_json() -> None:
    content = the_course([0, 0, 1, 1, 1], faster).to_json()

    assert (content["onset"], content["since"]) == ("lasting", "2013-06-17T00:00:00+00:00")
    assert content["column"] == "speed"
