"""The part of the command ``nightshift`` that tells of features."""

import json
import os
import sys
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nightshift.settings import Settings

app = typer.Typer()
WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs instead of text for people.")]


@app.command()
def features(as_json: AsJson = False) -> None:
    """List the views of the feature repository: whose they are, who uses them, how fresh they are, what they said."""
    from nightshift.pipelines.catalogue import catalogue

    found = catalogue(Settings.load(), now=datetime.now(UTC))
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, sort_keys=True, default=lambda moment: moment.isoformat()) + "\n")
        return
    table = Table(
        "view", "version", "entity", "owner", "used by", "facts online until (UTC)", "features, as last profiled"
    )
    for row in found:
        until = f"{row['until']:%Y-%m-%d %H:%M}{' (stale)' if row['stale'] else ''}" if row["until"] else "–"
        shown = (row["entity"] or "on demand", row["owner"], ", ".join(row["models"]) or "–", until)
        table.add_row(
            row["view"],
            str(row["version"]),
            *shown,
            "\n".join(_told(name, row["statistics"].get(name)) for name in row["features"]),
        )
    Console(width=WIDTH, highlight=False).print(table)


def _told(name: str, last: dict[str, Any] | None) -> str:
    """Return a feature and what was last seen of it."""
    if last is None:
        return name
    nulls = f"{last['nulls']:.1%} null"
    if last["mean"] is None:
        return f"{name}: {nulls}"
    return f"{name}: {last['mean']:.4g} ({last['lowest']:.4g} to {last['highest']:.4g}), {nulls}"
