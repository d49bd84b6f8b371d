"""Two distributions of one column laid over each other: what the model learned from, and a window."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from nightshift.errors import NightshiftError
from nightshift.files import read_json
from nightshift.ledger import Entry
from nightshift.registry import ModelRegistry
from nightshift.registry.release import VERSION
from nightshift.settings import Settings
from nightshift.views.heat import folder_of

BARS = 36
CATEGORIES = 24
TAIL = 0.002
"""So much of either side may lie beyond the picture; it is told beside it."""
FEW = 40
"""So many different numbers are shown one by one."""


@dataclass(frozen=True)
class Side:
    """One column's facts on one side of the picture; ``mean`` and ``deviation`` are none of names and of no rows."""

    rows: int
    missing: float
    mean: float | None
    deviation: float | None
    lowest: float | None
    highest: float | None

    @classmethod
    def of(cls, column: Mapping[str, Any]) -> Self:
        """Return the facts in a column's profile."""
        rows, known = column["rows"], _known(column)
        numeric = bool(column.get("bins")) and known > 0
        mean = column["total"] / known if numeric else 0.0
        return cls(
            rows=rows,
            missing=column["missing"] / rows if rows else 0.0,
            mean=column["centre"] + column["unit"] * mean if numeric else None,
            deviation=column["unit"] * max(column["squares"] / known - mean**2, 0.0) ** 0.5 if numeric else None,
            lowest=column.get("lowest"),
            highest=column.get("highest"),
        )


@dataclass(frozen=True)
class Overlay:
    """Shares of the known values by bar, before and now; ``labels`` name the bars, ``beyond`` is left out of them.

    ``edges`` are those of the bars of a numeric column, one more than bars;
    empty where a bar is one value or one name. ``weeks`` and ``trailing`` are of
    the windows before, empty and none where the column did not speak.
    """

    column: str
    labels: tuple[str, ...]
    edges: tuple[float, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]
    beyond: tuple[float, float]
    reference: Side
    window: Side
    weeks: tuple[float, ...] = ()
    trailing: Side | None = None

    @property
    def bars(self) -> list[tuple[str, float, float]]:
        """The same as a table: label, share before, share now."""
        return list(zip(self.labels, self.before, self.now, strict=True))


def overlay_of(settings: Settings, entry: Entry, column: str) -> Overlay | None:
    """Return what a window's column is laid over; none if one of the two profiles is not kept any more.

    The reference is the profile in the package of the version that answered the
    window; a package that is not on this machine is fetched from the registry.
    """
    window = _of_run(settings, entry, "profile.json")
    weeks = _of_run(settings, entry, "baselines.json").get("trailing", {}).get(column)
    reference = _reference(settings, entry.model, str(entry.body["version"]))
    for part in ("inputs", "output"):
        before, now = (whole.get(part, {}).get("columns", {}).get(column) for whole in (reference, window))
        if before and now:
            return overlay(column, before, now, weeks)
    return None


def overlay(
    column: str, reference: Mapping[str, Any], window: Mapping[str, Any], weeks: Mapping[str, Any] | None = None
) -> Overlay:
    """Return one column of two profiles, as JSON holds them, on the same bars; ``weeks`` is that of the windows before.

    Examples
    --------
    >>> from nightshift.profile.feature import FeatureProfile
    >>> from nightshift.spec import Kind
    >>> before = FeatureProfile.of(["a", "a", "b", None], Kind.CATEGORICAL).to_json()
    >>> now = FeatureProfile.of(["a", "c"], Kind.CATEGORICAL).to_json()
    >>> overlay("colour", before, now).labels
    ('a', 'b', 'c')
    >>> overlay("colour", before, now).now
    (0.5, 0.0, 0.5)
    """
    sides = [side for side in (reference, window, weeks) if side]
    edges: tuple[float, ...] = ()
    if "counts" in reference:
        labels, shares = _names([side["counts"] for side in sides])
    elif all(map(_is_few, sides)):
        labels, shares = _values([side["often"] for side in sides])
    else:
        edges, labels, shares = _histogram(sides)
    before, now, *rest = shares
    beyond = (_beyond(reference, before), _beyond(window, now))
    facts = Side.of(reference), Side.of(window)
    return Overlay(
        column, labels, edges, before, now, beyond, *facts, rest[0] if rest else (), Side.of(weeks) if weeks else None
    )


def _of_run(settings: Settings, entry: Entry, name: str) -> dict[str, Any]:
    """Return what the run that judged a window wrote; nothing if it is not kept."""
    try:
        found: dict[str, Any] = read_json(folder_of(settings, entry) / name)
    except (OSError, ValueError):
        return {}
    return found


