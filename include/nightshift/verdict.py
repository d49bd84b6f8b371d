"""The answer every gate and every night gives: a word, and the reasons for it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self


class Status(StrEnum):
    """What a gate or a night may say.

    A build's evaluation says PASS or FAIL. A monitored window says one of the
    others; the worst reason decides, in the order of :data:`SEVERITY`.
    """

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    HEALTHY = "HEALTHY"
    DRIFTED = "DRIFTED"
    DEGRADED = "DEGRADED"
    BROKEN = "BROKEN"
    UNKNOWN = "UNKNOWN"


SEVERITY = (Status.HEALTHY, Status.DRIFTED, Status.DEGRADED, Status.UNKNOWN, Status.BROKEN)
"""From nothing to do to hands off: BROKEN data outranks all, since nothing else can be said of it."""


@dataclass(frozen=True)
class Check:
    """One question asked of the evidence, with what was seen and what is allowed.

    ``status`` is what the check alone would make of the whole. ``subject`` is
    the column, metric or file it is about; ``rows`` is how many rows speak.
    ``sentence`` says it to a person.
    """

    name: str
    status: Status
    subject: str
    sentence: str
    observed: float | int | str | None = None
    allowed: float | int | str | None = None
    rows: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "status": str(self.status),
            "subject": self.subject,
            "sentence": self.sentence,
            "observed": self.observed,
            "allowed": self.allowed,
            "rows": self.rows,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**{**content, "status": Status(content["status"])})


@dataclass(frozen=True)
class Verdict:
    """A word and its reasons, the weightiest first; ``checks`` holds the quiet ones too."""

    status: Status
    checks: tuple[Check, ...] = field(default_factory=tuple)

    @property
    def reasons(self) -> tuple[Check, ...]:
        """The checks that speak for the verdict; empty when all is well."""
        return tuple(check for check in self.checks if check.status not in (Status.HEALTHY, Status.PASS))

    @property
    def why(self) -> str:
        """One line for a table: the first reason, and how many more there are."""
        if not self.reasons:
            return "nothing to report"
        more = len(self.reasons) - 1
        return self.reasons[0].sentence + (f" (+{more} more)" if more else "")

    def to_json(self) -> dict[str, Any]:
        return {"status": str(self.status), "checks": [check.to_json() for check in self.checks]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(Status(content["status"]), tuple(Check.from_json(check) for check in content["checks"]))


def judge_window(checks: list[Check]) -> Verdict:
    """Return a window's verdict: the worst of its checks, reasons ordered worst first.

    Within one severity the given order is kept (callers put what matters most
    first). No checks at all is UNKNOWN: silence is never health.

    >>> judge_window([]).status
    <Status.UNKNOWN: 'UNKNOWN'>
    """
    ordered = sorted(checks, key=lambda check: -SEVERITY.index(check.status))
    return Verdict(ordered[0].status if ordered else Status.UNKNOWN, tuple(ordered))


def judge_gates(checks: list[Check]) -> Verdict:
    """Return a candidate's verdict: PASS only if every check passed and there was one.

    >>> judge_gates([]).status
    <Status.FAIL: 'FAIL'>
    """
    passed = bool(checks) and all(check.status is Status.PASS for check in checks)
    failed_first = sorted(checks, key=lambda check: check.status is Status.PASS)
    return Verdict(Status.PASS if passed else Status.FAIL, tuple(failed_first))
