"""May we retrain now? And if not, why not.

Pure: everything it needs is an argument, so that any night can be decided
again, under this policy or another.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Self

from nightshift.spec import Governor
from nightshift.verdict import Status

SICK = (Status.DRIFTED, Status.DEGRADED)
WEEK = timedelta(days=7)
DOUBLINGS_MAX = 6
"""A rest grows no longer than this many doublings: after a year of failures another one teaches nothing new."""


class Rule(StrEnum):
    """Which rule decided; the first that applies, in this order."""

    BROKEN = "broken"
    UNKNOWN = "unknown"
    LEARNED = "learned"
    HEALTHY = "healthy"
    NOT_ENOUGH = "not enough"
    BUILDING = "building"
    TRIPPED = "tripped"
    COOLDOWN = "cooldown"
    BACKOFF = "backoff"
    BUDGET = "budget"
    RETRAIN = "retrain"


class Trigger(StrEnum):
    """What asks for a retrain; the first that applies, in this order."""

    PERSON = "person"
    PERFORMANCE = "performance"
    DRIFT = "drift"
    LABELS = "labels"
    AGE = "age"


@dataclass(frozen=True)
class Decision:
    """Whether to retrain, by which rule, the sentence that explains it, and what asked (none: nothing did)."""

    retrain: bool
    rule: Rule
    sentence: str
    trigger: Trigger | None = None

    def to_json(self) -> dict[str, Any]:
        trigger = str(self.trigger) if self.trigger else None
        return {"retrain": self.retrain, "rule": str(self.rule), "sentence": self.sentence, "trigger": trigger}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        trigger = content.get("trigger")
        return cls(
            content["retrain"], Rule(content["rule"]), content["sentence"], Trigger(trigger) if trigger else None
        )


@dataclass(frozen=True)
class Retrain:
    """A retrain that was asked for by the window that ended at ``asked``; whether it ``helped``, none: not known."""

    asked: datetime
    helped: bool | None = None


@dataclass(frozen=True)
class Situation:
    """What the governor knows when it decides about the window that ends at ``now``.

    ``earlier`` are the verdicts of the windows before, oldest first, ``retrains``
    all that were asked for. ``champion_as_of`` is the moment up to which the
    champion learned, ``new_labels`` how many have matured since, ``building`` the
    run that holds the lease. ``wish`` is a person's: who and why. ``reset`` is
    when a person last forgave the retrains before. All in the model's time.
    """

    now: datetime
    status: Status
    earlier: Sequence[Status]
    retrains: Sequence[Retrain] = ()
    champion_as_of: datetime | None = None
    building: str | None = None
    new_labels: int = 0
    wish: str | None = None
    reset: datetime | None = None

    @property
    def last_asked(self) -> datetime | None:
        """When a retrain was last asked for; none if never."""
        return max((retrain.asked for retrain in self.retrains), default=None)

    @property
    def in_vain(self) -> int:
        """How many of the newest retrains in a row brought nothing better; those not yet known do not count."""
        count = 0
        for retrain in sorted(self.retrains, key=lambda one: one.asked, reverse=True):
            if retrain.helped or (self.reset and retrain.asked <= self.reset):
                break
            count += retrain.helped is False
        return count


def decide(policy: Governor, situation: Situation) -> Decision:
    """Return the decision for one window, with the rule that made it.

    A person's wish needs no illness and waits for no rest; broken data, a build
    under way and a spent budget stop it too.

    >>> from datetime import UTC
    >>> seen = Situation(datetime(2026, 1, 8, tzinfo=UTC), Status.DRIFTED, [Status.HEALTHY, Status.DRIFTED])
    >>> decide(Governor(wanted=2, nights=3), seen).sentence
    'retrain: 2 of the last 3 windows were not healthy, 2 are wanted'
    >>> decide(Governor(wanted=3, nights=3), seen).sentence
    'no retrain, because 2 of the last 3 windows were not healthy and 3 are wanted'
    """
    trigger, why = _trigger(policy, situation)
    for rule in (_data_forbid, _nothing_asks, _build_in_flight, _tripped, _resting, _budget_spent):
        reason = rule(policy, situation, trigger)
        if reason:
            return Decision(False, reason[0], f"no retrain, because {reason[1]}", trigger)
    return Decision(True, Rule.RETRAIN, f"retrain: {why}", trigger)


Reason = tuple[Rule, str] | None


def _trigger(policy: Governor, situation: Situation) -> tuple[Trigger | None, str]:
    """Return what asks for a retrain, and in which words."""
    sick, seen = sick_windows(policy, situation.earlier, situation.status)
    if situation.wish:
        return Trigger.PERSON, f"{situation.wish} asked for it"
    if situation.status in SICK and sick >= policy.wanted:
        trigger = Trigger.PERFORMANCE if situation.status is Status.DEGRADED else Trigger.DRIFT
        return trigger, f"{sick} of the last {seen} windows were not healthy, {policy.wanted} are wanted"
    if policy.new_labels and situation.new_labels >= policy.new_labels:
        return Trigger.LABELS, f"{situation.new_labels:,} labels are new since the champion learned"
    if policy.age and situation.champion_as_of and situation.now - situation.champion_as_of >= policy.age:
        days = (situation.now - situation.champion_as_of).days
        return Trigger.AGE, f"the champion learned {days} days ago, up to {situation.champion_as_of:%Y-%m-%d}"
    return None, ""


def _data_forbid(_: Governor, situation: Situation, trigger: Trigger | None) -> Reason:
    if situation.status is Status.BROKEN:
        return Rule.BROKEN, "the data are broken; a model trained on them would be too. Mend the source first"
    if situation.status is Status.UNKNOWN and trigger is not Trigger.PERSON:
        return Rule.UNKNOWN, "too little is known of this window to judge the model by it"
    return None


def _nothing_asks(policy: Governor, situation: Situation, trigger: Trigger | None) -> Reason:
    learned = situation.champion_as_of
    if trigger is Trigger.PERSON:
        return None
    if learned and learned >= situation.now:
        return Rule.LEARNED, f"the champion already learned from data up to {learned:%Y-%m-%d}"
    if trigger:
        return None
    if situation.status is Status.HEALTHY:
        return Rule.HEALTHY, "the window is healthy"
    sick, seen = sick_windows(policy, situation.earlier, situation.status)
    return (
        Rule.NOT_ENOUGH,
        f"{sick} of the last {seen} windows {'was' if sick == 1 else 'were'} not healthy "
        f"and {policy.wanted} are wanted",
    )


def _build_in_flight(_: Governor, situation: Situation, __: Trigger | None) -> Reason:
    if situation.building:
        return Rule.BUILDING, f"a build is under way ({situation.building})"
    return None


def _tripped(policy: Governor, situation: Situation, trigger: Trigger | None) -> Reason:
    """Leave it to a person once retrains have failed time and again: another one would not help either."""
    if situation.in_vain < policy.patience or trigger is Trigger.PERSON:
        return None
    return (
        Rule.TRIPPED,
        f"the last {situation.in_vain} retrains brought nothing better; "
        "a person must look, and then `nightshift reset` the governor",
    )


def _resting(policy: Governor, situation: Situation, trigger: Trigger | None) -> Reason:
    asked, in_vain = situation.last_asked, situation.in_vain
    if asked is None or trigger is Trigger.PERSON:
        return None
    rest = policy.cooldown * 2 ** min(in_vain, DOUBLINGS_MAX)
    if situation.now - asked >= rest:
        return None
    words = f"a retrain was asked for on {asked:%Y-%m-%d}; the next may be asked for from {asked + rest:%Y-%m-%d} on"
    if situation.now - asked < policy.cooldown:
        return Rule.COOLDOWN, words
    vain = "the last retrain" if in_vain == 1 else f"the last {in_vain} retrains"
    return Rule.BACKOFF, f"{words}, later than usual since {vain} brought nothing better"


def _budget_spent(policy: Governor, situation: Situation, _: Trigger | None) -> Reason:
    """Count the retrains within a week on either side: an old window judged again must not pass the budget either."""
    near = sum(abs(retrain.asked - situation.now) < WEEK for retrain in situation.retrains)
    if near < policy.weekly:
        return None
    return Rule.BUDGET, f"{near} {'was' if near == 1 else 'were'} asked for within a week, and {policy.weekly} may be"


def sick_windows(policy: Governor, earlier: Sequence[Status], status: Status) -> tuple[int, int]:
    """Return how many of the newest ``policy.nights`` windows were sick, and how many there were.

    >>> sick_windows(Governor(wanted=2, nights=3), [Status.HEALTHY, Status.DRIFTED], Status.DRIFTED)
    (2, 3)
    """
    newest = [*earlier, status][-policy.nights :]
    return sum(status in SICK for status in newest), len(newest)
