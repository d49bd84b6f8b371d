"""Challenger beside champion: what the newest release that is not champion answered to the same live requests."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from nightshift.model.answered import Answered
from nightshift.model.comparison import Champion, Comparison, compare
from nightshift.model.metrics import MAIN
from nightshift.pipelines.history import learned_until
from nightshift.pipelines.output import OUTPUT, logged_output
from nightshift.pipelines.work import Work
from nightshift.predictions.log import SHADOW, PredictionLog
from nightshift.profile.distance import psi
from nightshift.profile.profile import Profile
from nightshift.spec import Kind, ModelSpec, Task

ROWS_MIN = 30
"""Of fewer rows nothing is said."""


def shadow_of(work: Work, window: pd.DataFrame, labelled: pd.DataFrame) -> dict[str, Any] | None:
    """Return how the challenger did beside the champion; none where it answered too few of the rows, or none.

    It never turns the champion's verdict. Metrics are of those labelled rows only
    that happened after both had learned.

    Parameters
    ----------
    window
        The champion's answered rows of the window, as the log holds them.
    labelled
        Those of the mature cohort, with ``label`` where it is known.
    """
    folder = work.settings.predictions / work.spec.name / SHADOW
    if not folder.exists():
        return None
    log = PredictionLog(folder)
    log.compact()
    both = _both(log, window)
    if len(both) < ROWS_MIN:
        return None
    version = str(both["version_shadow"].mode().iloc[0])
    both = both[both["version_shadow"] == version]
    told = {"version": version, "rows": len(both), **_apart(both, work.spec)}
    known = _both(log, labelled[labelled["label"].notna()])
    known = known[known["version_shadow"] == version] if len(known) else known
    compared = _compared(work, version, known) if len(known) >= ROWS_MIN else None
    metrics = {name: paired.to_json() for name, paired in compared.metrics.items()} if compared else {}
    told |= {"labelled": compared.rows if compared else 0, "metrics": metrics}
    return {**told, "sentence": _sentence(told, work.spec)}


def _both(log: PredictionLog, answered: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that both have answered; the challenger's columns end in ``_shadow``."""
    if answered.empty:
        return answered.assign(version_shadow=pd.Series(dtype=object))
    last = answered["time"].max() + pd.Timedelta(microseconds=1)
    rows, _ = log.window(answered["time"].min().to_pydatetime(), last.to_pydatetime())
    rows = rows[~rows["refused"].astype(bool)].drop_duplicates("prediction_id")
    names = ["version", "prediction", "probability", *(["probabilities"] if "probabilities" in rows else [])]
    other = rows[["prediction_id", *names]].rename(columns={name: f"{name}_shadow" for name in names})
    return answered.merge(other, on="prediction_id").reset_index(drop=True)


def _apart(both: pd.DataFrame, spec: ModelSpec) -> dict[str, float]:
    """Return how far the answers are apart: row by row, on average, and as distributions (PSI)."""
    column = logged_output(spec)
    own, other = (both[name].astype(float) for name in (column, f"{column}_shadow"))
    before = Profile.of(pd.DataFrame({OUTPUT: own}), {OUTPUT: Kind.NUMERIC})
    now = Profile.of(pd.DataFrame({OUTPUT: other}), {OUTPUT: Kind.NUMERIC}, bins_of=before)
    found = {
        "mean_difference": float((other - own).mean()),
        "mean_size": float((other - own).abs().mean()),
        "psi": psi(before.columns[OUTPUT], now.columns[OUTPUT]),
    }
    if spec.task is Task.REGRESSION:
        return found
    return {**found, "other_class": float((both["prediction"] != both["prediction_shadow"]).mean())}


def _compared(work: Work, version: str, known: pd.DataFrame) -> Comparison | None:
    """Return the challenger's metrics beside the champion's on rows that neither has learned from."""
    spec, champion = work.spec, str(known["version"].iloc[0])
    rows = known.assign(**{spec.time.column: known["time"], spec.label.column: known["label"]})
    since = max(learned_until(work, name) for name in (version, champion))
    rows = rows[rows["time"] >= since]
    if len(rows) < ROWS_MIN:
        return None
    classes, champions = (_classes(work, name) for name in (version, champion))
    challenger = Answered.by(lambda asked: _answers(asked, spec, "_shadow"), rows, spec, classes)
    return compare(
        challenger,
        Champion(champion, lambda asked: _answers(asked, spec, ""), since, champions),
        seed=spec.training.seed,
    )


def _answers(rows: pd.DataFrame, spec: ModelSpec, suffix: str) -> np.ndarray:
    match spec.task:
        case Task.BINARY:
            return rows[f"probability{suffix}"].to_numpy(dtype=np.float64)
        case Task.MULTICLASS:
            return np.stack(rows[f"probabilities{suffix}"].to_list()).astype(np.float64)
        case _:
            return rows[f"prediction{suffix}"].to_numpy(dtype=np.float64)


def _classes(work: Work, version: str) -> Sequence[str]:
    if work.spec.task is not Task.MULTICLASS:
        return ()
    from nightshift.model.package import open_package  # brings ONNX: a second that only several classes pay

    return open_package(work.registry.fetch(work.spec.name, version)).classes


def _sentence(told: dict[str, Any], spec: ModelSpec) -> str:
    rows, more = told["rows"], told["mean_difference"]
    apart = f"its answers are {abs(more):.3g} {'higher' if more > 0 else 'lower'} on average"
    if "other_class" in told:
        apart = f"another class for {told['other_class']:.1%} of them, {apart}"
    words = f"version {told['version']} answered {rows:,} of the rows in shadow: {apart}, PSI {told['psi']:.2f}"
    name = spec.gates.champion.metric if spec.gates.champion else MAIN[spec.task]
    paired = told["metrics"].get(name)
    if not paired:
        return words
    gap = paired["difference"]
    return (
        f"{words}; {name} {paired['candidate']:.4f} where the champion has {paired['champion']:.4f}, on "
        f"{told['labelled']:,} labelled rows (difference {gap['low']:+.4f} to {gap['high']:+.4f})"
    )
