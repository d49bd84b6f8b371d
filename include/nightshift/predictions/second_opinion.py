"""What a window's answers probably cost, told without labels, when some of its columns cannot be believed.

A calibrated probability knows how often it is wrong as long as the inputs mean
what they meant. Where a column is broken it is wrong and sure of it. So a second
model learns what the labels are likely to be from any of the columns: it has
seen rows with some of them hidden, as in random-input dropout [1]. Asked with the
broken columns hidden it holds the answers that were given to what is still
believed, row by row: the expected loss under confidence-based estimation [2].

[1] N. Srivastava et al., Dropout, JMLR 15 (2014). [2] NannyML, confidence-based performance estimation.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

Floats = npt.NDArray[np.float64]
HELD_BACK = 0.3
"""Share of the labelled rows that the second model does not learn from, to see how it does."""
ROWS_MIN = 200
LEARN_ROWS = 12_000
LEVELS_MAX = 250
ROUNDS, LEAVES, RATE = 60, 15, 0.12
HIDDEN = 0.35
VIEWS = 3
LEAF_ROWS = 20
"""A leaf stands for at least so many rows."""
FORMAT = 1


@dataclass(frozen=True)
class Trees:
    """Boosted trees as the bytes they are kept in (UBJSON); numbers in, NaN for what is hidden, expectations out."""

    raw: bytes
    categorical: tuple[bool, ...]

    @classmethod
    def fitted(
        cls, matrix: Floats, truth: npt.NDArray[Any], categorical: Sequence[bool], *,
        rounds: int = ROUNDS, leaves: int = LEAVES, classes: int = 0,
    ) -> Self:  # fmt: skip
        """Return trees that expect ``truth``: a number, or the place of a class if there are ``classes``.

        One thread, for a window is small and more would wait for each other only: the same rows give the same bytes.
        """
        import xgboost  # half a second that only who asks for an opinion pays

        rows = xgboost.DMatrix(matrix, truth, **cls._as(categorical))
        objective = {0: "reg:squarederror", 2: "binary:logistic"}.get(classes, "multi:softprob")
        several = {"num_class": classes} if classes > 2 else {}
        # weight of a row is its second derivative: 1 of a square, and up to a quarter of a class
        weight = LEAF_ROWS / (4 if classes else 1)
        booster = xgboost.train(
            {
                "objective": objective, **several, "tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0,
                "max_leaves": leaves, "eta": RATE, "min_child_weight": weight, "nthread": 1, "seed": 0,
            },
            rows,
            num_boost_round=rounds,
        )  # fmt: skip
        return cls(bytes(booster.save_raw("ubj")), tuple(categorical))

    @cached_property
    def _booster(self) -> Any:
        import xgboost

        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(self.raw))
        return booster

    @staticmethod
    def _as(categorical: Sequence[bool]) -> dict[str, Any]:
        return {"feature_types": ["c" if one else "q" for one in categorical], "enable_categorical": True, "nthread": 1}

    def __call__(self, matrix: Floats) -> Floats:
        """Return what is expected of each row: a number; of two classes the chance of the second, else of each."""
        import xgboost

        found: Floats = self._booster.predict(xgboost.DMatrix(matrix, **self._as(self.categorical))).astype(np.float64)
        return found

    def to_json(self) -> dict[str, Any]:
        return {"ubj": base64.b64encode(self.raw).decode(), "categorical": list(self.categorical)}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        return cls(base64.b64decode(content["ubj"]), tuple(content["categorical"]))


NO_TREES = Trees(b"", ())


@dataclass(frozen=True)
class Opinion:
    """A second model of the labels that can be asked without some of the columns.

    ``usual`` is the error it expects of the reference's own answers, ``seen`` the
    error that they really had, ``deviation`` that of one row; ``held_back`` is in
    how many rows that was seen, 0 if it is not known.
    """

    task: str
    kinds: Mapping[str, str]
    levels: Mapping[str, tuple[Any, ...]]
    classes: tuple[str, ...]
    expect: Trees
    spread: Trees | None
    usual: float
    usual_without_answer: float
    seen: float
    deviation: float
    held_back: int = 0

    def error_of(self, rows: int) -> float:
        """Return the standard error of how much worse a window of so many rows is; what is usual is but seen, too."""
        variance = 1 / max(rows, 1) + (1 / self.held_back if self.held_back else 0.0)
        return self.deviation * float(np.sqrt(variance))

    @classmethod
    def of(cls, rows: pd.DataFrame, kinds: Mapping[str, str], task: str, *, seed: int = 0) -> Self | None:
        """Return the opinion learned from ``rows`` with ``prediction`` and ``target``; none from too few.

        Parameters
        ----------
        kinds
            ``numeric`` or ``categorical`` by column.
        seed
            Which rows are held back, and which cells are hidden.
        """
        known = rows[rows["target"].notna() & rows["prediction"].notna()]
        if len(known) < ROWS_MIN:
            return None
        chance = np.random.default_rng(seed)
        known = known.iloc[chance.permutation(len(known))[:LEARN_ROWS]]
        levels = {name: _levels(known[name]) for name, kind in kinds.items() if kind == "categorical"}
        classes = () if task == "regression" else tuple(sorted(set(_named(known["target"]))))
        if task != "regression" and len(classes) < 2:
            return None
        own = cls(task, kinds, levels, classes, NO_TREES, None, 0.0, 0.0, 0.0, 0.0)
        back = max(int(HELD_BACK * len(known)), 50)
        return own._learned(known[back:], known[:back], chance)

    def _learned(self, learn: pd.DataFrame, back: pd.DataFrame, chance: np.random.Generator) -> Self:
        """Return the opinion after it has seen ``learn`` as it is, without answers, and with cells hidden too."""
        shown, truth = self._views(learn, chance), np.tile(self._truth(learn), VIEWS)
        asked = self._views(back, chance)
        categorical = self._categorical()
        if self.task == "regression":
            mean = Trees.fitted(shown, truth, categorical)
            missed = np.abs(np.tile(self._truth(back), VIEWS) - mean(asked))
            spread = Trees.fitted(asked, missed, categorical, rounds=ROUNDS // 2, leaves=LEAVES // 2)
            own = replace(self, expect=mean, spread=spread)
        else:
            own = replace(self, expect=Trees.fitted(shown, truth, categorical, classes=len(self.classes)))
        errors, rows = own.errors(back), len(back)
        return replace(
            own,
            usual=float(own.expected(back, asked[:rows]).mean()),
            usual_without_answer=float(own.expected(back, asked[rows : 2 * rows]).mean()),
            seen=float(errors.mean()),
            deviation=float(errors.std()),
            held_back=rows,
        )

    def _views(self, rows: pd.DataFrame, chance: np.random.Generator) -> Floats:
        full = self.matrix(rows)
        inputs = len(self.kinds)
        return np.concatenate([full, _hidden(full, inputs, 0.0, chance), _hidden(full, inputs, HIDDEN, chance)])

    def worse(self, rows: pd.DataFrame, *, hidden: Mapping[str, npt.NDArray[np.bool_]], believed: bool) -> float:
        """Return by how much the mean error of ``rows`` is probably larger than that of the reference.

        Parameters
        ----------
        hidden
            By column, the rows whose value is not to be believed.
        believed
            Whether the answers themselves may be believed: not those to a column that was changed on the way.
        """
        matrix = self.matrix(rows)
        spoilt = np.zeros(len(rows), dtype=bool)
        for place, name in enumerate(self.kinds):
            if name in hidden:
                matrix[hidden[name], place] = np.nan
                spoilt |= hidden[name]
        silent = spoilt if believed else np.ones(len(rows), dtype=bool)
        matrix[silent, len(self.kinds) :] = np.nan
        usual = np.where(silent, self.usual_without_answer, self.usual)
        return float((self.expected(rows, matrix) - usual).mean())

    def expected(self, rows: pd.DataFrame, matrix: Floats) -> Floats:
        """Return the error that is expected of each row's answer: its size, or how probably it is a wrong class."""
        if self.spread is not None:
            away = pd.to_numeric(rows["prediction"], errors="coerce").to_numpy(dtype=float) - self.expect(matrix)
            return _folded(away, np.maximum(self.spread(matrix), 1e-12) * np.sqrt(np.pi / 2))
        said = pd.Index(self.classes).get_indexer(pd.Index(_named(rows["prediction"])))
        chances = self.expect(matrix)
        if chances.ndim == 1:
            chances = np.stack([1 - chances, chances], axis=1)
        right: Floats = chances[np.arange(len(rows)), np.maximum(said, 0)]
        return np.where(said >= 0, 1.0 - right, 1.0)

    def errors(self, rows: pd.DataFrame) -> Floats:
        """Return the errors that rows with a ``target`` really had."""
        if self.task == "regression":
            sizes: Floats = np.abs(rows["prediction"].to_numpy(dtype=float) - rows["target"].to_numpy(dtype=float))
            return sizes
        said, truly = (_named(rows[name]) for name in ("prediction", "target"))
        return np.array(said != truly, dtype=np.float64)

    def matrix(self, rows: pd.DataFrame) -> Floats:
        """Return inputs and answers as numbers: (rows, columns and answers), NaN where there is none."""
        found = np.stack([self._column(rows, name) for name in (*self.kinds, *self._answers())], axis=1).astype(float)
        found[~np.isfinite(found)] = np.nan
        return found

    def _column(self, rows: pd.DataFrame, name: str) -> Floats:
        if name not in rows:
            return np.full(len(rows), np.nan)
        if self.kinds.get(name) == "categorical":
            places = {level: place for place, level in enumerate(self.levels[name])}
            return rows[name].astype(object).map(places).to_numpy(dtype=float)
        return pd.to_numeric(rows[name], errors="coerce").to_numpy(dtype=float)

    def _answers(self) -> Sequence[str]:
        if self.task == "regression":
            return ("prediction",)
        return ("probability",) if self.task == "binary" else tuple(f"probability_{name}" for name in self.classes)

    def to_json(self) -> dict[str, Any]:
        own = {name: value for name, value in self.__dict__.items() if name not in ("expect", "spread")}
        lists = {"levels": {name: list(levels) for name, levels in self.levels.items()}, "classes": list(self.classes)}
        trees = {"expect": self.expect.to_json(), "spread": self.spread.to_json() if self.spread else None}
        return {"format": FORMAT, **own, "kinds": dict(self.kinds), **lists, **trees}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        own = {name: value for name, value in content.items() if name != "format"}
        spread = content["spread"]
        return cls(
            **{
                **own,
                "levels": {name: tuple(levels) for name, levels in content["levels"].items()},
                "classes": tuple(content["classes"]),
                "expect": Trees.from_json(content["expect"]),
                "spread": Trees.from_json(spread) if spread else None,
            }
        )

    def _categorical(self) -> list[bool]:
        return [kind == "categorical" for kind in self.kinds.values()] + [False] * len(self._answers())

    def _truth(self, rows: pd.DataFrame) -> npt.NDArray[Any]:
        if self.task == "regression":
            return rows["target"].to_numpy(dtype=float)
        return pd.Index(self.classes).get_indexer(pd.Index(_named(rows["target"])))


