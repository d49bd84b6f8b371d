"""All models at a glance: who answers, since when, what the last nights were, and what waits for a person."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from nightshift.ledger import Entry, Kind
from nightshift.pipelines.history import Reign, reigns
from nightshift.pipelines.standing import blocks, pause
from nightshift.predictions.pinned import Pinned, pinned_in
from nightshift.settings import Settings
from nightshift.spec import declared_names
from nightshift.verdict import SEVERITY, Status
from nightshift.views.night import Night
from nightshift.views.reading import LedgerReader

NIGHTS = 28
"""So many windows tell whether the last one is odd or usual."""


@dataclass(frozen=True)
class Glance:
    """One model on one line.

    ``nights`` are the last windows, oldest first. ``built_as_of`` is the
    moment, in the model's own time, whose knowledge the champion was built from.
    ``pinned`` is what answers in the champion's stead.
    ``is_declared`` is false of a model that only the ledger still knows.
    """

    name: str
    is_declared: bool
    champion: Reign | None
    built_as_of: datetime | None
    nights: tuple[Night, ...]
    blocked: int
    paused: Entry | None
    pinned: Pinned | None

    @property
    def last(self) -> Night | None:
        """The newest window; none if there was none yet."""
        return self.nights[-1] if self.nights else None

    @property
    def asks(self) -> str:
        """Why somebody should look, after the model's name; empty if all is well."""
        asks = []
        if self.last is not None and self.last.status is not Status.HEALTHY:
            asks.append(f"is {self.last.status}")
        if self.pinned:
            asks.append(f"answers with version {self.pinned.version}, which is pinned")
        if self.blocked:
            asks.append(f"keeps {self.blocked} window{'s' if self.blocked > 1 else ''} from training")
        if self.paused:
            asks.append("promotes nothing by itself")
        return ", ".join(asks)


def glances(settings: Settings, ledger: LedgerReader, *, nights: int = NIGHTS) -> list[Glance]:
    """Return all models, declared or remembered: those first that ask for a person, the worst of them on top."""
    declared = set(declared_names(settings.specs))
    windows, others = ledger.newest_windows(nights), _by_model(ledger.beside_windows())
    found = [
        glance(name, windows.get(name, []), others.get(name, []), settings, is_declared=name in declared)
        for name in sorted(declared | windows.keys() | others.keys())
    ]
    return sorted(found, key=_urgency)


def glance(
    name: str, windows: Iterable[Entry], others: list[Entry], settings: Settings, *, is_declared: bool
) -> Glance:
    """Return one model at a glance, from its newest windows and all its other entries."""
    history = reigns(others)
    return Glance(
        name=name,
        is_declared=is_declared,
        champion=history[-1] if history else None,
        built_as_of=_built_as_of(others, history[-1].version) if history else None,
        nights=tuple(Night.of(entry) for entry in windows),
        blocked=len(blocks(others)),
        paused=pause(others),
        pinned=pinned_in(settings.predictions / name),
    )


def _built_as_of(others: list[Entry], version: str) -> datetime | None:
    """Return what the first promotion of a version tells; later ones, by hand, tell when they were made instead."""
    promotions = (entry for entry in others if entry.kind is Kind.PROMOTION and entry.body["version"] == version)
    return next((entry.end for entry in promotions if not entry.body.get("by_hand")), None)


def _urgency(one: Glance) -> tuple[bool, int, str]:
    severity = SEVERITY.index(one.last.status) if one.last else 0
    return not one.asks, -severity, one.name


def _by_model(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.model, []).append(entry)
    return found
