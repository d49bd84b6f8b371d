"""Checks after people have spoken: what was accepted or snoozed no longer speaks, and says who said so."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from nightshift.pipelines.standing import Quiet
from nightshift.profile.drift import ALL_COLUMNS, FeatureDrift
from nightshift.verdict import Check, Status

ROOM = 1.25
"""What was accepted may grow by a quarter before it is news."""


def hush(checks: Sequence[Check], quiets: Mapping[str, Quiet], columns: Iterable[FeatureDrift] = ()) -> list[Check]:
    """Return ``checks`` with those that a person has answered for made HEALTHY.

    Snoozing mutes all but BROKEN: nobody may learn from broken data because the
    alarm was a nuisance. Who accepts says that it is not broken. The drift of
    the inputs as a whole is taken without the quiet columns' part in it.

    Parameters
    ----------
    quiets
        By subject, see :func:`~nightshift.pipelines.standing.quiets`.
    columns
        How far each column moved, for the drift of the whole.
    """
    if not quiets:
        return list(checks)
    parts = {column.column: column.effect for column in columns if column.column in quiets}
    return [_without(check, parts) if check.name == ALL_COLUMNS else _hushed(check, quiets) for check in checks]


def _hushed(check: Check, quiets: Mapping[str, Quiet]) -> Check:
    quiet = quiets.get(check.subject)
    if quiet is None or check.status in (Status.HEALTHY, Status.UNKNOWN) or not _covers(quiet, check):
        return check
    return replace(check, status=Status.HEALTHY, sentence=f"{check.sentence} ({quiet.words})")


def _covers(quiet: Quiet, check: Check) -> bool:
    if quiet.levels is None:
        return check.status is not Status.BROKEN
    if check.name not in quiet.levels:
        return False
    level, now = quiet.levels[check.name], excess(check)
    return level is None or now is None or now <= ROOM * level


def excess(check: Check) -> float | None:
    """Return by how much a check is beyond what is allowed; none if it is no number."""
    numbers = [value for value in (check.observed, check.allowed) if isinstance(value, int | float)]
    return abs(numbers[0] - numbers[1]) if len(numbers) == 2 else None


def _without(check: Check, parts: Mapping[str, float]) -> Check:
    if check.status is Status.HEALTHY or not parts or not isinstance(check.observed, int | float):
        return check
    left = float(check.observed) - sum(parts.values())
    calm = isinstance(check.allowed, int | float) and left <= check.allowed
    beside = f"; {left:.2f} without {', '.join(sorted(parts))}, which a person answered for"
    return replace(
        check, observed=left, status=Status.HEALTHY if calm else check.status, sentence=check.sentence + beside
    )
