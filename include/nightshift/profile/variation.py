"""How much the reference itself varies from window to window: what no later window may be blamed for."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from nightshift.profile.distance import psi
from nightshift.profile.profile import Profile

FORMAT = 1


@dataclass(frozen=True)
class Variation:
    """The reference's own windows against the whole of it.

    ``drift`` holds each window's mean PSI of the columns weighted by importance,
    in order of time; ``missing`` the largest share of nulls that any window had,
    by column. Both empty if the reference was not cut.
    """

    drift: tuple[float, ...] = ()
    missing: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, reference: Profile, windows: Iterable[Profile], importance: Mapping[str, float]) -> Self:
        """Return the variation of ``windows``, each profiled on the bins of ``reference``."""
        seen = list(windows)
        return cls(
            tuple(drift_of(reference, window, importance) for window in seen),
            {name: max((w.columns[name].missing_share for w in seen), default=0.0) for name in importance},
        )

    @property
    def worst_drift(self) -> float:
        """The largest drift of any window; 0 if there was none."""
        return max(self.drift, default=0.0)

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "drift": list(self.drift), "missing": dict(self.missing)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(tuple(content["drift"]), dict(content["missing"]))


def drift_of(reference: Profile, current: Profile, importance: Mapping[str, float]) -> float:
    """Return the mean PSI of the columns in ``importance``, weighted by it; columns that are gone are left out."""
    there = [name for name in importance if name in current.columns]
    return sum(importance[name] * psi(reference.columns[name], current.columns[name]) for name in there)
