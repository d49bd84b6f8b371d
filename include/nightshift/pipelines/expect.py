"""What a release promises of rows it has not learned from: metrics, in segments too, and how to estimate them.

Written by the build from its test rows, read by every monitor run.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

from nightshift.model.answered import Predict
from nightshift.pipelines.cost import opinion_of
from nightshift.pipelines.output import OUTPUT, label_kind, output_of
from nightshift.pipelines.window import whole_windows
from nightshift.predictions.estimate import Estimator
from nightshift.predictions.performance import measure
from nightshift.profile.distance import psi
from nightshift.profile.profile import Profile
from nightshift.spec import Kind, ModelSpec, Task
from nightshift.verdict import Check, Status

FORMAT = 1
FILE = "expected.json"


@dataclass(frozen=True)
class Usual:
    """One column as it usually is, and how far single windows were from that at worst."""

    profile: Profile
    worst_drift: float

    @classmethod
    def of(cls, values: "pd.Series[Any]", windows: Iterable["pd.Series[Any]"], kind: Kind) -> Self:
        """Return the usual of ``values`` and of windows of them."""
        name = str(values.name)
        profile = Profile.of(values.to_frame(), {name: kind})
        usual = cls(profile, 0.0)
        return cls(profile, max((usual.drift(window) for window in windows), default=0.0))

    def drift(self, values: "pd.Series[Any]") -> float:
        """Return the population stability index of ``values``."""
        ((name, before),) = self.profile.columns.items()
        now = Profile.of(pd.DataFrame({name: values.to_numpy()}), self.profile.kinds, bins_of=self.profile)
        return psi(before, now.columns[name])

    def check(self, name: str, subject: str, what: str, values: "pd.Series[Any]", *, limit: float) -> Check:
        """Return whether ``values`` have moved by more than ``limit``, and more than any window did."""
        moved, allowed = self.drift(values), max(limit, self.worst_drift)
        status = Status.DRIFTED if moved > allowed else Status.HEALTHY
        sentence = f"{what} moved: PSI {moved:.2f} against those to test rows, allowed {allowed:.2f}"
        return Check(name, status, subject, sentence, moved, allowed, len(values))

    def to_json(self) -> dict[str, Any]:
        return {"profile": self.profile.to_json(), "worst_drift": self.worst_drift}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(Profile.from_json(content["profile"]), content["worst_drift"])


@dataclass(frozen=True)
class Part:
    """A segment on the test rows: its metrics, and its answers."""

    rows: int
    metrics: Mapping[str, float]
    output: Usual

    def to_json(self) -> dict[str, Any]:
        return {"rows": self.rows, "metrics": dict(self.metrics), "output": self.output.to_json()}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(content["rows"], content["metrics"], Usual.from_json(content["output"]))


@dataclass(frozen=True)
class Expected:
    """What a window is held to. ``segments`` are named as in ``carrier = UA``; those with too few rows are left out.

    ``opinion`` is the second opinion of the labels as JSON: few nights need it.
    """

    metrics: Mapping[str, float]
    estimator: Estimator | None
    segments: Mapping[str, Part]
    labels: Usual | None = None
    opinion: Mapping[str, Any] | None = None

    @classmethod
    def of(
        cls, test: pd.DataFrame, earlier: pd.DataFrame, predict: Predict, spec: ModelSpec, classes: Sequence[str]
    ) -> Self:
        """Return what the model promises.

        Parameters
        ----------
        test
            Labelled rows it has not learned from.
        earlier
            Those that it has: only how its answers swing from window to window is taken from them.
        predict
            Gives P(1), the value, or one probability for each class.
        """
        rows = answered_rows(test, predict(test), spec, classes)
        known = pd.concat([earlier, test], ignore_index=True)
        all_rows = answered_rows(known, predict(known), spec, classes)
        metrics = measure(rows, spec.task, classes=classes).metrics
        whole = dict(segments_of(known, spec))
        parts = {
            name: _part(rows[chosen], all_rows[whole[name]], spec, classes)
            for name, chosen in segments_of(test, spec)
            if chosen.sum() >= spec.monitor.segment_rows_min
        }
        estimator = Estimator.of(rows, spec.task, classes=classes)
        column = spec.label.column
        cut = [window[column] for window in whole_windows(known, spec)]
        labels = Usual.of(test[column], cut, label_kind(spec))
        opinion = opinion_of(test, rows, spec, classes)
        told = opinion.to_json() if opinion else None
        return cls({name: one.value for name, one in metrics.items()}, estimator, parts, labels, told)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "metrics": dict(self.metrics),
            "estimator": self.estimator.to_json() if self.estimator else None,
            "segments": {name: part.to_json() for name, part in self.segments.items()},
            "labels": self.labels.to_json() if self.labels else None,
            "opinion": self.opinion,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        estimator = content["estimator"]
        parts = {name: Part.from_json(part) for name, part in content["segments"].items()}
        labels = Usual.from_json(content["labels"]) if content.get("labels") else None
        learned = Estimator.from_json(estimator) if estimator else None
        return cls(content["metrics"], learned, parts, labels, content.get("opinion"))


def answered_rows(
    rows: pd.DataFrame, answers: np.ndarray, spec: ModelSpec, classes: Sequence[str] = ()
) -> pd.DataFrame:
    """Return rows as the prediction log would hold them: time, label, prediction and, of a classifier, its chances."""
    found = pd.DataFrame({"time": rows[spec.time.column].to_numpy(), "label": rows[spec.label.column].to_numpy()})
    found["time"] = pd.to_datetime(found["time"], utc=True)
    found[OUTPUT] = output_of(answers, spec)
    match spec.task:
        case Task.BINARY:
            return found.assign(probability=answers, prediction=(answers >= 0.5).astype(float)).set_index(rows.index)
        case Task.MULTICLASS:
            names = np.array(classes, dtype=object)[answers.argmax(axis=1)]
            return found.assign(probabilities=list(answers), prediction=names).set_index(rows.index)
        case _:
            return found.assign(prediction=answers).set_index(rows.index)


def segments_of(rows: pd.DataFrame, spec: ModelSpec) -> Iterator[tuple[str, "pd.Series[bool]"]]:
    """Yield the name of each segment that the rows have, and which rows are in it."""
    for column in spec.monitor.segments:
        if column in rows.columns:
            values = rows[column].astype(object)
            for value in sorted(values.dropna().unique(), key=str):
                yield f"{column} = {value}", values == value


def _part(rows: pd.DataFrame, all_rows: pd.DataFrame, spec: ModelSpec, classes: Sequence[str]) -> Part:
    metrics = measure(rows, spec.task, classes=classes).metrics
    cut = whole_windows(all_rows.rename(columns={"time": spec.time.column}), spec)
    output = Usual.of(rows[OUTPUT], [window[OUTPUT] for window in cut], Kind.NUMERIC)
    return Part(len(rows), {name: one.value for name, one in metrics.items()}, output)