def _levels(values: "pd.Series[Any]") -> tuple[Any, ...]:
    """Return the most frequent names; the rest is as good as unknown."""
    return tuple(values.value_counts().index[:LEVELS_MAX])


def _hidden(full: Floats, inputs: int, share: float, chance: np.random.Generator) -> Floats:
    """Return rows without their answers, and without ``share`` of the input columns."""
    found = full.copy()
    found[:, inputs:] = np.nan
    found[:, :inputs][chance.random((len(full), inputs)) < share] = np.nan
    return found


def _folded(away: Floats, deviation: Floats) -> Floats:
    """Return the mean size of a normal number with this mean and deviation."""
    ratio = away / deviation
    return deviation * np.sqrt(2 / np.pi) * np.exp(-(ratio**2) / 2) + away * (1 - 2 * special.ndtr(-ratio))


def _named(values: "pd.Series[Any]") -> npt.NDArray[np.object_]:
    """Return each row's class by its name; see :func:`_name`."""
    if not isinstance(values.dtype, np.dtype) or values.dtype == object:
        return values.map(_name).to_numpy(dtype=object)  # equal objects may have names of their own
    codes, found = pd.factorize(values, use_na_sentinel=False)
    return np.array([_name(value) for value in found], dtype=object)[codes]


def _name(value: Any) -> str:
    """Return a class by one name, however it is written: 1, 1.0 and True are one."""
    if isinstance(value, bool | np.bool_):
        return str(int(value))
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    return str(value)
