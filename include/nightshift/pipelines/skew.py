"""Whether serving and training mean the same by a feature: the window's rows against the offline join."""

from typing import Any

import pandas as pd

from nightshift.data.source import load_source
from nightshift.data.tables import assemble_live
from nightshift.features.declared import Service
from nightshift.features.skew import SkewReport
from nightshift.features.skew import skew as compare
from nightshift.model.package import open_package
from nightshift.pipelines.recipe import recipe, service_of
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.window import has_too_few
from nightshift.pipelines.work import Outcome, Work
from nightshift.verdict import Check, Status

ROWS_SHARE = 0.01
"""Of the rows may differ: facts that came late. More is a fault on the way, not a change of the world."""


def skew(work: Work) -> Outcome:
    """Compare what the window's answers were made from with what training would have joined; write ``skew.json``."""
    service = service_of(work.spec, work.settings)
    if service is None:
        return Outcome("no feature service: nothing to compare with")
    if has_too_few(work):
        return Outcome("too few rows to compare")
    version = str(work.run.read("window.json")["version"])
    made = open_package(work.registry.fetch(work.spec.name, version)).profile.get("features") or {}
    if made.get("digest") != service.digest:
        return Outcome(f"version {version} was trained with other definitions than are here: not compared")
    report = _compare(work, service)
    work.run.write("skew.json", {"format": 1, **report.to_json(), "checks": [c.to_json() for c in checks_of(report)]})
    return Outcome("; ".join(check.sentence for check in checks_of(report)))


def checks_of(report: SkewReport) -> list[Check]:
    """Return one check for each column that differs in too many rows, or one that says that all is well.

    >>> [check.sentence for check in checks_of(SkewReport(900, 0.0, ()))]
    ['0 of 900 rows were answered from other features than training would have']
    """
    wrong = [column for column in report.columns if column.share > ROWS_SHARE]
    if not wrong:
        count = f"{round(report.share * report.rows):,} of {report.rows:,} rows"
        sentence = f"{count} were answered from other features than training would have"
        return [Check("skew", Status.HEALTHY, "features", sentence, report.share, ROWS_SHARE, report.rows)]
    return [
        Check(
            "skew",
            Status.BROKEN,
            column.column,
            f"{column.column} is not what training would have in {column.share:.1%} of {report.rows:,} rows"
            f"{f', {column.looks_like}' if column.looks_like else ''} ({column.example})",
            column.share,
            ROWS_SHARE,
            report.rows,
        )
        for column in wrong
    ]


def _compare(work: Work, service: Service) -> SkewReport:
    spec, request = work.spec, MonitorRequest.of(work.run)
    source = load_source(spec, work.settings.sources, work.settings.project)
    how = recipe(spec, work.settings)
    joined = assemble_live(source, spec, how, start=request.start, end=request.end, lookback=spec.time.lookback)
    rows = pd.read_parquet(work.run.file("window.parquet"))
    logged: Any = rows[rows["key"].notna()].rename(columns={"key": spec.key})
    entities = {name: service.key_of(view) for view, part in service.views.items() for name in part.features}
    return compare(logged, joined, key=spec.key, columns=list(spec.features), entity_of=entities)
