"""May we retrain now? And if not, why not.

Pure: everything it needs is an argument, so that any night can be decided
again, under this policy or another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from nightshift.spec import Governor
from nightshift.verdict import Status

SICK = (Status.DRIFTED, Status.DEGRADED)


class Rule(StrEnum):
    """Which rule decided; the first that applies, in this order."""

    UNKNOWN = "unknown"
    BROKEN = "broken"
    HEALTHY = "healthy"
    LEARNED = "learned"
    NOT_ENOUGH = "not enough"
    BUILDING = "building"
    COOLDOWN = "cooldown"
    RETRAIN = "retrain"


@dataclass(frozen=True)
class Decision:
    """Whether to retrain, by which rule, and the sentence that explains it."""

    retrain: bool
    rule: Rule
    sentence: str

    def to_json(self) -> dict[str, Any]:
        return {"retrain": self.retrain, "rule": str(self.rule), "sentence": self.sentence}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(content["retrain"], Rule(content["rule"]), content["sentence"])


@dataclass(frozen=True)
class Situation:
    """What the governor knows when it decides about the window that ends at ``now``.

    ``earlier`` are the verdicts of the windows before, oldest first.
    ``last_request`` is the end of the window that last asked for a retrain,
    ``champion_as_of`` the moment up to which the champion learned, ``building``
    the run that holds the lease. All in the model's time.
    """

    now: datetime
    status: Status
    earlier: Sequence[Status]
    last_request: datetime | None = None
    champion_as_of: datetime | None = None
    building: str | None = None


def decide(policy: Governor, situation: Situation) -> Decision:
    """Return the decision for one window, with the rule that made it.

    >>> from datetime import UTC
    >>> seen = Situation(datetime(2026, 1, 8, tzinfo=UTC), Status.DRIFTED, [Status.HEALTHY, Status.DRIFTED])
    >>> decide(Governor(wanted=2, nights=3), seen).sentence
    'retrain: 2 of the last 3 windows were not healthy, 2 are wanted'
    >>> decide(Governor(wanted=3, nights=3), seen).sentence
    'no retrain, because 2 of the last 3 windows were not healthy and 3 are wanted'
    """
    for rule in (_verdict_forbids, _champion_learned, _too_few, _build_in_flight, _resting):
        reason = rule(policy, situation)
        if reason:
            return Decision(False, reason[0], f"no retrain, because {reason[1]}")
    sick, seen = _sick_windows(policy, situation)
    return Decision(
        True,
        Rule.RETRAIN,
        f"retrain: {sick} of the last {seen} windows were not healthy, {policy.wanted} are wanted",
    )


Reason = tuple[Rule, str] | None


def _verdict_forbids(_: Governor, situation: Situation) -> Reason:
    match situation.status:
        case Status.BROKEN:
            return (
                Rule.BROKEN,
                "the data are broken; a model trained on them would be too. Mend the source first",
            )
        case Status.UNKNOWN:
            return Rule.UNKNOWN, "too little is known of this window to judge the model by it"
        case Status.HEALTHY:
            return Rule.HEALTHY, "the window is healthy"
    return None


def _champion_learned(_: Governor, situation: Situation) -> Reason:
    learned = situation.champion_as_of
    if learned and learned >= situation.now:
        return Rule.LEARNED, f"the champion already learned from data up to {learned:%Y-%m-%d}"
    return None


def _too_few(policy: Governor, situation: Situation) -> Reason:
    sick, seen = _sick_windows(policy, situation)
    if sick < policy.wanted:
        return (
            Rule.NOT_ENOUGH,
            f"{sick} of the last {seen} windows {'was' if sick == 1 else 'were'} not healthy "
            f"and {policy.wanted} are wanted",
        )
    return None


def _build_in_flight(_: Governor, situation: Situation) -> Reason:
    if situation.building:
        return Rule.BUILDING, f"a build is under way ({situation.building})"
    return None


def _resting(policy: Governor, situation: Situation) -> Reason:
    if situation.last_request and situation.now - situation.last_request < policy.cooldown:
        until = situation.last_request + policy.cooldown
        return (
            Rule.COOLDOWN,
            f"a retrain was asked for on {situation.last_request:%Y-%m-%d}; "
            f"the next may be asked for from {until:%Y-%m-%d} on",
        )
    return None


def _sick_windows(policy: Governor, situation: Situation) -> tuple[int, int]:
    """Return how many of the newest ``policy.nights`` windows were sick, and how many there were."""
    newest = [*situation.earlier, situation.status][-policy.nights :]
    return sum(status in SICK for status in newest), len(newest)
