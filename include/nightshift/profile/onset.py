"""How a column came to where it is: suddenly, gradually, long ago, or as on each such weekday before.

The training profile says that a column moved. Two more baselines stand beside it,
the windows of the weeks before and those of the same weekday, and say since when.
The words are those of the literature on concept drift [1].

[1] J. Gama et al., A survey on concept drift adaptation, ACM Computing Surveys 46 (2014), section 2.3.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import reduce
from typing import Any

import numpy as np

from nightshift.profile.feature import FeatureProfile
from nightshift.profile.movement import Movement
from nightshift.profile.movers import NEGLIGIBLE
from nightshift.profile.profile import Profile
from nightshift.spec import Kind
from nightshift.verdict import Check, Status

WEEK = timedelta(weeks=1)
NOT_OF_A_COLUMN = frozenset({"bond"})
"""Findings about how columns go together: profiles of single columns do not show them."""
ALIKE, UNLIKE = 0.4, 0.7
"""A window is like the one that is judged if it is nearer than such a part of the way from training, or not at all."""
SAME_WEEKDAYS_MIN = 2
GRADUAL_MIN = 3
"""A way of fewer windows than this is a step."""
CLEARLY = 0.5
"""A slope must leave less than such a part of what a step leaves unexplained."""


class Onset(StrEnum):
    """How a movement began."""

    SUDDEN = "sudden"
    GRADUAL = "gradual"
    LASTING = "lasting"
    RECURRING = "recurring"


@dataclass(frozen=True)
class Earlier:
    """A window before the one that is judged, profiled on the bins of the same reference."""

    start: datetime
    profile: Profile


@dataclass(frozen=True)
class Course:
    """How far a column of a window is from each baseline, and how it came there.

    Distances are in deviations of a row (``location``), in Cohen's w (``mix``) or
    in shares of rows (``missing``); ``trailing`` and ``same_weekday`` are none
    where no such window is known. ``windows`` is how many of the weeks before are
    known, ``over`` how many of them a gradual movement took, ``since`` where a
    lasting one began, if that was seen.
    """

    column: str
    finding: str
    measure: str
    training: float
    trailing: float | None
    same_weekday: float | None
    windows: int
    onset: Onset
    over: int = 0
    since: datetime | None = None

    @property
    def sentence(self) -> str:
        """Say it to a person, as the end of a sentence."""
        before = "the window before" if self.windows == 1 else f"the {self.windows} windows before"
        match self.onset:
            case Onset.SUDDEN:
                return f"suddenly, unlike {before}"
            case Onset.GRADUAL:
                return f"gradually, over {self.over} windows"
            case Onset.RECURRING:
                return f"like the {self.over} windows of the same weekday before, unlike other days"
        return f"since {self.since.day} {self.since:%b}" if self.since else f"like {before}"

    def to_json(self) -> dict[str, Any]:
        since = self.since.isoformat() if self.since else None
        return {**self.__dict__, "onset": str(self.onset), "since": since}


def courses_of(
    checks: Sequence[Check],
    reference: Profile,
    current: Profile,
    earlier: Sequence[Earlier],
    *,
    start: datetime,
    length: timedelta,
) -> Iterator[Course]:
    """Yield the course of each column that ``checks`` speak of; nothing where no earlier window is known.

    Parameters
    ----------
    earlier
        Windows as long as this one, oldest first.
    start, length
        Of the window that is judged. Weekdays are told apart only by windows shorter than a week.
    """
    for check in checks:
        name = check.subject
        if check.status is Status.HEALTHY or check.name in NOT_OF_A_COLUMN:
            continue
        if name in reference.columns and name in current.columns:
            before, now = reference.columns[name], current.columns[name]
            found = _course(check, before, now, [one for one in earlier if name in one.profile.columns], start, length)
            if found is not None:
                yield found


def trailing_of(column: str, earlier: Sequence[Earlier]) -> FeatureProfile | None:
    """Return a column's profile over all the windows before together; none if none of them had it."""
    columns = [one.profile.columns[column] for one in earlier if column in one.profile.columns]
    return reduce(lambda one, other: one.merge(other), columns) if columns else None


