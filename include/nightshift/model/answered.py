"""Rows whose outcome is known, and what a model answered to them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from nightshift.model.bootstrap import Resampling
from nightshift.model.metrics import Measure, measure
from nightshift.spec import ModelSpec, Task

Predict = Callable[[pd.DataFrame], npt.NDArray[Any]]
Chosen = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Answered:
    """What one model answered to rows with a known outcome.

    ``classes`` are the labels of a multiclass model in the order of the
    columns of ``answers``; ``truth`` holds their codes, -1 for a label that is
    none of them.
    """

    rows: pd.DataFrame
    truth: npt.NDArray[Any]
    answers: npt.NDArray[Any]
    spec: ModelSpec
    classes: Sequence[str]

    @classmethod
    def by(cls, predict: Predict, rows: pd.DataFrame, spec: ModelSpec, classes: Sequence[str]) -> Self:
        """Return what ``predict`` answers to ``rows``, of which there is one at least."""
        return cls(rows, _truth(rows[spec.label.column], spec, classes), predict(rows), spec, classes)

    @property
    def problem(self) -> str:
        """What is wrong with the answers as such; empty if nothing is."""
        rows = len(self.rows)
        expected = (rows, len(self.classes)) if self.spec.task is Task.MULTICLASS else (rows,)
        if self.answers.shape != expected:
            return f"the answers have the shape {self.answers.shape}, expected {expected}"
        broken = int((~np.isfinite(self.answers)).sum())
        return f"{broken} answers are no numbers" if broken else ""

    def picked(self, chosen: Chosen) -> Self:
        """Return the same of some of the rows."""
        return replace(self, rows=self.rows[chosen], truth=self.truth[chosen], answers=self.answers[chosen])

    def in_classes(self, classes: Sequence[str]) -> Self:
        """Return the same in another order of classes; one that the model lacks is never its answer."""
        if self.spec.task is not Task.MULTICLASS:
            return self
        none = np.zeros(len(self.rows))
        columns = {name: self.answers[:, place] for place, name in enumerate(self.classes)}
        return replace(
            self,
            answers=np.stack([columns.get(name, none) for name in classes], axis=1),
            truth=_truth(self.rows[self.spec.label.column], self.spec, classes),
            classes=classes,
        )

    def resampling(self, seed: int) -> Resampling:
        """Return how to draw these rows."""
        return Resampling.of(self.rows[self.spec.time.column], seed=seed)

    def measure(self, name: str, resampling: Resampling) -> Measure:
        """Return one metric of the answers."""
        task, units = self.spec.task, resampling.units
        return measure(name, task, self.truth, self.answers, units, classes=len(self.classes))


def _truth(labels: "pd.Series[Any]", spec: ModelSpec, classes: Sequence[str]) -> npt.NDArray[Any]:
    if spec.task is not Task.MULTICLASS:
        return labels.to_numpy(dtype=np.float64)
    codes = {name: code for code, name in enumerate(classes)}
    return np.array([codes.get(str(label), -1) for label in labels], dtype=np.intp)
