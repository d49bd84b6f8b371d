"""What a valid row is: names, order, kinds, ranges, categories, nullability.

Drawn from the profile of the training rows and the declaration, reviewed by a
person as YAML, enforced at the door of serving and on every batch.

What :meth:`Contract.check_row` says of one value:

=============================== ========== =====================================================
value                           rule       refused
=============================== ========== =====================================================
column is not in the row        missing    always: a caller that forgets is not one that does not know
column is not in the contract   unknown    always
``None`` or NaN                 null       if the column's ``missing`` is ``refuse``; flagged if it is ``default``
bool, text, list, … for numeric type       always (``"12"`` is text)
±infinity                       finite     always
below or above the range        range      if the column's ``unseen`` is ``refuse``, else flagged
no text for categorical         type       always
category never seen in training category   if the column's ``unseen`` is ``refuse``, else flagged
text longer than 256 characters length     always
=============================== ========== =====================================================
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import stdev
from typing import TYPE_CHECKING, Any, Literal, Self

import yaml

from nightshift.errors import ContractError
from nightshift.spec import Feature, Kind

if TYPE_CHECKING:  # the door reads contracts without pandas
    from nightshift.profile.profile import Profile

FORMAT = 1
TEXT_LENGTH_MAX = 256
WINDOWS_MIN, DEVIATIONS, NEGLIGIBLE = 4, 4.0, 0.05
"""From so many windows on, nulls are tolerated up to so many deviations, or this share, above the worst of them."""
Handling = Literal["accept", "refuse"]


@dataclass(frozen=True)
class Problem:
    """One rule that one value breaks. ``allowed`` says what would have been right."""

    column: str
    rule: str
    value: Any
    allowed: Any
    refused: bool


@dataclass(frozen=True)
class ColumnRule:
    """What is valid in one column.

    ``lower`` and ``upper`` are the training rows' own ends (numeric, none if no
    value was known), ``categories`` their values, sorted (categorical).
    ``missing_share`` is the largest share of nulls that a batch may have where
    nulls are accepted, from how much it varied between the training windows;
    none if nobody knows. A single row is not held to it. ``default`` is what a
    null is taken for, where ``missing`` says so.
    """

    name: str
    kind: Kind
    missing: Handling | Literal["default"]
    unseen: Handling
    lower: float | None = None
    upper: float | None = None
    categories: tuple[str, ...] = ()
    about: str = ""
    missing_share: float | None = None
    default: float | str | None = None

    def problem(self, value: Any) -> Problem | None:
        """Return what is wrong with ``value``; none if nothing is."""
        if value is None or (isinstance(value, float) and math.isnan(value)):
            if self.missing == "default":
                return Problem(self.name, "null", None, f"a value; {self.default} was taken", refused=False)
            return Problem(self.name, "null", None, "a value", refused=True) if self.missing == "refuse" else None
        return self._number_problem(value) if self.kind is Kind.NUMERIC else self._category_problem(value)

    def _number_problem(self, value: Any) -> Problem | None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return Problem(self.name, "type", value, "a number", refused=True)
        if math.isinf(value):
            return Problem(self.name, "finite", str(value), "a finite number", refused=True)
        below = self.lower is not None and value < self.lower
        above = self.upper is not None and value > self.upper
        if below or above:
            return Problem(self.name, "range", value, [self.lower, self.upper], self.unseen == "refuse")
        return None

    def _category_problem(self, value: Any) -> Problem | None:
        if not isinstance(value, str):
            return Problem(self.name, "type", value, "text", refused=True)
        if len(value) > TEXT_LENGTH_MAX:
            return Problem(self.name, "length", value, f"at most {TEXT_LENGTH_MAX} characters", refused=True)
        if value not in self._known:
            return Problem(self.name, "category", value, list(self.categories), self.unseen == "refuse")
        return None

    @property
    def must_be_there(self) -> str:
        """What is said where the column is missing."""
        return f"the column must be there, {'with a value' if self.missing == 'refuse' else 'null if not known'}"

    @property
    def _known(self) -> frozenset[str]:
        # looked up for every row, so it is made once; the instance is frozen, hence by its dictionary
        found: frozenset[str] | None = self.__dict__.get("_set")
        if found is None:
            found = self.__dict__["_set"] = frozenset(self.categories)
        return found

    def to_json(self) -> dict[str, Any]:
        own: dict[str, Any] = {
            "name": self.name,
            "kind": str(self.kind),
            "missing": self.missing,
            "unseen": self.unseen,
        }
        if self.kind is Kind.NUMERIC:
            own |= {"lower": self.lower, "upper": self.upper}
        else:
            own |= {"categories": list(self.categories)}
        if self.missing_share is not None:
            own |= {"missing_share": self.missing_share}
        if self.default is not None:
            own |= {"default": self.default}
        return own | ({"about": self.about} if self.about else {})

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        values = {**content, "kind": Kind(content["kind"]), "categories": tuple(content.get("categories", ()))}
        return cls(**values)


@dataclass(frozen=True)
class Contract:
    """Rules of all columns, in the model's order.

    >>> contract = Contract((ColumnRule("hour", Kind.NUMERIC, "refuse", "refuse", 0.0, 23.0),))
    >>> contract.check_row({"hour": 12})
    []
    >>> [(problem.column, problem.rule) for problem in contract.check_row({"hour": 25, "minute": 3})]
    [('hour', 'range'), ('minute', 'unknown')]
    """

    columns: tuple[ColumnRule, ...]

    @classmethod
    def derive(
        cls, profile: "Profile", features: Mapping[str, Feature], *, windows: Sequence[Mapping[str, float]] = ()
    ) -> Self:
        """Return the contract that the profiled rows suggest and the declaration decides.

        ``windows`` tell each training window's share of nulls by column; what a
        batch may have follows from how much they vary.

        Raises
        ------
        ContractError
            If a declared feature was not profiled.
        """
        lacking = [name for name in features if name not in profile.columns]
        if lacking:
            raise ContractError(
                f"no profile of {', '.join(lacking)}; profile all declared features of the training rows"
            )
        rules = (_rule(name, feature, profile) for name, feature in features.items())
        return cls(tuple(replace(rule, missing_share=_tolerated(rule, windows)) for rule in rules))

    def check_row(self, row: Mapping[str, Any]) -> list[Problem]:
        """Return every problem of a row, in the order of columns, unknown ones last; see the table above."""
        return list(self._problems(row))

    def _problems(self, row: Mapping[str, Any]) -> Iterator[Problem]:
        for rule in self.columns:
            if rule.name not in row:
                yield Problem(rule.name, "missing", None, rule.must_be_there, refused=True)
            elif problem := rule.problem(row[rule.name]):
                yield problem
        known = {rule.name for rule in self.columns}
        for name in row:
            if name not in known:
                yield Problem(str(name), "unknown", row[name], "only the contract's columns", refused=True)

    @property
    def defaults(self) -> dict[str, float | str]:
        """What a null is taken for, in the columns that have it so."""
        return {rule.name: rule.default for rule in self.columns if rule.default is not None}

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, "columns": [rule.to_json() for rule in self.columns]}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the contract in ``content``; a ContractError if it is none."""
        if not isinstance(content, Mapping) or content.get("format") != FORMAT:
            raise ContractError(f"this is no contract of format {FORMAT}; draw it again from the profile")
        try:
            return cls(tuple(ColumnRule.from_json(rule) for rule in content["columns"]))
        except (KeyError, TypeError, ValueError) as error:
            raise ContractError(f"the contract cannot be read: {error!r}; draw it again from the profile") from error

    def to_yaml(self) -> str:
        """Return the contract for review: one line a fact, in a stable order."""
        return yaml.safe_dump(self.to_json(), sort_keys=False, allow_unicode=True, width=120)


def _tolerated(rule: ColumnRule, windows: Sequence[Mapping[str, float]]) -> float | None:
    """Return what no window came near: the worst, and four deviations between windows or a negligible share more."""
    shares = [float(window[rule.name]) for window in windows if rule.name in window]  # a NumPy number is not YAML's
    if rule.missing != "accept" or len(shares) < WINDOWS_MIN:
        return None
    return round(min(1.0, max(shares) + max(DEVIATIONS * stdev(shares), NEGLIGIBLE)), 4)


def _rule(name: str, feature: Feature, profile: "Profile") -> ColumnRule:
    column = profile.columns[name]
    rule = ColumnRule(name, feature.kind, feature.missing, feature.unseen, about=feature.about, default=feature.default)
    if feature.kind is Kind.NUMERIC:
        return replace(rule, lower=column.lowest, upper=column.highest)
    return replace(rule, categories=tuple(sorted(column.counts or {})))