def _course(
    check: Check,
    before: FeatureProfile,
    now: FeatureProfile,
    earlier: Sequence[Earlier],
    start: datetime,
    length: timedelta,
) -> Course | None:
    measure = _measure_for(check, before, now)
    training = _distance(before, now, measure)
    columns = [one.profile.columns[check.subject] for one in earlier]
    ways = [_distance(column, now, measure) for column in columns]
    known = [place for place, way in enumerate(ways) if way is not None]
    if not known or not training or training < NEGLIGIBLE / 2:
        return None
    columns, starts = [columns[place] for place in known], [earlier[place].start for place in known]
    apart = np.array([ways[place] for place in known], dtype=float) / training
    same = np.array([length < WEEK and (start - one) % WEEK == timedelta() for one in starts])
    onset, over, place = _onset(apart, same)
    weekdays = [column for column, is_same in zip(columns, same, strict=True) if is_same]
    trailing, same_weekday = (_merged_distance(some, now, measure) for some in (columns, weekdays))
    since = None if place is None else starts[place]
    known_as = check.subject, check.name, measure
    return Course(*known_as, training, trailing, same_weekday, len(columns), onset, over, since)


def _measure_for(check: Check, before: FeatureProfile, now: FeatureProfile) -> str:
    """Return the measure in which a finding shows best."""
    if check.name == "missing":
        return "missing"
    location = _distance(before, now, "location") if before.kind is Kind.NUMERIC else None
    return "location" if location and location >= (_distance(before, now, "mix") or 0.0) / 2 else "mix"


def _distance(before: FeatureProfile, now: FeatureProfile, measure: str) -> float | None:
    """Return how far two profiles of a column are apart; none if one of them has no rows to say."""
    if measure == "missing":
        return abs(now.missing_share - before.missing_share) if before.rows and now.rows else None
    found = Movement.of(before, now).measures.get(measure)
    return found.effect if found else None


def _merged_distance(columns: Sequence[FeatureProfile], now: FeatureProfile, measure: str) -> float | None:
    return _distance(reduce(lambda one, other: one.merge(other), columns), now, measure) if columns else None


def _onset(apart: np.ndarray, same: np.ndarray) -> tuple[Onset, int, int | None]:
    """Return how it began, over how many windows, and at which of them.

    ``apart`` is each earlier window's distance from this one, in parts of the
    way from training, oldest first: a step, a slope that ends now, or nothing but
    noise, whichever leaves the least unexplained.
    """
    others = apart[~same]
    if len(others) and int(same.sum()) >= SAME_WEEKDAYS_MIN and others.mean() > UNLIKE and apart[same].max() < ALIKE:
        return Onset.RECURRING, int(same.sum()), None
    if np.sqrt(np.mean(apart**2)) < ALIKE:
        return Onset.LASTING, len(apart), None
    steps = [_unexplained(apart, np.arange(len(apart)) < place) for place in range(1, len(apart) + 1)]
    place = int(np.argmin(steps)) + 1
    back = np.arange(len(apart), 0, -1.0)
    slopes = {over: _unexplained(apart, np.minimum(back, over)) for over in range(GRADUAL_MIN, len(apart) + 1)}
    over = min(slopes, key=lambda one: slopes[one], default=0)
    if over and slopes[over] < CLEARLY * min(steps):
        return Onset.GRADUAL, over, None
    return (Onset.SUDDEN, 1, None) if place == len(apart) else (Onset.LASTING, len(apart) - place, place)


def _unexplained(apart: np.ndarray, shape: np.ndarray) -> float:
    """Return the sum of squares that the best multiple of ``shape`` leaves."""
    shape = shape.astype(float)
    size = float(apart @ shape / (shape @ shape))
    return float(((apart - size * shape) ** 2).sum())
