"""Tables whose drift is known: families to draw them from, models that answer them, and what may be planted.

A family draws rows of any number; its parameters follow from a seed, so that
another seed is another family. A plant changes rows as a fault or the world
would, and says which column it touched.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xgboost

sys.path.insert(0, str(Path(__file__).parents[1] / "include"))

Chance = np.random.Generator
NUMERIC, CATEGORICAL = "numeric", "categorical"
TRAIN_ROWS, POOL_ROWS = 12_000, 60_000
CLASSES = 3
REFERENCE_ROWS, FEW_ROWS = 10_000, 2_000
DAY_ROWS = 300


@dataclass
class World:
    """Rows of one family with the answers of a model that learned from others of them."""

    name: str
    task: str
    kinds: dict[str, str]
    pool: pd.DataFrame
    model: xgboost.XGBModel
    levels: Mapping[str, list[str]]
    important: list[str] = field(default_factory=list)
    reference_rows: int = REFERENCE_ROWS

    def answered(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return ``rows`` with what the model says of them."""
        inputs = coded(rows, self.kinds, self.levels)
        found = rows.assign(prediction=self.model.predict(inputs))
        if self.task == "binary":
            found["probability"] = self.model.predict_proba(inputs)[:, 1]
        if self.task == "multiclass":
            chances = self.model.predict_proba(inputs)
            found = found.assign(**{f"probability_{place}": chances[:, place] for place in range(CLASSES)})
        return found

    def draw(self, rows: int, chance: Chance, *, tilt: "np.ndarray | None" = None) -> pd.DataFrame:
        """Return rows of the pool, with odds ``exp(tilt)`` if given: an honest drift, whose labels go along."""
        odds = None if tilt is None else np.exp(tilt - tilt.max()) / np.exp(tilt - tilt.max()).sum()
        return self.pool.iloc[chance.choice(len(self.pool), rows, replace=False, p=odds)].reset_index(drop=True)

    @cached_property
    def usual_error(self) -> np.ndarray:
        return self.error(self.answered(self.pool[:20_000]))

    def error(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the error of each answered row: its size, or 1 for a wrong class."""
        if self.task == "regression":
            return np.abs(rows["prediction"] - rows["target"]).to_numpy()
        return (rows["prediction"].astype(str) != rows["target"].astype(str)).to_numpy(dtype=float)


def coded(rows: pd.DataFrame, kinds: Mapping[str, str], levels: Mapping[str, list[str]]) -> pd.DataFrame:
    rows = rows.reindex(columns=list(kinds))
    return pd.DataFrame({
        name: pd.Categorical(rows[name].astype(object), levels[name]) if kind == CATEGORICAL
        else pd.to_numeric(rows[name], errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)
        for name, kind in kinds.items()
    })  # fmt: skip


# ---------------------------------------------------------------- families
def _normals(rows: int, columns: int, chance: Chance, shape: Chance) -> np.ndarray:
    """Return correlated standard normals: a few hidden causes, seen through noise."""
    causes = shape.normal(size=(max(2, columns // 3), columns))
    seen = chance.normal(size=(rows, len(causes))) @ causes + chance.normal(size=(rows, columns)) * shape.uniform(
        0.5, 1.2, columns
    )
    return seen / np.sqrt((causes**2).sum(axis=0) + 0.7)


def gaussians(rows: int, chance: Chance, shape: Chance) -> pd.DataFrame:
    seen = _normals(rows, 10, chance, shape) * shape.uniform(0.1, 50, 10) + shape.uniform(-100, 100, 10)
    return pd.DataFrame(seen, columns=[f"g{place}" for place in range(10)])


def wide(rows: int, chance: Chance, shape: Chance) -> pd.DataFrame:
    """Return twenty columns: what the time a window takes is told of."""
    return pd.concat([gaussians(rows, chance, shape), gaussians(rows, chance, shape).add_prefix("w")], axis=1)


def heavy(rows: int, chance: Chance, shape: Chance) -> pd.DataFrame:
    seen = _normals(rows, 9, chance, shape)
    found = {}
    for place in range(9):
        one = seen[:, place]
        kind = shape.integers(3)
        wild = one / np.sqrt(chance.chisquare(3, rows) / 3)
        found[f"h{place}"] = [np.exp(one * shape.uniform(0.4, 1.3)), wild * 7, np.sign(one) * one**2][kind]
    return pd.DataFrame(found)


def mixtures(rows: int, chance: Chance, shape: Chance) -> pd.DataFrame:
    group = chance.choice(3, rows, p=[0.5, 0.3, 0.2])
    seen = _normals(rows, 8, chance, shape) + shape.normal(scale=2, size=(3, 8))[group]
    found = pd.DataFrame(seen, columns=[f"m{place}" for place in range(8)])
    noisy = np.where(chance.random(rows) < 0.2, chance.integers(0, 3, rows), group)
    found["plant"] = np.array(["north", "south", "east"])[noisy]
    found["line"] = np.array(list("abcdef"))[(noisy + chance.integers(0, 3, rows)) % 6]
    return found


def counts(rows: int, chance: Chance, shape: Chance) -> pd.DataFrame:
    seen = _normals(rows, 12, chance, shape)
    found: dict[str, Any] = {}
    for place in range(12):
        rate = np.exp(np.clip(seen[:, place], -4, 4) * shape.uniform(0.3, 0.9) + shape.uniform(0, 4))
        number = chance.poisson(rate).astype(float)
        number[chance.random(rows) < shape.choice([0.0, 0.2, 0.6])] = 0
        number[chance.random(rows) < shape.choice([0.0, 0.0, 0.1])] = np.nan
        found[f"c{place}"] = number
    return pd.DataFrame(found)


def names(rows: int, chance: Chance, shape: Chance) -> pd.DataFrame:
    seen = _normals(rows, 11, chance, shape)
    found: dict[str, Any] = {}
    for place, levels in enumerate((4, 12, 60, 400, 2)):
        usual = np.cumsum(1 / np.arange(1, levels + 1) ** shape.uniform(0.8, 1.6))
        share = np.argsort(np.argsort(seen[:, place])) / rows
        code = np.searchsorted(usual / usual[-1], np.clip(share + chance.normal(scale=0.05, size=rows), 0, 1 - 1e-9))
        found[f"n{place}"] = np.char.add("v", code.astype(str)).astype(object)
    for place in range(5, 11):
        found[f"x{place}"] = seen[:, place] * 10 + 40
    found["n1"] = np.where(chance.random(rows) < 0.03, None, found["n1"])
    found["x6"] = np.where(chance.random(rows) < 0.15, np.nan, found["x6"])
    return pd.DataFrame(found)


def gauges(rows: int, chance: Chance, shape: Chance) -> pd.DataFrame:
    """Return bounded, rounded and half-constant columns, as instruments and forms give them."""
    seen = _normals(rows, 10, chance, shape)
    rank = np.argsort(np.argsort(seen, axis=0), axis=0) / rows
    return pd.DataFrame({
        "temperature": np.round(12 + 8 * seen[:, 0], 1), "humidity": np.clip(np.round(60 + 20 * seen[:, 1]), 0, 100),
        "share": rank[:, 2] ** 2, "age": np.round(18 + 60 * rank[:, 3]), "rating": np.ceil(5 * rank[:, 4] + 1e-9),
        "rain": np.where(rank[:, 5] < 0.8, 0.0, np.round(np.exp(seen[:, 5]), 2)), "distance": np.exp(4 + seen[:, 6]),
        "flag": np.where(rank[:, 7] < 0.7, "no", "yes"), "price": np.round(np.exp(3 + 0.5 * seen[:, 8]), 2) - 0.01,
        "pressure": np.round(1013 + 8 * seen[:, 9], 1),
    })  # fmt: skip


def forms(rows: int, chance: Chance, shape: Chance) -> pd.DataFrame:
    """Return what people write into forms: amounts that are mostly 0, thousands, grades, rare and endless names."""
    seen = _normals(rows, 8, chance, shape)
    rank = np.argsort(np.argsort(seen, axis=0), axis=0) / rows
    income = np.round(np.exp(10.5 + 0.6 * seen[:, 0]), -3)
    purposes = ["car", "home", "school", "trip", "wedding", "solar"]
    return pd.DataFrame({
        "income": income, "income_k": income / 1000, "balance": np.where(rank[:, 1] < 0.7, 0.0, np.exp(5 + seen[:, 1])),
        "amount": np.round(np.exp(8 + 0.9 * seen[:, 2]), 2), "grade": np.ceil(7 * rank[:, 3] + 1e-9),
        "inquiries": chance.poisson(np.exp(0.4 * seen[:, 4])).astype(float), "debt": np.round(60 * rank[:, 5] ** 2, 2),
        "bankrupt": (chance.random(rows) < 0.005).astype(float), "days": chance.integers(0, 365, rows).astype(float),
        "purpose": np.array(purposes)[chance.choice(6, rows, p=[0.5, 0.25, 0.15, 0.07, 0.02, 0.01])],
        "employer": np.char.add("e", np.minimum(chance.zipf(1.6, rows), 5000).astype(str)).astype(object),
        "owner": np.where(rank[:, 6] < 0.4, "Y", "N"),
    })  # fmt: skip


def wards(rows: int, chance: Chance, shape: Chance) -> pd.DataFrame:
    """Return laboratory values of which a fifth to three fifths are not there, and few patients to learn from."""
    seen = _normals(rows, 24, chance, shape)
    found: dict[str, Any] = {}
    for place in range(21):
        value = np.round(np.exp(0.5 * seen[:, place] + shape.uniform(-1, 4)), 2)
        value[chance.random(rows) < shape.uniform(0.2, 0.6)] = np.nan
        found[f"lab{place}"] = value
    found["pulse"], found["pressure"] = np.round(80 + 12 * seen[:, 21]), np.round(125 + 18 * seen[:, 22])
    found["ward"] = np.array(["icu", "surgery", "children"])[np.digitize(seen[:, 23], [0.0, 1.3])]
    return pd.DataFrame(found)


def days(rows: int, chance: Chance, _shape: Chance) -> pd.DataFrame:
    """Return days of 300 rows that follow each other, each with its weekday, its weather and perhaps a campaign."""
    count = rows // DAY_ROWS + 1
    warmth = np.empty(count)
    warmth[0] = chance.normal()
    for day in range(1, count):
        warmth[day] = 0.6 * warmth[day - 1] + 0.8 * chance.normal()
    own = {"warmth": warmth, "wind": chance.normal(size=count), "rain": chance.random(count) < 0.3,
           "campaign": np.where(chance.random(count) < 0.3, chance.integers(0, 6, count), -1)}  # fmt: skip
    day = np.repeat(np.arange(count), DAY_ROWS)[:rows]
    own = {name: values[day] for name, values in own.items()}
    temperature = np.round(12 + 5 * own["warmth"] + chance.normal(size=rows), 1)
    weekend = day % 7 >= 5
    return pd.DataFrame({
        "temperature": temperature, "dew": np.round(temperature - 4 - 3 * chance.random(rows), 1),
        "wind": np.round(np.abs(5 + 2 * own["wind"] + 2 * chance.normal(size=rows)), 1),
        "rain": np.where(own["rain"] & (chance.random(rows) < 0.4), np.round(chance.exponential(3, rows), 1), 0.0),
        "weekday": day % 7 + 1.0, "basket": chance.poisson(np.exp(1 + 0.4 * weekend)).astype(float),
        "price": np.round(np.exp(chance.normal(2, 0.4, rows)), 2), "tenure": chance.exponential(24, rows),
        "campaign": np.where(own["campaign"] < 0, "none", np.char.add("c", own["campaign"].astype(str))).astype(object),
        "plan": chance.choice(np.array(["basic", "plus", "pro"], dtype=object), rows, p=[0.6, 0.3, 0.1]),
    })  # fmt: skip


def flights(rows: int, _chance: Chance, _shape: Chance) -> pd.DataFrame:
    """Return flights out of New York with the weather of the hour; ``target`` is whether they came late."""
    from sources.flight_delay import Source

    raw = Source().extract(datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC))
    one = raw["flights"].dropna(subset=["late"]).sort_values("scheduled_departure")
    weather = raw["weather"].assign(hour=raw["weather"]["observed_at"].dt.floor("h"))
    weather = weather.drop_duplicates(["origin", "hour"])
    one = one.assign(hour=one["scheduled_departure"].dt.floor("h")).merge(weather, on=["origin", "hour"], how="left")
    local = one["scheduled_departure"].dt.tz_convert("America/New_York")
    kept = {"carrier", "origin", "dest", "distance", *weather.columns} - {"hour", "observed_at"}
    found = one[[name for name in one if name in kept]].assign(
        departure=local.dt.hour + local.dt.minute / 60, weekday=local.dt.weekday + 1.0, target=one["late"].astype(int)
    )
    every = max(len(found) // rows, 1)
    return found.iloc[::every][:rows].reset_index(drop=True)


Draw = Callable[[int, Chance, Chance], pd.DataFrame]
FAMILIES: dict[str, tuple[Draw, str]] = {
    "gaussians": (gaussians, "binary"),
    "heavy": (heavy, "regression"),
    "mixtures": (mixtures, "multiclass"),
    "counts": (counts, "regression"),
    "names": (names, "binary"),
    "gauges": (gauges, "binary"),
    "flights": (flights, "binary"),
    "forms": (forms, "binary"),
    "wards": (wards, "multiclass"),
}
TIMED: dict[str, tuple[Draw, str]] = {"wide": (wide, "binary")}
BY_TIME: dict[str, tuple[Draw, str]] = {"days": (days, "binary")}


def world(name: str, seed: int, *, ordered: bool = False) -> World:
    """Return the world of a family; in flights the rows of the pool follow each other in time."""
    draw, task = (FAMILIES | TIMED | BY_TIME)[name]
    chance, shape = np.random.default_rng([seed, 1]), np.random.default_rng([seed, 2])
    rows = draw(TRAIN_ROWS + POOL_ROWS, chance, shape)
    kinds = {one: CATEGORICAL if rows[one].dtype == object else NUMERIC for one in rows if one != "target"}
    if "target" not in rows:
        rows["target"] = _target(rows, kinds, task, chance, shape)
    if not ordered:
        rows = rows.iloc[chance.permutation(len(rows))].reset_index(drop=True)
    train, pool = rows[:TRAIN_ROWS], rows[TRAIN_ROWS:].reset_index(drop=True)
    levels = {one: sorted(train[one].dropna().unique()) for one, kind in kinds.items() if kind == CATEGORICAL}
    settings = {"n_estimators": 120, "max_depth": 4, "learning_rate": 0.1, "n_jobs": 1, "enable_categorical": True}
    kind = xgboost.XGBRegressor if task == "regression" else xgboost.XGBClassifier
    model = kind(tree_method="hist", random_state=seed, **settings).fit(coded(train, kinds, levels), train["target"])
    gain = model.feature_importances_
    important = [list(kinds)[place] for place in np.argsort(-gain)[: max(3, len(kinds) // 3)]]
    few = FEW_ROWS if name == "wards" else REFERENCE_ROWS
    return World(name, task, kinds, pool, model, levels, important, few)


def _target(rows: pd.DataFrame, kinds: Mapping[str, str], task: str, chance: Chance, shape: Chance) -> np.ndarray:
    """Return labels that follow from some columns, with bends, products and unequal noise."""
    seen = np.stack([_standard(rows[name], kind, shape) for name, kind in kinds.items()], axis=1)
    weights = shape.normal(size=seen.shape[1]) * (shape.random(seen.shape[1]) < 0.7)
    first, second = shape.integers(0, seen.shape[1], 2)
    score = seen @ weights + 0.8 * seen[:, first] * seen[:, second] + np.abs(seen[:, second])
    score = (score - score.mean()) / score.std()
    if task == "binary":
        return (chance.random(len(rows)) < 1 / (1 + np.exp(-2.5 * score - shape.uniform(-1, 0.5)))).astype(int)
    if task == "multiclass":
        other = seen @ shape.normal(size=seen.shape[1])
        chances = np.stack([2 * score, 1.5 * other / other.std(), np.zeros(len(rows))], axis=1)
        return (chances + chance.gumbel(size=chances.shape)).argmax(axis=1)
    return 10 * score + chance.normal(size=len(rows)) * (1 + 3 * (seen[:, first] > 0.5))


def _standard(values: "pd.Series[Any]", kind: str, shape: Chance) -> np.ndarray:
    if kind == CATEGORICAL:
        codes, found = pd.factorize(values)
        return np.append(shape.normal(size=len(found)), 0.0)[codes]
    ranks = values.rank(pct=True).fillna(0.5).to_numpy()
    return (ranks - 0.5) * 3.4
