"""One model, whole: a chosen night, the heat map, two distributions of a column, performance over time, the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from nightshift.alerts import Incident, open_incidents
from nightshift.errors import SpecError
from nightshift.ledger import Entry
from nightshift.pipelines.history import Reign, reigns
from nightshift.pipelines.standing import blocks
from nightshift.pipelines.telling import gap_words, unjudged
from nightshift.pipelines.why import explain
from nightshift.predictions.pinned import PinnedOnce, pins
from nightshift.settings import Settings
from nightshift.spec import ModelSpec, declared_names, find_spec
from nightshift.verdict import Check, Status
from nightshift.views.course import Change, Course, changes, courses
from nightshift.views.docs import docs_of
from nightshift.views.glance import Glance, glance
from nightshift.views.heat import HeatMap, heat_map
from nightshift.views.lines import Line, line_of
from nightshift.views.night import Night
from nightshift.views.overlay import Overlay, overlay_of
from nightshift.views.reading import LedgerReader

NIGHTS = 60
LINES = 25


@dataclass(frozen=True)
class ColumnView:
    """One column in one window: the two distributions (none if they are not kept), and what was said of it."""

    name: str
    overlay: Overlay | None
    facts: Mapping[str, Any]
    checks: tuple[Check, ...]


@dataclass(frozen=True)
class NightView:
    """The chosen window: in words, with everything the ledger knows (``told``, as ``nightshift why`` tells it).

    ``speaking`` are the checks that are not quiet; ``earlier`` and ``later`` the windows beside it.
    ``has_docs`` says whether its run left Data Docs.
    """

    night: Night
    told: Mapping[str, Any]
    speaking: tuple[Check, ...]
    earlier: int | None
    later: int | None
    has_docs: bool


@dataclass(frozen=True)
class ModelView:
    """Everything the page of a model shows; ``spec`` is none if its declaration is gone or cannot be read.

    ``incidents`` are those people were told of that are not over, but for the
    nights' own, which is the verdict.
    """

    glance: Glance
    spec: ModelSpec | None
    night: NightView | None
    heat: HeatMap
    column: ColumnView | None
    courses: Sequence[Course]
    changes: Sequence[Change]
    reigns: Sequence[Reign]
    pins: Sequence[PinnedOnce]
    blocked: Sequence[Night]
    lines: Sequence[Line]
    incidents: Sequence[Incident]


def model_view(
    settings: Settings,
    ledger: LedgerReader,
    name: str,
    *,
    nights: int = NIGHTS,
    window: int | None = None,
    column: str | None = None,
) -> ModelView | None:
    """Return a model's page; none if nobody has heard of the model.

    Parameters
    ----------
    nights
        How many windows the heat map and the charts go back.
    window
        Number of the ledger's entry that judges the chosen window, or of an earlier judgement of it; none: the newest.
    column
        Column to look at; none, or one nothing is known of: the one that mattered most in that window.
    """
    windows = ledger.newest_windows(nights, model=name).get(name, [])
    others = ledger.beside_windows(name)
    is_declared = name in declared_names(settings.specs)
    if not (windows or others or is_declared):
        return None
    judged = ledger.judgements(name, window) if window is not None else []
    chosen = judged[-1] if judged else windows[-1] if windows else None
    heat, spec = heat_map(settings, windows), _spec(settings, name)
    told = {thing: one for thing, one in open_incidents(settings.alerts, name).items() if thing != "nights"}
    if "gaps" in told and spec is not None:
        # people were told of those known then, and are not told again each night
        gaps = unjudged(windows, until=windows[-1].start, at_least=spec.monitor.window) if windows else []
        told["gaps"] = replace(told["gaps"], facts=gap_words(gaps) or told["gaps"].facts)
    return ModelView(
        glance=glance(name, windows, others, settings, is_declared=is_declared),
        spec=spec,
        night=_night(settings, ledger, windows, others, chosen) if chosen else None,
        heat=heat,
        column=_column(settings, chosen, column, heat) if chosen else None,
        courses=courses(windows),
        changes=changes(others),
        reigns=reigns(others)[::-1],
        pins=pins(settings.predictions / name),
        blocked=tuple(_blocked(windows, others)),
        lines=tuple(line_of(entry) for entry in ledger.newest(name, LINES)),
        incidents=list(told.values()),
    )


def _spec(settings: Settings, name: str) -> ModelSpec | None:
    try:
        return find_spec(settings.specs, name)
    except SpecError:
        return None


def _night(
    settings: Settings, ledger: LedgerReader, windows: Sequence[Entry], others: Sequence[Entry], chosen: Entry
) -> NightView:
    judged = ledger.judgements(chosen.model, chosen.id)
    told = explain(sorted([*judged, *others], key=lambda entry: entry.id), chosen)
    numbers = [entry.id for entry in windows]
    place = numbers.index(chosen.id) if chosen.id in numbers else None
    return NightView(
        night=Night.of(chosen),
        told=told,
        speaking=tuple(Check.from_json(check) for check in told["reasons"]),
        earlier=numbers[place - 1] if place else None,
        later=numbers[place + 1] if place is not None and place + 1 < len(numbers) else None,
        has_docs=docs_of(settings, chosen.model, str(chosen.body["run"])) is not None,
    )


def _column(settings: Settings, chosen: Entry, column: str | None, heat: HeatMap) -> ColumnView | None:
    place = next((place for place, night in enumerate(heat.nights) if night.entry == chosen.id), None)
    cells = {name: row[place] for name, row in heat.rows.items() if place is not None and row[place]}
    checks = [Check.from_json(check) for check in chosen.body["verdict"]["checks"]]
    name = column if column in heat.rows else _weightiest(cells, checks)
    if name is None:
        return None
    cell = cells.get(name)
    facts = {"psi": cell.psi, "effect": cell.effect, "status": cell.status} if cell else {}
    mine = tuple(check for check in checks if check.subject == name)
    return ColumnView(name, overlay_of(settings, chosen, name), facts, mine)


def _weightiest(cells: Mapping[str, Any], checks: Sequence[Check]) -> str | None:
    """Return the column that the verdict names first; if it names none, the one whose move means most."""
    named = [check.subject for check in checks if check.status is not Status.HEALTHY and check.subject in cells]
    return named[0] if named else max(cells, key=lambda name: cells[name].effect, default=None)


def _blocked(windows: Sequence[Entry], others: Sequence[Entry]) -> list[Night]:
    standing = {(entry.start, entry.end) for entry in blocks(others)}
    return [Night.of(entry) for entry in windows if (entry.start, entry.end) in standing]