def _reference(settings: Settings, model: str, version: str) -> dict[str, Any]:
    if not re.fullmatch(VERSION, version):
        return {}
    kept = settings.releases / model / version / "package" / "profile.json"
    try:
        if not kept.exists():
            registry = ModelRegistry(settings.mlflow, settings.releases, wait_seconds=2)
            kept = registry.fetch(model, version) / "profile.json"
        found: dict[str, Any] = read_json(kept)
    except (NightshiftError, OSError, ValueError):
        return {}
    return found


def _known(column: Mapping[str, Any]) -> int:
    return int(column["rows"] - column["missing"] - column.get("foreign", 0) - column.get("infinite", 0))


def _is_few(column: Mapping[str, Any]) -> bool:
    return len(column["often"]) <= FEW and column["floor"] == 0 and sum(column["often"].values()) == _known(column)


def _beyond(column: Mapping[str, Any], shares: Sequence[float]) -> float:
    """Return the share of the known values that is on none of the bars; none is known of none."""
    return max(0.0, 1 - sum(shares)) if _known(column) else 0.0


Shares = list[tuple[float, ...]]


def _names(sides: Sequence[Mapping[str, int]]) -> tuple[tuple[str, ...], Shares]:
    """Return the commonest names of reference and window, those of the reference first."""
    ways = [_share(side) for side in sides]
    names = sides[0].keys() | sides[1].keys()
    most = sorted(names, key=lambda name: (-max(way.get(name, 0.0) for way in ways[:2]), name))
    shown = sorted(most[:CATEGORIES], key=lambda name: (-ways[0].get(name, 0.0), name))
    return tuple(shown), [tuple(way.get(name, 0.0) for name in shown) for way in ways]


def _values(sides: Sequence[Mapping[str, int]]) -> tuple[tuple[str, ...], Shares]:
    shown = sorted(set().union(*sides), key=float)
    return tuple(f"{float(name):g}" for name in shown), [
        tuple(way.get(name, 0.0) for name in shown) for way in map(_share, sides)
    ]


def _share(counts: Mapping[str, int]) -> dict[str, float]:
    total = sum(counts.values()) or 1
    return {name: count / total for name, count in counts.items()}


def _histogram(sides: Sequence[Mapping[str, Any]]) -> tuple[tuple[float, ...], tuple[str, ...], Shares]:
    """Return the sides on bars of one width; counts are spread evenly within the bins they were counted on."""
    ends = [one for side in sides[:2] for one in (_quantile(side, TAIL), _quantile(side, 1 - TAIL)) if one is not None]
    if not ends:
        return (), (), [() for _ in sides]
    low, high = min(ends), max(ends)
    width = (high - low) / BARS or 1.0
    edges = tuple(low + width * place for place in range(BARS + 1))
    labels = tuple(f"{left:.4g} – {right:.4g}" for left, right in pairwise(edges))
    return edges, labels, [_spread(side, edges) for side in sides]


def _ends(column: Mapping[str, Any]) -> list[float]:
    """Return the edges of a column's bins, the outer ones where its values end."""
    low, high = column["lowest"], column["highest"]
    return [low, *(min(max(edge, low), high) for edge in column["edges"]), high]


def _quantile(column: Mapping[str, Any], share: float) -> float | None:
    if column.get("lowest") is None:
        return None
    ends, left = _ends(column), share * sum(column["bins"])
    for (low, high), count in zip(pairwise(ends), column["bins"], strict=True):
        if count and left <= count:
            return float(low + (high - low) * left / count)
        left -= count
    return float(ends[-1])


def _spread(column: Mapping[str, Any], edges: Sequence[float]) -> tuple[float, ...]:
    if column.get("lowest") is None:
        return (0.0,) * (len(edges) - 1)
    found, total = [0.0] * (len(edges) - 1), sum(column["bins"]) or 1
    for (low, high), count in zip(pairwise(_ends(column)), column["bins"], strict=True):
        if count and high <= low:  # many rows of one value
            place = min(bisect_right(edges, low) - 1, len(found) - 1)
            if edges[0] <= low <= edges[-1]:
                found[place] += count / total
        elif count:
            first, last = max(bisect_right(edges, low) - 1, 0), min(bisect_right(edges, high), len(found))
            for place in range(first, last):
                inside = min(high, edges[place + 1]) - max(low, edges[place])
                found[place] += max(inside, 0.0) / (high - low) * count / total
    return tuple(found)
