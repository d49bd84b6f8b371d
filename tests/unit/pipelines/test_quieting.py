"""What people answered for is quiet up to what they answered for, and broken data are never slept through."""

from dataclasses import replace

import pytest

from factories.spine import a_check, a_day
from nightshift.pipelines.quieting import hush
from nightshift.pipelines.standing import Quiet
from nightshift.profile.drift import FeatureDrift
from nightshift.verdict import SEVERITY, Check, Status, judge_window


def beyond(size: float, status: Status = Status.DRIFTED) -> Check:
    """Return a check of temperature that is ``size`` beyond what is allowed."""
    return replace(a_check(status), observed=0.1 + size, allowed=0.1)


def snoozed(subject: str = "temperature") -> dict[str, Quiet]:
    return {subject: Quiet(subject, a_day(30), "ada", "known")}


def accepted(**levels: float | None) -> dict[str, Quiet]:
    return {"temperature": Quiet("temperature", a_day(30), "ada", "new normal", dict(levels))}


@pytest.mark.parametrize("status", [Status.DRIFTED, Status.DEGRADED])
def test_a_snoozed_column_is_quiet_and_says_who_said_so(status: Status) -> None:
    (check,) = hush([beyond(9.0, status)], snoozed())

    assert check.status is Status.HEALTHY
    assert check.sentence.endswith("(snoozed by ada until 2013-01-31: known)")


@pytest.mark.parametrize("status", SEVERITY)
def test_nobody_sleeps_through_broken_data(status: Status) -> None:
    verdict = judge_window(hush([beyond(1.0, status)], snoozed()))

    assert (verdict.status is Status.BROKEN) == (status is Status.BROKEN)
    assert (verdict.status is Status.UNKNOWN) == (status is Status.UNKNOWN)


@pytest.mark.parametrize(("size", "quiet"), [(0.1, True), (0.4, True), (0.5, True), (0.51, False), (9.0, False)])
def test_what_was_accepted_may_grow_by_a_quarter(size: float, quiet: bool) -> None:
    (check,) = hush([beyond(size)], accepted(drift=0.4))

    assert (check.status is Status.HEALTHY) == quiet


def test_who_accepts_a_fault_says_that_it_is_none() -> None:
    (check,) = hush([beyond(0.4, Status.BROKEN)], accepted(drift=0.4))

    assert check.status is Status.HEALTHY


def test_another_finding_on_an_accepted_column_is_news() -> None:
    (check,) = hush([replace(beyond(0.1), name="missing")], accepted(drift=0.4))

    assert check.status is Status.DRIFTED


def test_a_check_that_is_no_number_is_accepted_as_it_is() -> None:
    (check,) = hush([replace(a_check(Status.BROKEN, name="type"), observed="text")], accepted(type=None))

    assert check.status is Status.HEALTHY


def test_other_columns_go_on_speaking() -> None:
    other = a_check(Status.DRIFTED, subject="weather")

    assert hush([other], snoozed()) == [other]


def whole(observed: float) -> Check:
    return Check("input drift", Status.DRIFTED, "temperature", "the inputs moved", observed, 0.3, 1000)


def test_the_drift_of_the_whole_is_taken_without_the_quiet_columns() -> None:
    columns = (FeatureDrift("temperature", 1.0, 0.25), FeatureDrift("weather", 0.5, 0.2))

    calm, loud = (hush([whole(observed)], snoozed(), columns)[0] for observed in (0.5, 0.6))

    assert (calm.status, calm.observed) == (Status.HEALTHY, 0.25)
    assert (loud.status, loud.observed) == (Status.DRIFTED, 0.35)
    assert "0.25 without temperature, which a person answered for" in calm.sentence


def test_nothing_said_is_nothing_changed() -> None:
    checks = [whole(0.5), beyond(1.0)]

    assert hush(checks, {}) == checks
