"""Models of other tasks in shadow: several classes, and numbers."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from factories.model import a_model, a_spec, pack, rides
from factories.nights import Watching, start_of
from nightshift.files import write_json
from nightshift.pipelines.shadowing import shadow_of
from nightshift.predictions.labels import join
from nightshift.predictions.log import PredictionLog
from nightshift.predictions.record import Answered, Columns, micros
from nightshift.runs import RunFolder
from nightshift.settings import Settings


def logged(folder: Path, task: str, rows: pd.DataFrame, answers: np.ndarray, *, version: str) -> pd.DataFrame:
    """Write answers into a log and return the rows as it holds them."""
    classes = a_model(task).classes
    columns = Columns(
        "rides", version, "ab" * 32, task, {"distance": "numeric"}, classes=classes, key="ride_id", time="at"
    )
    moments = [moment.to_pydatetime() for moment in rows["at"]]
    entry = Answered(
        "request", micros(moments[-1]), version, [(None,)] * len(rows), answers.tolist(),
        keys=rows["ride_id"].tolist(), times=[micros(moment) for moment in moments], flaws={},
    )  # fmt: skip
    log = PredictionLog(folder)
    log.append(columns, [entry])
    log.compact()
    return log.window(moments[0], moments[-1] + timedelta(seconds=1))[0]


def shadowed(folder: Path, task: str, spoil: Any) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Return what is told when a challenger gives the champion's answers, spoilt."""
    settings, spec = Settings.load(state=folder), a_spec(task)
    for version in ("1", "2"):
        kept = settings.releases / "fake" / version
        kept.mkdir(parents=True)
        if task == "multiclass":  # whose classes are in the package
            pack(kept / "package", task)
        write_json(kept / "split.json", {"splits": {"validation": {"end": start_of(0).isoformat()}}})
    rows = rides(task, rows=400, seed=9, days=1)
    answers = a_model(task).predict(rows)
    logged(settings.predictions / "rides" / "shadow", task, rows, spoil(answers), version="2")
    window = logged(settings.predictions / "rides", task, rows, answers, version="1")
    labels = rows[["ride_id", "outcome"]].assign(known_at=rows["at"])
    labelled = join(window, labels, key="ride_id", label="outcome")
    run = RunFolder.of(settings.runs, model="rides", pipeline="monitor", run_id="night")
    found = shadow_of(Watching(spec, run, settings), window, labelled)
    assert found is not None
    return found, answers, spoil(answers)


def test_of_several_classes_the_challengers_share_of_other_classes_and_its_loss_are_told(tmp_path: Path) -> None:
    found, own, other = shadowed(tmp_path, "multiclass", lambda chances: np.roll(chances, 1, axis=1))

    assert found["rows"] == found["labelled"] == 400
    assert found["other_class"] == pytest.approx((own.argmax(axis=1) != other.argmax(axis=1)).mean())
    loss = found["metrics"]["log_loss"]
    assert loss["candidate"] > loss["champion"]
    assert loss["difference"]["low"] > 0


def test_of_numbers_the_challengers_distance_and_error_are_told(tmp_path: Path) -> None:
    found, _, _ = shadowed(tmp_path, "regression", lambda values: values + 30)

    assert "other_class" not in found
    assert (found["mean_difference"], found["mean_size"]) == pytest.approx((30, 30), rel=1e-3)
    assert found["psi"] > 0.5
    assert found["metrics"]["mae"]["difference"]["low"] > 0
    assert "its answers are 30 higher on average" in found["sentence"]
