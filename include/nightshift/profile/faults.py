"""What is broken in a window: faults on the way to it, which a model must not learn from.

Each is an exact test of a share that should be none, or no larger than it was;
the reference's own windows say how large that is.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nightshift.profile import shares
from nightshift.profile.budget import FAULT_WEIGHTS
from nightshift.profile.distance import distances
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.movement import Movement
from nightshift.profile.shares import Share, Spike
from nightshift.profile.units import other_unit
from nightshift.profile.variation import Variation
from nightshift.spec import Kind
from nightshift.verdict import Check, Status

SHARE_MIN = 0.005
"""A smaller share of rows is no fault of the column."""
MISSING_MIN = 0.02
COMING_AND_GOING_MIN = 0.1
"""So many more nulls are a fault where nulls come and go by themselves."""
NEWCOMERS_MIN = 0.01
ROWS_MIN = 3
BEYOND_OWN = 1.5
"""A share is new if it is so many times the largest that any window of the reference had."""
STUCK = 0.1
STUCK_VALUES_MIN, STUCK_BEFORE_MAX = 10, 0.2
CONSTANT_ROWS_MIN = 20
USUAL_SHARE = 0.5
AS_BEFORE_MIN, KNOWN_AS_BEFORE_MIN = 1e-4, 0.01
"""So probable must what the others did be beside a value that was never there, and one that was, but rarely."""
FAR_WIDTHS = 1.0
NOTHINGS = frozenset({
    "", "-", "--", ".", "?", "null", "none", "nan", "na", "n/a", "#n/a", "nil", "undefined", "missing", "unknown",
    "-1", "999", "9999", "-999", "-9999",
})  # fmt: skip
"""Names that stand for no name, if the reference never had them."""


@dataclass(frozen=True)
class Pair:
    """One column of the reference, the same of the window, and what a finding there may cost."""

    name: str
    before: FeatureProfile
    now: FeatureProfile
    own: Variation
    alpha: float

    @cached_property
    def moved(self) -> Movement:
        return Movement.of(self.before, self.now)

    @cached_property
    def distances(self) -> Mapping[str, float]:
        """How far the two are apart, by name."""
        return distances(self.before, self.now, self.moved)

    def check(self, name: str, sentence: str, share: Share, *, status: Status = Status.BROKEN) -> Check:
        return Check(name, status, self.name, sentence, share.now, self.allowed(name, share), self.now.rows)

    def allowed(self, statistic: str, share: Share) -> float:
        """The share below which nobody would have spoken."""
        return max(share.then, self.own.swing(self.name, statistic).worst, SHARE_MIN)

    @property
    def swings(self) -> bool:
        """Say whether the column's values differ from window to window by more than chance."""
        return self.own.swings_by_itself(self.name)

    def is_sure(self, statistic: str, tail: float) -> bool:
        return tail <= self.alpha * FAULT_WEIGHTS[statistic]

    def is_new(self, statistic: str, share: Share) -> bool:
        """Say whether a share is large enough, and larger than any that a window of the reference had."""
        own = self.own.swing(self.name, statistic).reach
        return share.count >= ROWS_MIN and share.now >= SHARE_MIN and share.now > BEYOND_OWN * own


def faults_of(pair: Pair) -> Iterator[Check]:
    """Yield what is wrong with one column; nothing for an honest one, whatever its shift."""
    if pair.now.rows:
        for look in (_types, _missing, _odd, _constant, _spike, _far, _names):
            found = look(pair)
            if found is not None:
                yield found


def newcomers_of(pair: Pair) -> Iterator[Check]:
    """Yield what a column never had, and may have honestly now: new names, numbers beyond its range."""
    for statistic, share, what in (
        ("unseen", shares.unseen(pair.before, pair.now), "values never seen in training"),
        ("outside", shares.outside(pair.before, pair.now), "numbers beyond the range of training"),
    ):
        if pair.swings and (statistic == "outside" or pair.now.kind is Kind.NUMERIC):
            continue
        if (
            share.now >= NEWCOMERS_MIN
            and pair.is_new(statistic, share)
            and pair.is_sure(statistic, _tail(pair, statistic, share))
        ):
            sentence = f"{pair.name} has {what} in {share.now:.1%} of rows{_examples(pair, statistic)}"
            yield pair.check(statistic, sentence, share, status=Status.DRIFTED)


