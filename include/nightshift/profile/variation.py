"""How much the reference itself varies from window to window: what no later window may be blamed for."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from nightshift.profile import shares
from nightshift.profile.distance import psi
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.movement import Measure, Movement
from nightshift.profile.profile import Profile
from nightshift.profile.swing import Swing
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
        together = _together(reference, seen)
        swings = {
            name: {
                **_swings_of(column, [window.columns[name] for window in seen]),
                **{kind: Swing.around_zero(found) for kind, found in together.get(name, {}).items()},
            }
            for name, column in reference.columns.items()
            if all(name in window.columns for window in seen)
        }
        drift = tuple(drift_of(reference, window, importance) for window in seen)
        return cls(drift, tuple(window.rows for window in seen), swings if seen else {})

    @property
    def worst_drift(self) -> float:
        """The largest drift of any window; 0 if there was none."""
        return max(self.drift, default=0.0)

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


def _swings_of(whole: FeatureProfile, windows: Sequence[FeatureProfile]) -> dict[str, Swing]:
    moved = [Movement.of(whole, window).measures for window in windows]
    found = {}
    for statistic in moved[0] if moved else ():
        own = [measures[statistic] for measures in moved if statistic in measures]
        signed = statistic in ("location", "spread")
        found[statistic] = Swing.around_zero(own) if signed else Swing.of_sizes(own)
    found["missing"] = Swing.around_zero([shares.missing(whole, window).measure for window in windows])
    for statistic, sizes in shares.left_out(windows).items():
        found[statistic] = _of_shares(sizes)
    return found


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
