"""Did a retrain help? Both models on the same later rows, of which neither has learned."""

from datetime import datetime
from typing import Any

import pandas as pd

from nightshift.data.source import load_source
from nightshift.data.tables import labels as read_labels
from nightshift.ledger import Entry, Kind
from nightshift.model.answered import Answered
from nightshift.model.comparison import Champion, Paired, compare
from nightshift.model.metrics import LARGER_IS_BETTER, MAIN
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.work import Work
from nightshift.predictions.days import OWN
from nightshift.predictions.labels import join
from nightshift.predictions.log import PredictionLog
from nightshift.spec import ModelSpec

WINDOWS = 4
"""After so many windows what is still no difference is no help."""


def did_it_help(work: Work) -> Entry | None:
    """Return what the ledger is told of the newest champion and the one before; none if there is nothing new to tell.

    It helped if its metric is better beyond chance, and did not if it is worse
    beyond chance, or no different after four windows; until then nobody knows.
    """
    spec, request = work.spec, MonitorRequest.of(work.run)
    promotions = work.ledger.entries(spec.name, Kind.PROMOTION)
    if not promotions or not promotions[-1].body.get("before") or promotions[-1].body.get("by_hand"):
        return None
    promotion, windows = promotions[-1], (request.end - promotions[-1].end) / spec.monitor.window
    if not 0 < windows <= WINDOWS:
        return None
    rows = _later_rows(work, since=promotion.end, until=request.end - spec.label.mature_age, known=request.end)
    if len(rows) < spec.monitor.rows_min:
        return None
    body = _told(work, promotion.body["version"], promotion.body["before"], rows, last_chance=windows + 1 > WINDOWS)
    before = [(entry.end, entry.body) for entry in work.ledger.entries(spec.name, Kind.HELP)]
    if body is None or (request.end, body) in before:
        return None
    return work.ledger.append(spec.name, Kind.HELP, start=promotion.end, end=request.end, body=body, now=work.now())


def _later_rows(work: Work, *, since: datetime, until: datetime, known: datetime) -> pd.DataFrame:
    """Return what was asked in [since, until), whoever answered, with what became of it."""
    spec = work.spec
    asked, _ = PredictionLog(work.settings.predictions / spec.name).window(since, until)
    source = load_source(spec, work.settings.sources, work.settings.project)
    labels = read_labels(source, spec, start=since, end=until, as_of=known)
    joined = join(asked, labels, key=spec.key, label=spec.label.column)
    labelled = joined[joined["label"].notna()].drop_duplicates("key")
    inputs = [name for name in labelled.columns if name not in (*OWN, "label", "known_at")]
    own = {spec.time.column: labelled["time"], spec.label.column: labelled["label"]}
    return labelled[inputs].assign(**own)  # the log's own columns may be called as the declaration calls others


def _told(work: Work, version: str, before: str, rows: pd.DataFrame, *, last_chance: bool) -> dict[str, Any] | None:
    spec, metric = work.spec, _metric(work.spec)
    since = rows[spec.time.column].min()
    new, old = (_champion(work, name, since) for name in (version, before))
    try:
        answered = Answered.by(new.predict, rows, spec, new.classes)
    except KeyError:  # the rows were asked of the version before, which had other columns
        return None
    found = None if answered.problem else compare(answered, old, seed=spec.training.seed).metrics.get(metric)
    if found is None:
        return None
    helped = _helped(metric, found, last_chance=last_chance)
    words = {True: "helped", False: "did not help", None: "made no difference yet"}[helped]
    gap = found.difference
    sentence = (
        f"the retrain {words}: {metric} {found.candidate:.4f} with version {version}, {found.champion:.4f} with "
        f"{before}, on the same {len(rows):,} later rows (difference {gap.low:+.4f} to {gap.high:+.4f})"
    )
    told = {"version": version, "before": before, "metric": metric, "rows": len(rows), "helped": helped}
    return {**told, "paired": found.to_json(), "sentence": sentence}


def _helped(metric: str, found: Paired, *, last_chance: bool) -> bool | None:
    better = found.difference.low > 0 if metric in LARGER_IS_BETTER else found.difference.high < 0
    worse = found.difference.high < 0 if metric in LARGER_IS_BETTER else found.difference.low > 0
    if better or worse:
        return better
    return False if last_chance else None


def _metric(spec: ModelSpec) -> str:
    return spec.gates.champion.metric if spec.gates.champion else MAIN[spec.task]


def _champion(work: Work, version: str, learned_until: datetime) -> Champion:
    from nightshift.model.package import open_package  # brings XGBoost: only windows after a retrain pay

    opened = open_package(work.registry.fetch(work.spec.name, version))
    return Champion(version, opened.predict, learned_until, opened.classes)
