"""A mergeable summary of rows: what a window is compared by, without the rows themselves."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from nightshift.errors import BinsDifferError, ProfileError
from nightshift.spec import Kind

FORMAT = 1
BINS = 20
OFTEN = 50
"""So many of a numeric column's most frequent values are counted one by one."""


@dataclass(frozen=True)
class FeatureProfile:
    """Summary of one column.

    ``rows`` counts all, ``missing`` the nulls (NaN is null), ``infinite`` the
    ±inf, which are in nothing else. Numeric: ``edges`` part the line into
    ``len(edges) + 1`` bins, closed below; ``bins`` counts them. ``total`` and
    ``squares`` are the sums of values and of their squares about ``centre``.
    ``often`` counts values that come again and again. Categorical: ``counts``.
    """

    kind: Kind
    rows: int
    missing: int
    infinite: int = 0
    lowest: float | None = None
    highest: float | None = None
    edges: tuple[float, ...] = ()
    bins: tuple[int, ...] = ()
    centre: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    often: Mapping[str, int] | None = None
    counts: Mapping[str, int] | None = None

    @classmethod
    def of(cls, values: Iterable[Any], kind: Kind, *, bins_of: "FeatureProfile | None" = None) -> Self:
        """Return the profile of a column; ``bins_of`` gives the bins to count on.

        >>> FeatureProfile.of([1.0, 2.0, None, 4.0], Kind.NUMERIC).missing
        1
        """
        column = pd.Series(values)
        return cls._numeric(column, bins_of) if kind is Kind.NUMERIC else cls._categorical(column)

    @classmethod
    def _numeric(cls, column: "pd.Series[Any]", bins_of: "FeatureProfile | None") -> Self:
        given = column.to_numpy(dtype=np.float64, na_value=np.nan)
        known = given[~np.isnan(given)]
        values = known[np.isfinite(known)]
        edges = np.array(bins_of.edges) if bins_of else _edges(values)
        centre = bins_of.centre if bins_of else (float(values.mean()) if len(values) else 0.0)
        return cls(
            kind=Kind.NUMERIC,
            rows=len(given),
            missing=len(given) - len(known),
            infinite=len(known) - len(values),
            lowest=float(values.min()) if len(values) else None,
            highest=float(values.max()) if len(values) else None,
            edges=tuple(edges.tolist()),
            bins=tuple(np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1).tolist()),
            centre=centre,
            total=float((values - centre).sum()),
            squares=float(((values - centre) ** 2).sum()),
            often=_often(values),
        )

    @classmethod
    def _categorical(cls, column: "pd.Series[Any]") -> Self:
        known = column.dropna().astype(str)
        counts = {str(name): int(count) for name, count in known.value_counts().sort_index().items()}
        return cls(Kind.CATEGORICAL, len(column), len(column) - len(known), counts=counts)

    @property
    def known(self) -> int:
        """Rows with a finite value."""
        return self.rows - self.missing - self.infinite

    @property
    def missing_share(self) -> float:
        return self.missing / self.rows if self.rows else 0.0

    @property
    def mean(self) -> float | None:
        return self.centre + self.total / self.known if self.known else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the known values; none without any."""
        if not self.known:
            return None
        mean = self.total / self.known
        return float(np.sqrt(max(self.squares / self.known - mean**2, 0.0)))

    def merge(self, other: Self) -> Self:
        """Return the profile of both columns together.

        Raises
        ------
        BinsDifferError
            If they were counted on different bins.
        """
        if (self.kind, self.edges, self.centre) != (other.kind, other.edges, other.centre):
            raise BinsDifferError("the profiles were counted on different bins; give both the same bins_of")
        return type(self)(
            kind=self.kind,
            rows=self.rows + other.rows,
            missing=self.missing + other.missing,
            infinite=self.infinite + other.infinite,
            lowest=min((v for v in (self.lowest, other.lowest) if v is not None), default=None),
            highest=max((v for v in (self.highest, other.highest) if v is not None), default=None),
            edges=self.edges,
            bins=tuple(a + b for a, b in zip(self.bins, other.bins, strict=True)),
            centre=self.centre,
            total=self.total + other.total,
            squares=self.squares + other.squares,
            often=_added(self.often, other.often),
            counts=_added(self.counts, other.counts),
        )

    def to_json(self) -> dict[str, Any]:
        own = {name: value for name, value in self.__dict__.items() if value is not None}
        return {**own, "kind": str(self.kind), "edges": list(self.edges), "bins": list(self.bins)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        values = {**content, "kind": Kind(content["kind"])}
        return cls(**{**values, "edges": tuple(content["edges"]), "bins": tuple(content["bins"])})


@dataclass(frozen=True)
class Profile:
    """Summary of a table, column by column."""

    rows: int
    columns: Mapping[str, FeatureProfile]

    @property
    def kinds(self) -> dict[str, Kind]:
        return {name: column.kind for name, column in self.columns.items()}

    @classmethod
    def of(cls, rows: pd.DataFrame, kinds: Mapping[str, Kind], *, bins_of: Self | None = None) -> Self:
        """Return the profile of the columns named in ``kinds``; those that ``rows`` lacks are left out.

        Parameters
        ----------
        bins_of
            Profile whose bins to count on; needed to compare with it, or to merge.
        """
        there = {name: kind for name, kind in kinds.items() if name in rows}
        return cls(
            len(rows),
            {
                name: FeatureProfile.of(rows[name], kind, bins_of=bins_of.columns.get(name) if bins_of else None)
                for name, kind in there.items()
            },
        )

    def merge(self, other: Self) -> Self:
        """Return the profile of both tables together; a BinsDifferError unless they share columns and bins."""
        if self.columns.keys() != other.columns.keys():
            raise BinsDifferError("the profiles have different columns; profile the same table")
        merged = {name: column.merge(other.columns[name]) for name, column in self.columns.items()}
        return type(self)(self.rows + other.rows, merged)

    def to_json(self) -> dict[str, Any]:
        columns = {name: column.to_json() for name, column in self.columns.items()}
        return {"format": FORMAT, "rows": self.rows, "columns": columns}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the profile in ``content``; a ProfileError if it is none."""
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise ProfileError(f"this is no profile of format {FORMAT}; profile the rows again")
        try:
            columns = {name: FeatureProfile.from_json(column) for name, column in content["columns"].items()}
            return cls(content["rows"], columns)
        except (KeyError, TypeError, ValueError) as error:
            raise ProfileError(f"the profile cannot be read: {error!r}; profile the rows again") from error


def _edges(values: np.ndarray) -> np.ndarray:
    """Return inner edges that part the values into equal shares, fewer where values repeat."""
    if not len(values):
        return np.empty(0)
    return np.unique(np.quantile(values, np.linspace(0, 1, BINS + 1)[1:-1], method="higher"))


def _often(values: np.ndarray) -> dict[str, int]:
    found, counts = np.unique(values, return_counts=True)
    order = np.lexsort((found, -counts))[:OFTEN]
    return {repr(float(found[place])): int(counts[place]) for place in order if counts[place] > 1}


def _added(one: Mapping[str, int] | None, other: Mapping[str, int] | None) -> dict[str, int] | None:
    return dict(Counter(one) + Counter(other)) if one is not None and other is not None else None
