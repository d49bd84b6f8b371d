"""One card as Markdown and as a page that needs nothing but itself."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from nightshift.card.content import CardContent
from nightshift.card.sections import sections
from nightshift.files import write_text

TEMPLATES = Path(__file__).parent
MARKDOWN_SIGNS = re.compile(r"([\\`*_{}\[\]<>|#~&])")
MARKDOWN_STARTS = re.compile(r"^(\d{0,9})([-+.)](?=[-\s]|$))")
"""What at the begin of a line makes a list or a rule of it."""


def write_card(folder: Path, content: CardContent) -> None:
    """Write ``card.md`` and ``card.html`` into ``folder``."""
    write_text(folder / "card.md", render_markdown(content))
    write_text(folder / "card.html", render_html(content))


def render_markdown(content: CardContent) -> str:
    """Return the card as Markdown; whatever signs its values hold are shown, not obeyed."""
    return _render("card.md.j2", content)


def render_html(content: CardContent) -> str:
    """Return the card as one HTML page: no script, nothing loaded from elsewhere, all values escaped."""
    return _render("card.html.j2", content)


def _render(template: str, content: CardContent) -> str:
    return (
        _environment(template.endswith(".html.j2"))
        .get_template(template)
        .render(
            name=content.spec["name"],
            status=content.verdict["status"],
            digest=content.lineage["digest"],
            reproducible=content.lineage["reproducible"],
            sections=sections(content),
        )
    )


@cache
def _environment(is_html: bool) -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=is_html,  # noqa: S701 - the other one is Markdown, which escape_markdown makes harmless
        finalize=None if is_html else escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def escape_markdown(value: Any) -> str:
    """Return text that Markdown (and the HTML in it) shows as it is, on one line.

    >>> escape_markdown("<b>late|early</b>")
    '\\\\<b\\\\>late\\\\|early\\\\</b\\\\>'
    >>> escape_markdown("1. first, of -2.5")
    '1\\\\. first, of -2.5'
    """
    text = " ".join(str(value).split())
    return MARKDOWN_STARTS.sub(r"\1\\\2", MARKDOWN_SIGNS.sub(r"\\\1", text))
