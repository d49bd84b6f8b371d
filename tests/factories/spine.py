"""Checks, moments, ledgers and runs: what the spine of the house is tested with."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from nightshift.ledger import Kind, Ledger
from nightshift.runs import RunFolder
from nightshift.verdict import Check, Status

DAY = timedelta(days=1)
NEW_YEAR = datetime(2013, 1, 1, tzinfo=UTC)


def a_check(status: Status = Status.HEALTHY, *, name: str = "drift", subject: str = "temperature") -> Check:
    """Return a check that says its status and no more."""
    return Check(name, status, subject, f"{status} says so")


def a_day(number: int) -> datetime:
    """Return the midnight that begins day ``number`` of 2013; 0 is New Year."""
    return NEW_YEAR + number * DAY


def a_ledger(folder: Path) -> Ledger:
    """Return a ledger in ``folder``; the same folder holds the same ledger."""
    return Ledger(ledger_url(folder))


@contextmanager
def new_ledger() -> Iterator[Ledger]:
    """Yield an empty ledger, for laws that need one for each example."""
    with TemporaryDirectory() as folder:
        yield a_ledger(Path(folder))


def ledger_url(folder: Path) -> str:
    return f"sqlite:///{folder / 'ledger.db'}"


def add_window(ledger: Ledger, number: int, body: dict[str, object], *, model: str = "bikes") -> None:
    """Judge day ``number``."""
    start = a_day(number)
    ledger.append(model, Kind.WINDOW, start=start, end=start + DAY, body=body, now=start + 2 * DAY)


def a_run(folder: Path, run_id: str = "manual__2026-01-01", *, pipeline: str = "build") -> RunFolder:
    """Return the folder of a run of ``bikes``; nothing is made on disk."""
    return RunFolder.of(folder, model="bikes", pipeline=pipeline, run_id=run_id)
