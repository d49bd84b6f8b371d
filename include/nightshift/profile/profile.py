"""A mergeable summary of rows: what a window is compared by, without the rows themselves."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import pandas as pd

from nightshift.errors import BinsDifferError, ProfileError
from nightshift.profile.cells import cells_of
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.sample import Sample
from nightshift.spec import Kind

FORMAT = 3


@dataclass(frozen=True)
class Profile:
    """Summary of a table: each column on its own, and some rows to see them together.

    Merging is associative and commutative. Counts, bins, moments and distinct
    counts of merged parts are those of the whole, to the byte; of the frequent
    values see :class:`~nightshift.profile.often.Often`; the sample is another one.
    """

    rows: int
    columns: Mapping[str, FeatureProfile]
    sample: Sample = field(default_factory=Sample)

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

        Examples
        --------
        >>> whole = pd.DataFrame({"a": [1.0, 2.0, 3.0, 4.0]})
        >>> first = Profile.of(whole[:2], {"a": Kind.NUMERIC})
        >>> first.merge(Profile.of(whole[2:], {"a": Kind.NUMERIC}, bins_of=first)).columns["a"].mean
        2.5
        """
        cells = {name: cells_of(_column(rows, name), kind) for name, kind in kinds.items() if name in rows}
        given = bins_of.columns if bins_of else {}
        columns = {
            name: FeatureProfile.of_cells(read, kinds[name], bins_of=given.get(name)) for name, read in cells.items()
        }
        return cls(len(rows), columns, Sample.of(cells, columns, like=bins_of.sample if bins_of else None))

    def merge(self, other: Self) -> Self:
        """Return the profile of both tables together; a BinsDifferError unless they share columns and bins."""
        if self.columns.keys() != other.columns.keys():
            raise BinsDifferError("the profiles have different columns; profile the same table")
        merged = {name: column.merge(other.columns[name]) for name, column in self.columns.items()}
        return type(self)(self.rows + other.rows, merged, self.sample.merge(other.sample))

    def without(self, part: Self) -> Self:
        """Return the profile of the other rows, given that of some of them; the sample stays that of all."""
        others = {name: column.without(part.columns[name]) for name, column in self.columns.items()}
        return type(self)(self.rows - part.rows, others, self.sample)

    def to_json(self) -> dict[str, Any]:
        columns = {name: column.to_json() for name, column in self.columns.items()}
        return {"format": FORMAT, "rows": self.rows, "columns": columns, "sample": self.sample.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the profile in ``content``; a ProfileError if it is none."""
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise ProfileError(f"this is no profile of format {FORMAT}; profile the rows again")
        try:
            columns = {name: FeatureProfile.from_json(column) for name, column in content["columns"].items()}
            return cls(content["rows"], columns, Sample.from_json(content["sample"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ProfileError(f"the profile cannot be read: {error!r}; profile the rows again") from error


def _column(rows: pd.DataFrame, name: str) -> "pd.Series[Any]":
    """Return the column called ``name``; the first, if there are several."""
    found = rows[name]
    return found.iloc[:, 0] if isinstance(found, pd.DataFrame) else found