def _tail(pair: Pair, statistic: str, share: Share) -> float:
    """Return how probable so large a share is, expecting what the reference's windows had for their own."""
    usual = pair.own.swing(pair.name, statistic).mean
    expected = max(share.before, round(usual * share.rows_before))
    return Share(share.count, share.rows, expected, share.rows_before).measure.tail


def _types(pair: Pair) -> Check | None:
    """Look for values of a type that the column never had: text among numbers, numbers among names."""
    new = {kind: count for kind, count in pair.now.types.items() if kind not in pair.before.types}
    share = Share(sum(new.values()), pair.now.rows, 0, pair.before.rows)
    if not new or not pair.before.types or share.count < ROWS_MIN or share.now < SHARE_MIN:
        return None
    usual = " and ".join(sorted(pair.before.types))
    return pair.check("type", f"{pair.name} is {' and '.join(new)} in {share.now:.1%} of rows, was {usual}", share)


def _missing(pair: Pair) -> Check | None:
    share, swing = shares.missing(pair.before, pair.now), pair.own.swing(pair.name, "missing")
    least = COMING_AND_GOING_MIN if swing.variance else MISSING_MIN
    if (
        share.now - share.then < least
        or share.count < ROWS_MIN
        or not pair.is_sure("missing", swing.tail(share.measure))
    ):
        return None
    sentence = f"{pair.name} is null in {share.now:.1%} of rows, {share.then:.1%} in training"
    return pair.check("missing", sentence, share)


def _odd(pair: Pair) -> Check | None:
    share = shares.foreign(pair.before, pair.now)
    if not share.count or share.before or not pair.now.infinite:
        return None
    return pair.check("infinite", f"{pair.name} is infinite in {share.count:,} rows, never in training", share)


def _constant(pair: Pair) -> Check | None:
    """Look for a column that is stuck; one value all week is weather if it was most of the training too.

    Nor is a known value a fault where windows of the reference had but one each, as a day has one weekday.
    """
    now, before = pair.now, pair.before
    value, count = max(now.counts.items(), key=lambda one: one[1], default=("", 0))
    if count != now.known or count < CONSTANT_ROWS_MIN:
        return None
    share = Share(count, now.rows, before.counts.get(value, 0), before.rows)
    usual, most = share.before / max(before.known, 1), pair.own.swing(pair.name, "most").worst
    if most == 1.0 and (share.before or not pair.is_new("spike", share)):
        return None
    if (usual >= USUAL_SHARE and pair.swings) or not pair.is_sure("spike", share.measure.tail):
        return None
    return pair.check("constant", f"{pair.name} is {_said(value, now)} in all {count:,} rows", share)


def _spike(pair: Pair) -> Check | None:
    """Look for a number that stands for something else, or that a sensor is stuck at."""
    if pair.now.kind is not Kind.NUMERIC:
        return None
    least = max(SHARE_MIN, BEYOND_OWN * pair.own.swing(pair.name, "spike").reach)
    found = shares.spike(pair.before, pair.now, least=least)
    if found is None or not pair.is_sure("spike", found.tail) or not _is_spike(pair, found):
        found = _stuck(pair)
    if found is None or found.share.count == pair.now.known:
        return None
    inside = shares.beyond_range(pair.before, float(found.value)) == 0
    name = "stuck" if inside and found.share.now >= STUCK else "sentinel"
    then, now = found.share.then, found.share.now
    sentence = f"{pair.name} is {_said(found.value, pair.now)} in {now:.1%} of rows, {then:.1%} in training"
    return Check(name, Status.BROKEN, pair.name, sentence, now, max(least, then), pair.now.rows)


def _stuck(pair: Pair) -> Spike | None:
    """Return a value among many that the reference knew, and that alone has grown; not where values come and go."""
    found = shares.grown(pair.before, pair.now)
    if found is None or pair.swings or len(pair.before.counts) < STUCK_VALUES_MIN:
        return None
    large = found.share.now - found.share.then >= STUCK and found.share.then <= STUCK_BEFORE_MAX
    return found if large and pair.is_sure("spike", found.tail) and _stands_alone(pair, found) else None


