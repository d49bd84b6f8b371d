"""Retrains are rare, reasoned, and never from data that are broken, unknown or fine."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.spine import DAY, a_day
from nightshift.governor import SICK, WEEK, Decision, Retrain, Rule, Situation, Trigger, decide
from nightshift.spec import Governor
from nightshift.verdict import SEVERITY, Status

policies = st.integers(1, 5).flatmap(
    lambda nights: st.builds(
        Governor,
        wanted=st.integers(1, nights),
        nights=st.just(nights),
        cooldown=st.integers(0, 20).map(lambda days: timedelta(days=days)),
        weekly=st.integers(1, 4),
        patience=st.integers(1, 4),
        new_labels=st.none() | st.integers(1, 1000),
        age=st.none() | st.integers(1, 30).map(lambda days: timedelta(days=days)),
    )
)
statuses = st.sampled_from(SEVERITY)
histories = st.lists(statuses, max_size=30)
moments = st.none() | st.integers(-20, 60).map(a_day)
outcomes = st.sampled_from([True, False, None])
retrains = st.lists(st.builds(Retrain, asked=st.integers(-20, 60).map(a_day), helped=outcomes), max_size=4)
situations = st.builds(
    Situation,
    now=st.integers(1, 40).map(a_day),
    status=statuses,
    earlier=histories,
    retrains=retrains,
    champion_as_of=moments,
    building=st.none() | st.just("build/night"),
    new_labels=st.integers(0, 2000),
    wish=st.none() | st.just("ada (a new airport)"),
    reset=moments,
)
TWO_OF_THREE = Governor(wanted=2, nights=3, cooldown=7 * DAY)


def sick(**changes: Any) -> Situation:
    """Return day 20 after two drifted windows: nothing speaks against a retrain but ``changes``."""
    return replace(Situation(a_day(20), Status.DRIFTED, [Status.HEALTHY, Status.DRIFTED]), **changes)


def asked(*numbers: int, helped: bool | None = True) -> tuple[Retrain, ...]:
    """Return retrains that were asked for on these days."""
    return tuple(Retrain(a_day(number), helped) for number in numbers)


@dataclass(frozen=True)
class Day:
    """What befalls one day: the window's verdict, a person's wish, how a retrain asked for then ends, and how late."""

    status: Status
    wish: bool = False
    helped: bool = True
    days: int = 1


@dataclass(frozen=True)
class Night:
    """One window of a lived history."""

    end: datetime
    status: Status
    decision: Decision


days = st.builds(Day, status=statuses, wish=st.booleans(), helped=st.booleans(), days=st.integers(1, 5))
lives = st.lists(days, max_size=30)


def live(policy: Governor, history: list[Day]) -> list[Night]:
    """Decide one window a day, as the monitor does, remembering what was asked for and what came of it."""
    nights: list[Night] = []
    begun: list[tuple[datetime, Day]] = []
    for number, day in enumerate(history, start=1):
        now = a_day(number)
        asked = [Retrain(at, one.helped if at + one.days * DAY <= now else None) for at, one in begun]
        building = any(at + one.days * DAY > now for at, one in begun)
        seen = Situation(
            now,
            day.status,
            [night.status for night in nights],
            retrains=asked,
            champion_as_of=max((at for at, one in begun if one.helped), default=a_day(0)),
            building="build/last" if building else None,
            new_labels=100 * number,
            wish="ada (a new airport)" if day.wish else None,
        )
        nights.append(Night(now, day.status, decide(policy, seen)))
        if nights[-1].decision.retrain:
            begun.append((now, day))
    return nights


def sick_days(count: int, **changes: Any) -> list[Day]:
    return [Day(Status.DRIFTED, **changes)] * count


# ---------------------------------------------------------------- laws


@given(policies, situations)
def test_nothing_is_ever_learned_from_broken_data_whoever_asks(policy: Governor, situation: Situation) -> None:
    decision = decide(policy, replace(situation, status=Status.BROKEN))

    assert not decision.retrain
    assert decision.rule is Rule.BROKEN


@given(policies, situations)
def test_without_a_person_nothing_is_learned_when_too_little_is_known(policy: Governor, situation: Situation) -> None:
    assert not decide(policy, replace(situation, status=Status.UNKNOWN, wish=None)).retrain


@given(policies, situations)
def test_a_build_under_way_stops_every_retrain(policy: Governor, situation: Situation) -> None:
    assert not decide(policy, replace(situation, building="build/night")).retrain


@given(policies, lives)
def test_there_are_never_two_builds_in_flight(policy: Governor, history: list[Day]) -> None:
    asked = [
        (night.end, night.end + day.days * DAY)
        for night, day in zip(live(policy, history), history, strict=True)
        if night.decision.retrain
    ]

    assert all(ended <= begun for (_, ended), (begun, _) in pairwise(asked))


@given(policies, lives)
def test_the_budget_of_a_week_is_never_passed(policy: Governor, history: list[Day]) -> None:
    asked = [night.end for night in live(policy, history) if night.decision.retrain]

    assert all(sum(first <= one < first + WEEK for one in asked) <= policy.weekly for first in asked)


@given(policies, situations)
def test_an_old_window_judged_again_does_not_pass_the_budget_either(policy: Governor, situation: Situation) -> None:
    full = [Retrain(situation.now + 3 * DAY, helped=True)] * policy.weekly

    assert not decide(policy, replace(situation, retrains=full)).retrain


@given(policies, lives)
def test_two_retrains_nobody_wished_for_are_never_closer_than_the_rest(policy: Governor, history: list[Day]) -> None:
    calm = [replace(day, wish=False) for day in history]

    asked = [night.end for night in live(policy, calm) if night.decision.retrain]

    assert all(later - earlier >= policy.cooldown for earlier, later in pairwise(asked))


@given(policies, lives)
def test_every_retrain_for_illness_had_as_many_sick_windows_as_are_wanted(policy: Governor, history: list[Day]) -> None:
    nights = live(policy, history)

    for place, night in enumerate(nights):
        newest = [n.status for n in nights[max(0, place + 1 - policy.nights) : place + 1]]
        if night.decision.retrain and night.decision.trigger in (Trigger.DRIFT, Trigger.PERFORMANCE):
            assert night.status in SICK
            assert sum(status in SICK for status in newest) >= policy.wanted


@given(st.integers(1, 10), st.integers(1, 60))
def test_permanent_drift_asks_no_more_often_than_the_rest_allows(rest: int, nights: int) -> None:
    policy = Governor(wanted=2, nights=3, cooldown=rest * DAY, weekly=7)

    asked = [night for night in live(policy, sick_days(nights)) if night.decision.retrain]

    assert len(asked) == (0 if nights < 2 else 1 + (nights - 2) // rest)


@given(st.integers(1, 4))
def test_retrains_in_vain_come_ever_later_and_then_leave_it_to_a_person(patience: int) -> None:
    policy = Governor(wanted=1, nights=1, cooldown=2 * DAY, weekly=7, patience=patience)

    nights = live(policy, sick_days(80, helped=False))

    asked = [night.end for night in nights if night.decision.retrain]
    assert [later - earlier for earlier, later in pairwise(asked)] == [2**n * 2 * DAY for n in range(1, patience)]
    assert len(asked) == patience
    assert nights[-1].decision.rule is Rule.TRIPPED


@given(policies, situations)
def test_a_decision_is_the_same_whenever_it_is_made_again(policy: Governor, situation: Situation) -> None:
    decision = decide(policy, situation)

    assert decide(policy, replace(situation)) == decision
    assert Decision.from_json(decision.to_json()) == decision
    assert decision.sentence.startswith("retrain: " if decision.retrain else "no retrain, because ")
    assert decision.retrain == (decision.rule is Rule.RETRAIN)
    assert decision.trigger is not None or not decision.retrain


# ---------------------------------------------------------------- rules


def test_enough_sick_windows_ask_for_a_retrain() -> None:
    assert decide(TWO_OF_THREE, sick()).sentence == "retrain: 2 of the last 3 windows were not healthy, 2 are wanted"


@pytest.mark.parametrize(
    ("changes", "rule", "sentence"),
    [
        ({"status": Status.BROKEN}, Rule.BROKEN, "the data are broken; a model trained on them would be too"),
        ({"status": Status.UNKNOWN}, Rule.UNKNOWN, "too little is known of this window"),
        ({"status": Status.HEALTHY}, Rule.HEALTHY, "the window is healthy"),
        ({"champion_as_of": a_day(21)}, Rule.LEARNED, "the champion already learned from data up to 2013-01-22"),
        ({"earlier": []}, Rule.NOT_ENOUGH, "1 of the last 1 windows was not healthy and 2 are wanted"),
        ({"earlier": [Status.DRIFTED, Status.BROKEN, Status.UNKNOWN]}, Rule.NOT_ENOUGH, "1 of the last 3 windows was"),
        ({"building": "build/b7"}, Rule.BUILDING, "a build is under way (build/b7)"),
        ({"retrains": asked(14)}, Rule.COOLDOWN, "on 2013-01-15; the next may be asked for from 2013-01-22"),
        ({"retrains": asked(13)}, Rule.RETRAIN, "2 are wanted"),
        ({"retrains": asked(12, helped=False)}, Rule.BACKOFF, "later than usual since the last retrain brought"),
        ({"retrains": asked(6, helped=False)}, Rule.RETRAIN, "2 are wanted"),
        ({"retrains": asked(-90, -60, -30, helped=False)}, Rule.TRIPPED, "the last 3 retrains brought nothing better"),
        ({"retrains": asked(-90, -60, -30, helped=False), "reset": a_day(0)}, Rule.RETRAIN, "2 are wanted"),
        ({"retrains": asked(-90, -60, -30, helped=False), "wish": "ada (why)"}, Rule.RETRAIN, "ada (why) asked for it"),
        ({"retrains": asked(19), "wish": "ada (why)"}, Rule.BUDGET, "1 was asked for within a week, and 1 may be"),
        ({"wish": "ada (why)", "earlier": [], "status": Status.HEALTHY}, Rule.RETRAIN, "ada (why) asked for it"),
        ({"champion_as_of": a_day(19)}, Rule.RETRAIN, "2 are wanted"),
        ({"earlier": [Status.DEGRADED, Status.UNKNOWN]}, Rule.RETRAIN, "2 of the last 3"),
    ],
)  # fmt: skip
def test_the_rule_that_applies_is_named_and_explained(changes: dict[str, Any], rule: Rule, sentence: str) -> None:
    decision = decide(TWO_OF_THREE, sick(**changes))

    assert decision.rule is rule
    assert sentence in decision.sentence


def test_the_first_rule_that_applies_is_told() -> None:
    everything = sick(
        status=Status.BROKEN, building="b", retrains=asked(19, helped=False), champion_as_of=a_day(30), earlier=[]
    )
    impatient = TWO_OF_THREE.model_copy(update={"patience": 1, "cooldown": 3 * DAY})

    rules = []
    for change in (
        {},
        {"status": Status.DRIFTED},
        {"champion_as_of": None},
        {"earlier": [Status.DRIFTED]},
        {"building": None},
        {"retrains": asked(19)},
        {"retrains": asked(16)},
        {"retrains": ()},
    ):
        everything = replace(everything, **change)
        rules.append(decide(impatient, everything).rule)

    assert rules == [
        Rule.BROKEN, Rule.LEARNED, Rule.NOT_ENOUGH, Rule.BUILDING, Rule.TRIPPED, Rule.COOLDOWN, Rule.BUDGET,
        Rule.RETRAIN,
    ]  # fmt: skip


# ---------------------------------------------------------------- triggers


@pytest.mark.parametrize(
    ("changes", "trigger"),
    [
        ({}, Trigger.DRIFT),
        ({"status": Status.DEGRADED}, Trigger.PERFORMANCE),
        ({"status": Status.HEALTHY, "new_labels": 5000}, Trigger.LABELS),
        ({"status": Status.HEALTHY, "champion_as_of": a_day(-40)}, Trigger.AGE),
        ({"wish": "ada (why)"}, Trigger.PERSON),
        ({"status": Status.HEALTHY}, None),
        ({"status": Status.HEALTHY, "new_labels": 4999, "champion_as_of": a_day(-39)}, None),
    ],
)  # fmt: skip
def test_what_asks_for_a_retrain_is_named(changes: dict[str, Any], trigger: Trigger | None) -> None:
    policy = Governor(wanted=2, nights=3, new_labels=5000, age=60 * DAY)

    decision = decide(policy, sick(**changes))

    assert decision.trigger is trigger
    assert decision.retrain == (trigger is not None)


def test_a_champion_that_grows_old_or_hungry_is_left_alone_unless_the_declaration_says_so() -> None:
    seen = sick(status=Status.HEALTHY, new_labels=10**9, champion_as_of=a_day(-4000))

    assert decide(TWO_OF_THREE, seen).rule is Rule.HEALTHY


def test_a_retrain_that_helped_ends_a_row_of_failures() -> None:
    past = (*asked(-60, -50, helped=False), *asked(-40, helped=True), *asked(-30, helped=False))

    assert sick(retrains=past).in_vain == 1
    assert sick(retrains=(*past, *asked(-20, helped=None))).in_vain == 1


def test_decisions_from_before_there_were_triggers_are_read() -> None:
    old = {"retrain": False, "rule": "healthy", "sentence": "no retrain, because the window is healthy"}

    assert Decision.from_json(old).trigger is None
