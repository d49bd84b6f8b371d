"""Retrains are rare, reasoned, and never from data that are broken, unknown or fine."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.spine import DAY, a_day
from nightshift.governor import SICK, Decision, Rule, Situation, decide
from nightshift.spec import Governor
from nightshift.verdict import SEVERITY, Status

policies = st.integers(1, 5).flatmap(
    lambda nights: st.builds(
        Governor,
        wanted=st.integers(1, nights),
        nights=st.just(nights),
        cooldown=st.integers(0, 20).map(lambda days: timedelta(days=days)),
    )
)
statuses = st.sampled_from(SEVERITY)
histories = st.lists(statuses, max_size=30)
moments = st.none() | st.integers(-20, 60).map(a_day)
situations = st.builds(
    Situation,
    now=st.integers(1, 40).map(a_day),
    status=statuses,
    earlier=histories,
    last_request=moments,
    champion_as_of=moments,
    building=st.none() | st.just("build/night"),
)
WEEK = Governor(wanted=2, nights=3, cooldown=7 * DAY)


def sick(**changes: Any) -> Situation:
    """Return day 20 after two drifted windows: nothing speaks against a retrain but ``changes``."""
    return replace(Situation(a_day(20), Status.DRIFTED, [Status.HEALTHY, Status.DRIFTED]), **changes)


@dataclass(frozen=True)
class Night:
    """One window of a lived history."""

    end: datetime
    status: Status
    decision: Decision


def live(policy: Governor, history: list[Status]) -> list[Night]:
    """Decide one window a day, as the monitor does, remembering what was asked for."""
    nights: list[Night] = []
    for number, status in enumerate(history, start=1):
        asked = [night.end for night in nights if night.decision.retrain]
        seen = Situation(a_day(number), status, [n.status for n in nights], last_request=max(asked, default=None))
        nights.append(Night(seen.now, status, decide(policy, seen)))
    return nights


# ---------------------------------------------------------------- laws


@given(policies, situations)
def test_nothing_is_learned_from_what_is_broken_unknown_or_healthy(policy: Governor, situation: Situation) -> None:
    decision = decide(policy, situation)

    assert not decision.retrain or situation.status in SICK
    if situation.status not in SICK:
        assert (
            decision.rule == {"BROKEN": Rule.BROKEN, "UNKNOWN": Rule.UNKNOWN, "HEALTHY": Rule.HEALTHY}[situation.status]
        )


@given(policies, histories)
def test_two_retrains_are_never_closer_than_the_rest_between_them(policy: Governor, history: list[Status]) -> None:
    asked = [night.end for night in live(policy, history) if night.decision.retrain]

    assert all(later - earlier >= policy.cooldown for earlier, later in pairwise(asked))


@given(policies, histories)
def test_every_retrain_had_as_many_sick_windows_as_are_wanted(policy: Governor, history: list[Status]) -> None:
    nights = live(policy, history)

    for place, night in enumerate(nights):
        newest = [n.status for n in nights[max(0, place + 1 - policy.nights) : place + 1]]
        if night.decision.retrain:
            assert sum(status in SICK for status in newest) >= policy.wanted


@given(policies, st.integers(1, 60))
def test_permanent_drift_asks_no_more_often_than_the_rest_allows(policy: Governor, nights: int) -> None:
    asked = [night for night in live(policy, [Status.DRIFTED] * nights) if night.decision.retrain]

    rest = max(policy.cooldown // DAY, 1)
    first = policy.wanted
    assert len(asked) == (0 if nights < first else 1 + (nights - first) // rest)


@given(policies, situations)
def test_a_build_under_way_or_a_champion_that_knows_better_stops_every_retrain(
    policy: Governor, situation: Situation
) -> None:
    assert not decide(policy, replace(situation, building="build/night")).retrain
    assert not decide(policy, replace(situation, champion_as_of=situation.now)).retrain


@given(policies, situations)
def test_a_decision_is_the_same_whenever_it_is_made_again(policy: Governor, situation: Situation) -> None:
    decision = decide(policy, situation)

    assert decide(policy, replace(situation)) == decision
    assert Decision.from_json(decision.to_json()) == decision
    assert decision.sentence.startswith("retrain: " if decision.retrain else "no retrain, because ")
    assert decision.retrain == (decision.rule is Rule.RETRAIN)


@given(policies, situations)
def test_a_request_of_a_later_window_rests_an_earlier_one_too(policy: Governor, situation: Situation) -> None:
    later = replace(situation, last_request=situation.now + DAY)

    assert not decide(policy, later).retrain or policy.cooldown == timedelta(0)


# ---------------------------------------------------------------- rules


def test_enough_sick_windows_ask_for_a_retrain() -> None:
    assert decide(WEEK, sick()).sentence == "retrain: 2 of the last 3 windows were not healthy, 2 are wanted"


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
        ({"last_request": a_day(14)}, Rule.COOLDOWN, "on 2013-01-15; the next may be asked for from 2013-01-22"),
        ({"last_request": a_day(13)}, Rule.RETRAIN, "2 are wanted"),
        ({"champion_as_of": a_day(19)}, Rule.RETRAIN, "2 are wanted"),
        ({"earlier": [Status.DEGRADED, Status.UNKNOWN]}, Rule.RETRAIN, "2 of the last 3"),
    ],
)  # fmt: skip
def test_the_rule_that_applies_is_named_and_explained(changes: dict[str, Any], rule: Rule, sentence: str) -> None:
    decision = decide(WEEK, sick(**changes))

    assert decision.rule is rule
    assert sentence in decision.sentence


def test_the_first_rule_that_applies_is_told() -> None:
    everything = sick(status=Status.BROKEN, building="b", last_request=a_day(19), champion_as_of=a_day(30), earlier=[])

    rules = []
    for change in (
        {},
        {"status": Status.DRIFTED},
        {"champion_as_of": None},
        {"earlier": [Status.DRIFTED]},
        {"building": None},
        {"last_request": None},
    ):
        everything = replace(everything, **change)
        rules.append(decide(WEEK, everything).rule)

    assert rules == [Rule.BROKEN, Rule.LEARNED, Rule.NOT_ENOUGH, Rule.BUILDING, Rule.COOLDOWN, Rule.RETRAIN]