def _is_spike(pair: Pair, spike: Spike) -> bool:
    """Say whether a value stands alone; of one that was known, if only rarely, much must be as it was."""
    if not shares.is_known(pair.before, spike.value):
        return _stands_alone(pair, spike)
    return not pair.swings and _stands_alone(pair, spike, least=KNOWN_AS_BEFORE_MIN)


def _stands_alone(pair: Pair, spike: Spike, *, least: float = AS_BEFORE_MIN) -> bool:
    """Say whether the other numbers are as they were: where all moved, new values are no wonder."""
    value = float(spike.value)
    if shares.beyond_range(pair.before, value) > FAR_WIDTHS * shares.width(pair.before):
        return True
    moved = pair.moved
    place = int(np.searchsorted(pair.before.edges, value, side="right"))
    before, now = moved.before.copy(), moved.now.copy()
    now[place] -= spike.share.count
    before[place] -= min(spike.share.before, before[place])
    rest = replace(moved, before=before, now=now).measures
    usual = all(pair.own.swing(pair.name, name).tail(one) >= least for name, one in rest.items())
    return usual and not shares.has_lost_values(pair.before, pair.now)


def _far(pair: Pair) -> Check | None:
    """Look for numbers so far out that no honest shift has carried them there."""
    share = shares.outside(pair.before, pair.now, widths=FAR_WIDTHS)
    if share.count < ROWS_MIN or share.now < SHARE_MIN or not pair.is_sure("outside", share.measure.tail):
        return None
    unit = other_unit(pair.before, pair.now)
    if unit:
        sentence = f"{pair.name} is {unit.sentence}: another unit?"
        return pair.check("unit", sentence, share)
    sentence = f"{pair.name} is far beyond the range of training in {share.now:.1%} of rows"
    return pair.check("range", sentence, share)


def _names(pair: Pair) -> Check | None:
    """Look for names that stand for nothing, and for known ones in another spelling."""
    if pair.now.kind is not Kind.CATEGORICAL or pair.before.often.floor:
        return None
    new = {name: count for name, count in pair.now.counts.items() if name not in pair.before.counts}
    if sum(new.values()) < ROWS_MIN:  # spelling is looked at only where there is enough to tell of
        return None
    plain = {_plain(name) for name in pair.before.counts}
    wrong = {name: count for name, count in new.items() if _plain(name) in NOTHINGS or _plain(name) in plain}
    share = Share(sum(wrong.values()), pair.now.rows, 0, pair.before.rows)
    # not held to how many honest newcomers windows had: those had none of these
    if share.count < ROWS_MIN or share.now < SHARE_MIN or not pair.is_sure("unseen", share.measure.tail):
        return None
    most = max(wrong, key=lambda name: wrong[name])
    known = "stands for nothing" if _plain(most) in NOTHINGS else "is a known name in another spelling"
    return pair.check("names", f"{pair.name} is {most!r} in {share.now:.1%} of rows, which {known}", share)


def unit_of(pair: Pair) -> Check | None:
    """Look for another unit in a column that has moved within its range."""
    unit = other_unit(pair.before, pair.now) if pair.now.kind is Kind.NUMERIC else None
    if unit is None:
        return None
    share = Share(round(unit.part * pair.now.rows), pair.now.rows, 0, pair.before.rows)
    sentence = f"{pair.name} is {unit.sentence}: another unit?"
    return pair.check("unit", sentence, share)


def _plain(name: str) -> str:
    return "".join(name.casefold().split())


def _said(value: str, column: FeatureProfile) -> str:
    return f"{float(value):g}" if column.kind is Kind.NUMERIC else repr(value)


def _examples(pair: Pair, statistic: str) -> str:
    if statistic != "unseen":
        return ""
    new = {_said(name, pair.now): n for name, n in pair.now.counts.items() if name not in pair.before.counts}
    most = sorted(new, key=lambda name: (-new[name], name))[:3]
    return f" ({', '.join(most)}{', …' if len(new) > len(most) else ''})"
