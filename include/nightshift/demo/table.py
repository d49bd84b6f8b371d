"""How the story ends: what each window said, and both models on the same later rows."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pandas as pd
from rich.table import Table

from nightshift.data.source import load_source
from nightshift.data.tables import assemble_live
from nightshift.ledger import Entry, Kind, Ledger
from nightshift.model.evaluate import evaluate
from nightshift.model.package import open_package
from nightshift.pipelines.recipe import recipe
from nightshift.registry import ModelRegistry, Release
from nightshift.settings import Settings
from nightshift.spec import ModelSpec

COLORS = {"HEALTHY": "green", "DRIFTED": "yellow", "DEGRADED": "red", "BROKEN": "bold red", "UNKNOWN": "dim"}
DEMO_METRICS = ("auc", "log_loss")


def windows_table(ledger: Ledger, spec: ModelSpec) -> Table:
    """Return one row for each judged window: rows, verdict, why, decision, and who answered."""
    table = Table("window", "rows", "verdict", "why", "decision", "champion", title=f"{spec.name}: week after week")
    for entry in ledger.windows(spec.name):
        table.add_row(*_window_row(entry))
    return table


def _window_row(entry: Entry) -> tuple[str, ...]:
    body, last_day = entry.body, entry.end - timedelta(days=1)
    status, decision = body["verdict"]["status"], body["decision"]
    return (
        f"{entry.start:%d %b} – {last_day:%d %b}",
        f"{body['rows']:,}",
        f"[{COLORS[status]}]{status}[/]",
        "" if status == "HEALTHY" else body["why"],
        "[bold]retrain[/]" if decision["retrain"] else _why_not(decision),
        f"v{body['version']}" if body["version"] else "–",
    )


def _why_not(decision: Mapping[str, Any]) -> str:
    """Return why there was no retrain; of a healthy window that goes without saying."""
    return "–" if decision["rule"] == "healthy" else str(decision["sentence"])


def comparison_table(registry: ModelRegistry, ledger: Ledger, spec: ModelSpec, settings: Settings) -> Table | None:
    """Return how the first and the last champion do on the rows after both were trained; none with fewer than two."""
    promoted = [str(entry.body["version"]) for entry in ledger.entries(spec.name, Kind.PROMOTION)]
    windows = ledger.windows(spec.name)
    releases = {release.version: release for release in registry.versions(spec.name)}
    if len(set(promoted)) < 2 or not windows:
        return None
    old, new = releases[promoted[0]], releases[promoted[-1]]
    since, until = _as_of(new), max(entry.end for entry in windows)
    rows = labelled_rows(spec, settings, start=since, end=until)
    title = f"the same {len(rows):,} later flights, {since:%d %b} to {until:%d %b}, asked of both"
    table = Table("model", "built as of", *DEMO_METRICS, title=title)
    for release in (old, new):
        table.add_row(f"v{release.version}", f"{_as_of(release):%d %b}", *_measured(registry, release, rows, spec))
    return table


def labelled_rows(spec: ModelSpec, settings: Settings, *, start: datetime, end: datetime) -> pd.DataFrame:
    """Return the events of [start, end) with their features as known then and their labels as known now."""
    source = load_source(spec, settings.sources, settings.project)
    rows = assemble_live(source, spec, recipe(spec, settings), start=start, end=end, lookback=spec.time.lookback)
    return rows.dropna(subset=[spec.label.column])


def _measured(registry: ModelRegistry, release: Release, rows: pd.DataFrame, spec: ModelSpec) -> tuple[str, ...]:
    package = open_package(registry.fetch(release.model, release.version))
    evaluation = evaluate(package.predict, rows, spec)
    shown = (evaluation.metrics[name] for name in DEMO_METRICS)
    return tuple(f"{metric.value:.4f} ({metric.low:.4f} – {metric.high:.4f})" for metric in shown)


def _as_of(release: Release) -> datetime:
    return datetime.fromisoformat(release.tags["as_of"])
