"""One column's mergeable summary: exact counts, so that parts merged in any order give the whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np

from nightshift.errors import BinsDifferError
from nightshift.profile.cells import Cells, cells_of
from nightshift.profile.distinct import Distinct
from nightshift.profile.often import Often
from nightshift.profile.runs import Runs
from nightshift.spec import Kind

BINS = 100
SHARES = (0.001, 0.005, *(share / BINS for share in range(1, BINS)), 0.995, 0.999)
"""Where the bins of many-valued numbers are parted."""
OFTEN = 200
"""So many of a numeric column's most frequent values are counted one by one."""
NAMES = 10_000
"""So many of a categorical column's most frequent names are counted; no column fills the memory."""
FINE = 2.0**-20
"""Moments are sums of whole numbers in units of at most this part of the reference's deviation."""
FAR = 2.0**36
"""What lies further from the centre than so many units (65,536 deviations) counts as lying there."""
MANY = 2**26
"""Of so many rows the sums of squares are taken in whole numbers of any size."""


@dataclass(frozen=True)
class FeatureProfile:
    """Summary of one column.

    ``rows`` counts all of them; ``missing`` the nulls (NaN is null); ``foreign``
    the values that are not of the column's kind, such as a text among numbers;
    ``infinite`` the ±inf. The rest is ``known``, and everything below is about
    it. ``types`` counts what the values were before they were read.

    Numeric: ``edges`` part the line into ``len(edges) + 1`` ``bins``, closed
    below. ``total`` and ``squares`` are the sums of the values' distances from
    ``centre``, in units of ``unit``, and of their squares, as whole numbers.
    Categorical: ``often`` counts the names, ``letters`` is the length of them
    all, between ``shortest`` and ``longest``.
    """

    kind: Kind
    rows: int
    missing: int
    foreign: int = 0
    infinite: int = 0
    zeros: int = 0
    negative: int = 0
    lowest: float | None = None
    highest: float | None = None
    edges: tuple[float, ...] = ()
    bins: tuple[int, ...] = ()
    centre: float = 0.0
    unit: float = 1.0
    total: int = 0
    squares: int = 0
    shortest: int | None = None
    longest: int | None = None
    letters: int = 0
    types: Mapping[str, int] = field(default_factory=dict)
    often: Often = field(default_factory=lambda: Often(room=OFTEN))
    distinct: Distinct = field(default_factory=Distinct)

    @classmethod
    def of(cls, values: Iterable[Any], kind: Kind, *, bins_of: "FeatureProfile | None" = None) -> Self:
        """Return the profile of a column; ``bins_of`` gives the bins to count on.

        >>> FeatureProfile.of([1.0, 2.0, None, 4.0], Kind.NUMERIC).missing
        1
        """
        cells = cells_of(values, kind)
        return cls.of_cells(cells, kind, bins_of=bins_of)

    @classmethod
    def of_cells(cls, cells: Cells, kind: Kind, *, bins_of: "FeatureProfile | None" = None) -> Self:
        """Return the profile of a column that has been read."""
        own = cls(kind, cells.rows, cells.missing, cells.foreign, types=cells.types)
        return own._with_names(cells) if kind is Kind.CATEGORICAL else own._with_numbers(cells, bins_of)

    @classmethod
    def of_runs(cls, runs: Runs, counted: Cells, *, bins_of: "FeatureProfile | None" = None) -> Self:
        """Return the profile of numbers given by their runs; ``counted`` says what else there was."""
        own = cls(Kind.NUMERIC, counted.rows, counted.missing, counted.foreign, types=counted.types)
        return own._with_runs(runs, bins_of)

    def _with_numbers(self, cells: Cells, bins_of: "FeatureProfile | None") -> Self:
        return self._with_runs(Runs.of(cells.numbers[~np.isnan(cells.numbers)]), bins_of)

    def _with_runs(self, runs: Runs, bins_of: "FeatureProfile | None") -> Self:
        grid = bins_of or grid_of(runs)
        total, squares = _moments(runs, grid.centre, grid.unit)
        below, at_most = (int(runs.below(np.zeros(1), side=side)[0]) for side in ("left", "right"))
        return replace(
            self,
            infinite=runs.infinite,
            zeros=at_most - below,
            negative=below,
            lowest=float(runs.values[0]) + 0.0 if len(runs) else None,
            highest=float(runs.values[-1]) + 0.0 if len(runs) else None,
            edges=grid.edges,
            bins=tuple(np.diff(runs.below(np.array(grid.edges)), prepend=0, append=runs.rows).tolist()),
            centre=grid.centre,
            unit=grid.unit,
            total=total,
            squares=squares,
            often=Often.of_runs(runs.values, runs.counts, room=OFTEN),
            distinct=runs.distinct or Distinct.of_numbers(runs.values),
        )

    def _with_names(self, cells: Cells) -> Self:
        lengths = {name: len(name) for name in cells.names}
        return replace(
            self,
            shortest=min(lengths.values(), default=None),
            longest=max(lengths.values(), default=None),
            letters=sum(lengths[name] * count for name, count in cells.names.items()),
            often=Often.of(cells.names, room=NAMES),
            distinct=Distinct.of_names(list(cells.names)),
        )

    @property
    def known(self) -> int:
        """Rows with a finite number, or a name."""
        return self.rows - self.missing - self.foreign - self.infinite

    @property
    def missing_share(self) -> float:
        return self.missing / self.rows if self.rows else 0.0

    @property
    def counts(self) -> Mapping[str, int]:
        """The frequent values, or the names, with their counts; see :class:`Often`."""
        return self.often.counts

    @property
    def mean(self) -> float | None:
        return self.centre + self.unit * (self.total / self.known) if self.known and self.bins else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the known numbers; none without any."""
        if not self.known or not self.bins:
            return None
        mean = self.total / self.known
        return self.unit * max(self.squares / self.known - mean**2, 0.0) ** 0.5

    def quantile(self, share: float) -> float | None:
        """Return the value below which ``share`` of the numbers lie; none without any.

        Inside a bin what is often at its lower edge comes first, the rest is taken as spread evenly.

        >>> FeatureProfile.of([1.0, 2.0, 2.0, 2.0, 9.0], Kind.NUMERIC).quantile(0.5)
        2.0
        """
        return float(self.quantiles(np.array([share]))[0]) if self.lowest is not None else None

    def quantiles(self, shares: np.ndarray) -> np.ndarray:
        """Return :meth:`quantile` of each of ``shares``; NaN throughout if there are no numbers."""
        if self.lowest is None or self.highest is None:
            return np.full(len(shares), np.nan)
        bins, inner = np.array(self.bins), np.array(self.edges)
        ranks, ends = shares * self.known, np.cumsum(bins)
        places = np.minimum(np.searchsorted(ends, ranks), len(bins) - 1)
        lefts = np.maximum(np.concatenate(([self.lowest], inner)), self.lowest)
        rights = np.minimum(np.concatenate((inner, [self.highest])), self.highest)
        at_edge = np.array([self.counts.get(repr(left), 0) for left in lefts.tolist()])
        inside = np.maximum(ranks - (ends - bins)[places] - at_edge[places], 0.0)
        rest, left, right = (bins - at_edge)[places], lefts[places], rights[places]
        with np.errstate(over="ignore", invalid="ignore"):  # ends at both ends of what a float can be
            added = np.divide((right - left) * inside, rest, out=np.zeros(len(shares)), where=rest > 0)
        found: np.ndarray = left + added
        return found

    def merge(self, other: Self) -> Self:
        """Return the profile of both columns together.

        Raises
        ------
        BinsDifferError
            If they were counted on different bins.
        """
        if self.grid != other.grid:
            raise BinsDifferError("the profiles were counted on different bins; give both the same bins_of")
        summed = ("rows", "missing", "foreign", "infinite", "zeros", "negative", "total", "squares", "letters")
        return replace(
            self,
            **{name: getattr(self, name) + getattr(other, name) for name in summed},
            bins=tuple(a + b for a, b in zip(self.bins, other.bins, strict=True)),
            lowest=_first(min, self.lowest, other.lowest),
            highest=_first(max, self.highest, other.highest),
            shortest=_first(min, self.shortest, other.shortest),
            longest=_first(max, self.longest, other.longest),
            types=_added(self.types, other.types),
            often=self.often.merge(other.often),
            distinct=self.distinct.merge(other.distinct),
        )

    def without(self, part: Self) -> Self:
        """Return the counts of the other rows, given the profile of some of them on the same bins.

        Ends, lengths, types and different values stay those of all: they cannot be told apart.
        """
        less = ("rows", "missing", "foreign", "infinite", "zeros", "negative", "total", "squares", "letters")
        return replace(
            self,
            **{name: getattr(self, name) - getattr(part, name) for name in less},
            bins=tuple(a - b for a, b in zip(self.bins, part.bins, strict=True)),
            often=self.often.without(part.often),
        )

    @property
    def grid(self) -> tuple[Kind, tuple[float, ...], float, float]:
        """What two profiles must share to be merged or compared."""
        return self.kind, self.edges, self.centre, self.unit

    def to_json(self) -> dict[str, Any]:
        """Return the profile as JSON; what a column of its kind cannot have is left out."""
        numeric = self.kind is Kind.NUMERIC
        skipped = _OF_NAMES if numeric else _OF_NUMBERS
        own = {name: value for name, value in self.__dict__.items() if name not in skipped}
        listed = {"often" if numeric else "counts": dict(self.counts), "floor": self.often.floor}
        found = {
            **own,
            **listed,
            "kind": str(self.kind),
            "types": dict(self.types),
            "distinct": self.distinct.to_json(),
        }
        return {**found, "edges": list(self.edges), "bins": list(self.bins)} if numeric else found

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        kind = Kind(content["kind"])
        listed, room = (content["often"], OFTEN) if kind is Kind.NUMERIC else (content["counts"], NAMES)
        known = {one.name for one in fields(cls)}
        return cls(
            **{
                **{name: value for name, value in content.items() if name in known},
                "kind": kind,
                "edges": tuple(content.get("edges", ())),
                "bins": tuple(content.get("bins", ())),
                "often": Often(dict(listed), int(content["floor"]), room),
                "distinct": Distinct.from_json(content["distinct"]),
            }
        )


_OF_NAMES = {"shortest", "longest", "letters", "often"}
_OF_NUMBERS = {
    "often", "infinite", "zeros", "negative", "lowest", "highest", "edges", "bins", "centre", "unit", "total",
    "squares",
}  # fmt: skip


def grid_of(runs: Runs) -> FeatureProfile:
    """Return an empty profile whose bins suit the numbers.

    Inside, the bins hold equal shares, and finer ones at both ends; a column of
    few values has one for each. Outside there is one for what lies beyond all
    values, and one for what lies beyond by more than their whole width.
    """
    if not len(runs):
        return FeatureProfile(Kind.NUMERIC, 0, 0, unit=FINE)
    inner = runs.values if len(runs) <= BINS else runs.ranked(np.array(SHARES))
    lowest, highest = runs.values[0], runs.values[-1]
    with np.errstate(over="ignore"):
        width = (highest - lowest) or abs(highest) or 1.0
        outer = [lowest - width, lowest, np.nextafter(highest, np.inf), highest + width]
    edges = np.unique(np.concatenate((inner, outer)) + 0.0)
    centre = runs.at(0.5)
    return FeatureProfile(
        Kind.NUMERIC, 0, 0, edges=tuple(edges[np.isfinite(edges)].tolist()), centre=centre, unit=_unit(runs, centre)
    )


def _unit(runs: Runs, centre: float) -> float:
    """Return a power of two, small beside the spread of the values; of their bulk, lest one wild value coarsen all."""
    with np.errstate(over="ignore"):
        spread = (runs.at(0.9) - runs.at(0.1)) / 2.5 or _scaled_deviation(runs) or abs(centre)
    exponent = np.frexp(spread * FINE)[1] - 1 if np.isfinite(spread) and spread > 0 else -20
    return float(np.ldexp(1.0, int(np.clip(exponent, -1000, 960))))


def _scaled_deviation(runs: Runs) -> float:
    """Return the standard deviation, without the overflow of squares."""
    largest = float(np.abs(runs.values).max()) or 1.0
    shares, scaled = runs.counts / runs.rows, runs.values / largest
    return float(np.sqrt(shares @ (scaled - shares @ scaled) ** 2)) * largest


def _moments(runs: Runs, centre: float, unit: float) -> tuple[int, int]:
    """Return the sums of distances and of their squares; whole numbers have no rounding that order could change."""
    with np.errstate(over="ignore"):
        steps = np.rint(np.clip((runs.values - centre) / unit, -FAR, FAR)).astype(np.int64)
    high, low = steps >> 18, steps & (2**18 - 1)
    counts = runs.counts if runs.rows < MANY else runs.counts.astype(object)
    squares = (int((high * high * counts).sum()) << 36) + (int((high * low * counts).sum()) << 19)
    return int((steps * counts).sum()), squares + int((low * low * counts).sum())


def _first(choose: Any, one: Any, other: Any) -> Any:
    return choose((value for value in (one, other) if value is not None), default=None)


def _added(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in sorted(one.keys() | other.keys())}
