"""Which column moved when: one cell for each column and window."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from os.path import normpath
from pathlib import Path
from typing import Any, Self

from nightshift.errors import NightshiftError
from nightshift.files import read_json
from nightshift.ledger import Entry
from nightshift.settings import Settings
from nightshift.verdict import SEVERITY, Status
from nightshift.views.night import Night, columns_of

KEPT_IN_MEMORY = 4096
SMALL, LARGE, HUGE = 0.1, 0.25, 1.0
"""By custom a PSI of 0.1 is a small shift and 0.25 a large one; the last tells a fault from a change of the world."""


@dataclass(frozen=True)
class Cell:
    """What one window says of one column: PSI, what that means to the answers, and the word for it."""

    psi: float
    effect: float
    status: Status

    @classmethod
    def of(cls, column: Mapping[str, Any]) -> Self:
        """Return the cell of a column as a drift report tells it."""
        return cls(float(column["psi"]), float(column["effect"]), Status(column["status"]))

    @property
    def shade(self) -> int:
        """From 0, not moved, to 3, hardly the same column.

        >>> [Cell(psi, 0.0, Status.HEALTHY).shade for psi in (0.0, 0.1, 0.3, 5.0)]
        [0, 1, 2, 3]
        """
        return sum(self.psi >= limit for limit in (SMALL, LARGE, HUGE))


@dataclass(frozen=True)
class HeatMap:
    """Columns by what they ever did to the answers, the answers themselves first; windows oldest first.

    ``rows`` holds a cell for each window, none where nothing is known.
    ``is_whole`` is false if of some window only the columns that moved most are known.
    """

    nights: tuple[Night, ...]
    rows: Mapping[str, tuple[Cell | None, ...]]
    is_whole: bool


def heat_map(settings: Settings, windows: Sequence[Entry]) -> HeatMap:
    """Return the heat map of some windows of one model.

    What each column did is in the window's run folder; of windows whose folder
    is gone, the ledger still tells the columns that moved most.
    """
    reports = [_report(settings, entry) for entry in windows]
    told = [
        _as_judged(report or {name: Cell.of(cell) for name, cell in columns_of(entry).items()}, entry)
        for report, entry in zip(reports, windows, strict=True)
    ]
    rows = {name: tuple(cells.get(name) for cells in told) for name in _by_effect(told)}
    return HeatMap(tuple(Night.of(entry) for entry in windows), rows, all(report is not None for report in reports))


def _as_judged(cells: Mapping[str, Cell], entry: Entry) -> dict[str, Cell]:
    """Return the cells with the worst word that the verdict has for each: skew and contract speak of columns too."""
    found = dict(cells)
    for check in entry.body["verdict"]["checks"]:
        cell, status = found.get(check["subject"]), Status(check["status"])
        if cell and SEVERITY.index(status) > SEVERITY.index(cell.status):
            found[check["subject"]] = replace(cell, status=status)
    return found


def folder_of(settings: Settings, entry: Entry) -> Path:
    """Return the folder of the run that judged a window, whether it is still there or not."""
    folder = settings.runs / normpath(f"{entry.model}/{entry.body['run']}")
    if not folder.is_relative_to(settings.runs) or ".." in folder.parts:
        raise NightshiftError(
            f"entry {entry.id} of the ledger names a run outside {settings.runs}; it was not made by us"
        )
    return folder


def _by_effect(told: Sequence[Mapping[str, Cell]]) -> list[str]:
    most: dict[str, float] = {}
    for cells in told:
        for name, cell in cells.items():
            most[name] = max(most.get(name, 0.0), cell.effect)
    return sorted(most, key=lambda name: (-most[name], name))


def _report(settings: Settings, entry: Entry) -> dict[str, Cell] | None:
    """Return what a window's run wrote down of every column; none if its folder is gone or holds no comparison."""
    file = folder_of(settings, entry) / "drift.json"
    try:
        return cells_in(file, file.stat().st_mtime_ns)
    except (OSError, ValueError, KeyError, TypeError):
        return None


@lru_cache(maxsize=KEPT_IN_MEMORY)
def cells_in(file: Path, changed: int) -> dict[str, Cell]:  # noqa: ARG001 - part of what is remembered
    """Return what a comparison says of each column; remembered until the file is ``changed``."""
    content = read_json(file)
    parts = (content["output"]["columns"], content["inputs"]["columns"])
    return {column["column"]: Cell.of(column) for part in parts for column in part}
