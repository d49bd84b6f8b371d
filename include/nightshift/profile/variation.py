"""How much the reference itself varies from window to window: what no later window may be blamed for."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from nightshift.profile import shares
from nightshift.profile.distance import psi
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.movement import Measure, Movement
from nightshift.profile.profile import Profile
from nightshift.profile.swing import WINDOWS_MIN, Swing
from nightshift.profile.tails import student_reach
from nightshift.profile.together import Bonds

FORMAT = 2
NONE = Swing()


@dataclass(frozen=True)
class Variation:
    """The reference's own windows against the whole of it.

    ``drift`` holds each window's mean PSI of the columns weighted by importance,
    in order of time; ``rows`` their sizes; ``swings`` how each statistic of each
    column varies. All empty if the reference was not cut.
    """

    drift: tuple[float, ...] = ()
    rows: tuple[int, ...] = ()
    swings: Mapping[str, Mapping[str, Swing]] = field(default_factory=dict)

    @classmethod
    def of(cls, reference: Profile, windows: Iterable[Profile], importance: Mapping[str, float]) -> Self:
        """Return the variation of ``windows``, each profiled on the bins of ``reference``."""
        seen = list(windows)
        return cls._between(reference, [(reference, window) for window in seen], importance)

    @classmethod
    def of_parts(cls, reference: Profile, windows: Iterable[Profile], importance: Mapping[str, float]) -> Self:
        """Return the variation of windows whose rows are among the reference's: each is held to all the others.

        Held to what holds them too they would look more alike than the next one will be.
        """
        return cls._between(reference, [(reference.without(window), window) for window in windows], importance)

    @classmethod
    def _between(
        cls, whole: Profile, pairs: Sequence[tuple[Profile, Profile]], importance: Mapping[str, float]
    ) -> Self:
        seen = [window for _, window in pairs]
        together = _together(whole, seen)
        swings = {
            name: {
                **_swings_of([(before.columns[name], window.columns[name]) for before, window in pairs]),
                **_bound_swings(together.get(name, {})),
            }
            for name in whole.columns
            if all(name in window.columns for window in seen)
        }
        drift = tuple(drift_of(before, window, importance) for before, window in pairs)
        return cls(drift, tuple(window.rows for window in seen), swings if seen else {})

    @property
    def worst_drift(self) -> float:
        """The largest drift of any window; 0 if there was none."""
        return max(self.drift, default=0.0)

    def drift_within(self, alpha: float) -> float:
        """Return the drift that a window like these exceeds as seldom as ``alpha``; 0 if there was none.

        The next of forty is beyond the worst of them once in forty-one times: so the
        logarithms of all are asked, and the worst is the least. Those above their mean
        lie further from it than those below, and only they tell how far more goes (two
        normal halves: G. Fechner, Kollektivmasslehre, 1897; Student's law, for one more).
        """
        worst = self.worst_drift
        if len(self.drift) < WINDOWS_MIN or min(self.drift) <= 0:
            return worst
        logs = [math.log(one) for one in self.drift]
        mean = sum(logs) / len(logs)
        above = [one - mean for one in logs if one > mean] or [0.0]
        variance = sum(one**2 for one in above) / len(above) * (1 + 1 / len(logs))
        # exp of a few hundred is as good as no limit, and still a number
        return max(worst, math.exp(min(mean + student_reach(alpha, variance, len(above) + 1), 300.0)))

    def swing(self, column: str, statistic: str) -> Swing:
        """Return how a statistic of a column swings; nothing is known of one that was not watched."""
        return self.swings.get(column, {}).get(statistic, NONE)

    def swings_by_itself(self, column: str) -> bool:
        """Say whether the values of a column differ from window to window by more than chance."""
        return any(self.swing(column, statistic).variance > 0 for statistic in ("location", "mix"))

    def to_json(self) -> dict[str, Any]:
        swings = {
            name: {statistic: swing.to_json() for statistic, swing in own.items()} for name, own in self.swings.items()
        }
        return {"format": FORMAT, "drift": list(self.drift), "rows": list(self.rows), "swings": swings}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        swings = {
            name: {statistic: Swing.from_json(swing) for statistic, swing in own.items()}
            for name, own in content["swings"].items()
        }
        return cls(tuple(content["drift"]), tuple(content["rows"]), swings)


def _swings_of(pairs: Sequence[tuple[FeatureProfile, FeatureProfile]]) -> dict[str, Swing]:
    moved = [Movement.of(before, window).measures for before, window in pairs]
    found = {}
    for statistic in dict.fromkeys(statistic for measures in moved for statistic in measures):
        own = [measures[statistic] for measures in moved if statistic in measures]
        signed = statistic in ("location", "spread")
        found[statistic] = Swing.around_zero(own) if signed else Swing.of_sizes(own)
    found["missing"] = Swing.around_zero([shares.missing(before, window).measure for before, window in pairs])
    for statistic, sizes in shares.left_out([window for _, window in pairs]).items():
        found[statistic] = _of_shares(sizes)
    return found


def _bound_swings(together: Mapping[str, Sequence[Measure]]) -> dict[str, Swing]:
    """Return the swings of what the other columns say of one."""
    return {
        statistic: Swing.of_places(measures) if statistic == "foretold" else Swing.around_zero(measures)
        for statistic, measures in together.items()
    }


def _of_shares(sizes: Sequence[float]) -> Swing:
    """Return the swing of shares that would all be 0 if windows were alike."""
    if not sizes:
        return NONE
    mean = sum(sizes) / len(sizes)
    variance = sum((size - mean) ** 2 for size in sizes) / max(len(sizes) - 1, 1)
    return Swing(len(sizes), mean, variance, max(sizes))


def _together(reference: Profile, windows: Sequence[Profile]) -> dict[str, dict[str, list[Measure]]]:
    """Return the measures of each column's bond with the others, over the windows."""
    bonds = Bonds.of(reference)
    found: dict[str, dict[str, list[Measure]]] = {}
    for window in windows:
        for name, measures in bonds.measures(window.sample).items():
            for statistic, measure in measures.items():
                found.setdefault(name, {}).setdefault(statistic, []).append(measure)
    return found


def drift_of(reference: Profile, current: Profile, importance: Mapping[str, float]) -> float:
    """Return the mean PSI of the columns in ``importance``, weighted by it; columns that are gone are left out."""
    there = [name for name in importance if name in current.columns and name in reference.columns]
    return sum(importance[name] * psi(reference.columns[name], current.columns[name]) for name in there)
