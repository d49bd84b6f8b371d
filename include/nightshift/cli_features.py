"""The part of the command ``nightshift`` that tells of features."""

import json
import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from nightshift.settings import Settings

app = typer.Typer()
WIDTH = None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON for programs instead of text for people.")]


@app.command()
def features(as_json: AsJson = False) -> None:
    """List the views of the feature repository: whose they are, who uses them, until when their facts are online."""
    from nightshift.pipelines.catalogue import catalogue

    found = catalogue(Settings.load())
    if as_json:
        sys.stdout.write(json.dumps(found, indent=2, sort_keys=True, default=lambda moment: moment.isoformat()) + "\n")
        return
    table = Table("view", "version", "entity", "owner", "used by", "facts online until (UTC)", "features")
    for row in found:
        until = f"{row['until']:%Y-%m-%d %H:%M}" if row["until"] else "–"
        shown = (row["entity"] or "on demand", row["owner"], ", ".join(row["models"]) or "–", until)
        table.add_row(row["view"], str(row["version"]), *shown, ", ".join(row["features"]))
    Console(width=WIDTH, highlight=False).print(table)
