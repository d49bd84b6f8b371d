"""A model from rows: the same rows, declaration and library give the same bytes."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import xgboost

from nightshift.errors import TrainingError
from nightshift.files import read_json, write_bytes, write_json
from nightshift.model.encoding import Encoding
from nightshift.spec import Kind, ModelSpec, Task

FORMAT = 1
OBJECTIVES = {
    Task.BINARY: ("binary:logistic", "logloss"),
    Task.MULTICLASS: ("multi:softprob", "mlogloss"),
    Task.REGRESSION: ("reg:squarederror", "rmse"),
}
FIXED = {"booster": "gbtree", "tree_method": "hist", "device": "cpu"}
"""What every promise here (equal bytes, equal formats) was proven for."""
WATCHED = "validation"


@dataclass(frozen=True)
class TrainedModel:
    """A booster and what is needed to ask it.

    ``best_iteration`` counts from 0; the booster holds no trees after it.
    ``history`` is the validation metric of every round that was tried,
    ``importance`` the share of the gain that each column carries (they add up
    to 1, or are all 0 if nothing was split). ``classes`` are the labels of a
    multiclass model in the order of its probabilities, else empty.
    """

    booster: xgboost.Booster
    encoding: Encoding
    task: Task
    classes: tuple[str, ...]
    best_iteration: int
    history: dict[str, list[float]]
    importance: dict[str, float]
    parameters: dict[str, Any]

    @property
    def columns(self) -> tuple[str, ...]:
        return self.encoding.columns

    @property
    def kinds(self) -> dict[str, Kind]:
        return dict(self.encoding.kinds)

    @property
    def categories(self) -> dict[str, tuple[str, ...]]:
        return dict(self.encoding.categories)

    @property
    def native(self) -> bytes:
        """The booster as UBJ, XGBoost's own format."""
        return bytes(self.booster.save_raw("ubj"))

    def predict(self, rows: pd.DataFrame) -> npt.NDArray[np.float32]:
        """Return P(1), the value, or one probability for each class (rows × classes)."""
        return np.asarray(self.booster.inplace_predict(self.encoding.matrix(rows), validate_features=False))

    def write(self, folder: Path) -> None:
        """Write ``booster.ubj`` and, last, ``training.json`` into ``folder``."""
        write_bytes(folder / "booster.ubj", self.native)
        write_json(folder / "training.json", self.to_json())

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the model that :meth:`write` left in ``folder``."""
        booster = xgboost.Booster(model_file=folder / "booster.ubj")
        return cls.from_json(read_json(folder / "training.json"), booster)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "encoding": self.encoding.to_json(),
            "task": str(self.task),
            "classes": list(self.classes),
            "best_iteration": self.best_iteration,
            "history": self.history,
            "importance": self.importance,
            "parameters": self.parameters,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any], booster: xgboost.Booster) -> Self:
        return cls(
            booster=booster,
            encoding=Encoding.from_json(content["encoding"]),
            task=Task(content["task"]),
            classes=tuple(content["classes"]),
            best_iteration=content["best_iteration"],
            history=content["history"],
            importance=content["importance"],
            parameters=content["parameters"],
        )


def train(train: pd.DataFrame, validation: pd.DataFrame, spec: ModelSpec) -> TrainedModel:
    """Return the model that ``spec`` declares, learned from ``train`` and stopped by ``validation``.

    The bytes of its booster follow from the rows, their order and the
    declaration; the number of threads does not count. Trees after the best
    round are cut off, so that every format holds the same ones.

    Raises
    ------
    TrainingError
        If rows, labels or parameters cannot be learned from; with every problem.
    """
    _refuse(train, validation, spec)
    encoding = Encoding.learn(train, spec.kinds)
    classes = tuple(sorted({str(label) for label in train[spec.label.column]})) if _is_multiclass(spec) else ()
    parameters = _parameters(spec, classes)
    history: dict[str, dict[str, list[float]]] = {}
    stopping = xgboost.callback.EarlyStopping(
        rounds=spec.training.early_stopping_rounds,
        data_name=WATCHED,
        metric_name=parameters["eval_metric"],
        save_best=True,
    )
    try:
        booster = xgboost.train(
            parameters,
            _matrix(train, encoding, spec, classes),
            num_boost_round=spec.training.rounds,
            evals=[(_matrix(validation, encoding, spec, classes), WATCHED)],
            evals_result=history,
            callbacks=[stopping],
            verbose_eval=False,
        )
    except xgboost.core.XGBoostError as error:
        raise TrainingError(
            f"XGBoost refuses training.parameters {spec.training.parameters}: {str(error).partition(chr(10))[0]}"
        ) from error
    return TrainedModel(
        booster=booster,
        encoding=encoding,
        task=spec.task,
        classes=classes,
        best_iteration=booster.num_boosted_rounds() - 1,
        history=history[WATCHED],
        importance=_importance(booster, encoding),
        parameters=parameters,
    )


def _parameters(spec: ModelSpec, classes: tuple[str, ...]) -> dict[str, Any]:
    objective, metric = OBJECTIVES[spec.task]
    own: dict[str, Any] = {
        **FIXED,
        "objective": objective,
        "eval_metric": metric,
        "seed": spec.training.seed,
        "nthread": spec.training.threads,
    }
    return {**spec.training.parameters, **own} | ({"num_class": len(classes)} if classes else {})


def _matrix(rows: pd.DataFrame, encoding: Encoding, spec: ModelSpec, classes: tuple[str, ...]) -> xgboost.DMatrix:
    return xgboost.DMatrix(
        encoding.matrix(rows),
        _targets(rows[spec.label.column], classes),
        feature_names=list(encoding.columns),
        feature_types=encoding.types,
        enable_categorical=True,
        nthread=spec.training.threads,
    )


def _targets(labels: "pd.Series[Any]", classes: tuple[str, ...]) -> npt.NDArray[np.float32]:
    if not classes:
        return labels.to_numpy(dtype=np.float32)
    codes = {name: code for code, name in enumerate(classes)}
    return np.array([codes[str(label)] for label in labels], dtype=np.float32)


def _importance(booster: xgboost.Booster, encoding: Encoding) -> dict[str, float]:
    gains = booster.get_score(importance_type="total_gain")
    total = sum(gains.values()) or 1.0
    return {name: float(gains.get(name, 0.0)) / total for name in encoding.columns}


def _is_multiclass(spec: ModelSpec) -> bool:
    return spec.task is Task.MULTICLASS


def _refuse(train: pd.DataFrame, validation: pd.DataFrame, spec: ModelSpec) -> None:
    problems = [*_parameter_problems(spec)]
    for name, rows in (("train", train), ("validation", validation)):
        missing = [column for column in (*spec.features, spec.label.column) if column not in rows]
        if missing:
            problems.append(f"{name} lacks the columns {', '.join(missing)}; assemble again")
        elif rows.empty:
            problems.append(f"{name} has no rows; widen split.{name}")
        else:
            problems += [f"{name}: {problem}" for problem in _row_problems(rows, spec)]
    if not problems:
        problems += _class_problems(train[spec.label.column], validation[spec.label.column], spec)
    if problems:
        raise TrainingError(f"{spec.name} cannot be trained:\n" + "\n".join(f"  - {problem}" for problem in problems))


def _parameter_problems(spec: ModelSpec) -> list[str]:
    given = spec.training.parameters
    return [
        f"training.parameters.{name} is {given[name]!r}; only {value!r} is supported, leave it out"
        for name, value in FIXED.items()
        if given.get(name, value) != value
    ]


def _row_problems(rows: pd.DataFrame, spec: ModelSpec) -> list[str]:
    labels = rows[spec.label.column]
    problems = [f"{name} holds infinite numbers; mend the source or the query" for name in _infinite(rows, spec)]
    if labels.isna().any():
        problems.append(f"{int(labels.isna().sum())} rows have no {spec.label.column}; only labelled rows teach")
    elif spec.task is Task.BINARY and not set(labels.unique()) <= {0, 1}:
        found = ", ".join(sorted({str(label) for label in labels})[:5])
        problems.append(f"{spec.label.column} holds {found}; a binary label is 0 or 1")
    elif spec.task is Task.REGRESSION and not np.isfinite(labels.to_numpy(dtype=np.float64)).all():
        problems.append(f"{spec.label.column} holds infinite numbers; mend the source")
    return problems


def _infinite(rows: pd.DataFrame, spec: ModelSpec) -> list[str]:
    numeric = [name for name, kind in spec.kinds.items() if kind is Kind.NUMERIC and rows[name].dtype.kind == "f"]
    return [name for name in numeric if np.isinf(rows[name].to_numpy()).any()]


def _class_problems(train: "pd.Series[Any]", validation: "pd.Series[Any]", spec: ModelSpec) -> list[str]:
    if spec.task is Task.REGRESSION:
        return []
    if train.nunique() < 2:
        return [f"train: {spec.label.column} is {train.iloc[0]} in every row; one class teaches nothing"]
    strange = sorted(set(validation.astype(str)) - set(train.astype(str))) if spec.task is Task.MULTICLASS else []
    return [f"validation has classes that train lacks: {', '.join(strange[:5])}; widen split.train"] if strange else []
