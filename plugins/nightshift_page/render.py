"""Values as the page's templates show them."""

import hashlib
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from nightshift.verdict import Status
from nightshift.views.heat import Cell, HeatMap

HERE = Path(__file__).parent
STATIC = {
    "page.css": "text/css", "page.js": "text/javascript", "theme.js": "text/javascript", "chart.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}  # fmt: skip
"""What may be asked for by name, and as what it is sent."""
WORDS = {
    "HEALTHY": "healthy", "DRIFTED": "drifted", "DEGRADED": "degraded", "BROKEN": "broken", "UNKNOWN": "unknown",
    "PASS": "yes", "FAIL": "no",
}  # fmt: skip
MARKS = {"HEALTHY": "✓", "DRIFTED": "▲", "DEGRADED": "▼", "BROKEN": "✕", "UNKNOWN": "?", "PASS": "✓", "FAIL": "✕"}
"""Colour is never all that tells two words apart."""


@cache
def templates() -> Environment:
    """Return the templates: everything is escaped, a forgotten value is an error."""
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "number": number, "share": share, "word": WORDS.get, "mark": MARKS.get, "moment": moment, "until": until,
        "capitalize_first": capitalize_first,
    }  # fmt: skip
    found.globals["heat_cells"] = heat_cells
    return found


def heat_cells(heat: HeatMap, column: str, *, nights: int, chosen: int | None) -> Markup:
    """Return the cells of one column of the heat map; a year of them is too many for a template's loop."""
    tail = Markup("&amp;nights={}&amp;column={}#column").format(nights, quote(column, safe=""))
    cells = zip(heat.nights, heat.rows[column], strict=True)
    return Markup("").join(_cell(night.entry, cell, tail, is_chosen=night.entry == chosen) for night, cell in cells)


def _cell(entry: int, cell: Cell | None, tail: Markup, *, is_chosen: bool) -> Markup:
    if cell is None:
        return Markup("<td></td>")
    here = ' here" aria-current="true' if is_chosen else ""
    word, mark = (f" {cell.status}", MARKS[cell.status]) if cell.status is not Status.HEALTHY else ("", "")
    # all parts but the tail, which is escaped, are ours: numbers and words of closed lists
    at = f'href="?window={entry}{tail}" data-p="{cell.psi:.2f}"'
    return Markup(f'<td><a class="s{cell.shade}{word}{here}" {at}>{mark}</a></td>')  # noqa: S704 - as said above


@cache
def static(name: str) -> tuple[bytes, str]:
    """Return one of :data:`STATIC` and a digest of it, for its address: it may be kept as long as it is the same."""
    content = (HERE / "static" / name).read_bytes()
    return content, hashlib.sha256(content).hexdigest()[:12]


def render(name: str, *, root: str, now: datetime, **values: Any) -> str:
    """Return a page; ``root`` is the path it lives below, without a slash at its end."""
    files: Mapping[str, str] = {file: f"{root}/static/{file}?v={static(file)[1]}" for file in STATIC}
    house = root.rpartition("/")[0]
    since: Callable[[datetime], str] = lambda then: ago(then, now)  # noqa: E731 - a template has no partial
    return templates().get_template(name).render(root=root, house=house, files=files, now=now, since=since, **values)


def capitalize_first(text: str) -> str:
    """Return a sentence that begins with a capital; names inside it stay as they are.

    >>> capitalize_first("because AUC fell")
    'Because AUC fell'
    """
    return text[:1].upper() + text[1:]


def number(value: Any) -> str:
    """Return a number as short as it can be read; a dash for none.

    >>> number(1234567), number(0.123456), number(None), number(2.0), number("x")
    ('1,234,567', '0.1235', '–', '2', 'x')
    """
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.0f}" if isinstance(value, float) and abs(value) >= 10_000 else _short(value)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def share(value: float | None) -> str:
    """Return a share as percent.

    >>> share(0.1234), share(0.00012), share(0.0), share(None)
    ('12.3 %', '0.01 %', '0 %', '–')
    """
    if value is None:
        return "–"
    return (
        "0 %"
        if value == 0
        else f"{value:.1%}".replace("%", " %")
        if value >= 0.001
        else f"{value:.2%}".replace("%", " %")
    )


def moment(value: datetime | None) -> str:
    """Return a moment in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if value else "–"


def ago(then: datetime, now: datetime) -> str:
    """Return how long ago something was, in the largest unit that fits.

    >>> from datetime import timedelta
    >>> now = datetime(2026, 1, 31, tzinfo=UTC)
    >>> ago(now - timedelta(days=3, hours=5), now), ago(now - timedelta(minutes=1), now), ago(now, now)
    ('3 days', '1 minute', 'a moment')
    """
    return _long((now - then).total_seconds()) or "a moment"


def until(then: datetime, now: datetime) -> str:
    """Return how long it is until something; a moment that has gone by is due."""
    told = _long((then - now).total_seconds())
    return f"in {told}" if told else "due"


def _long(seconds: float) -> str:
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        count = int(seconds // length)
        if count >= 1:
            return f"{count:,} {unit}" + ("s" if count > 1 else "")
    return ""
