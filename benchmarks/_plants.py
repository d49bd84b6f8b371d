"""What may be planted in a window: each fault and drift of the issue at its severity, and which of them are faults."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from _windows import CATEGORICAL, NUMERIC, Chance

Plant = Callable[[pd.DataFrame, str, Chance], pd.DataFrame]


def _with(rows: pd.DataFrame, column: str, values: Any) -> pd.DataFrame:
    return rows.assign(**{column: values})


def shifted(deviations: float) -> Plant:
    return lambda rows, column, _chance: _with(rows, column, rows[column] + deviations * rows[column].std())


def scaled(times: float) -> Plant:
    return lambda rows, column, _chance: _with(
        rows, column, rows[column].mean() + times * (rows[column] - rows[column].mean())
    )


def put(value: Any, share: float) -> Plant:
    def plant(rows: pd.DataFrame, column: str, chance: Chance) -> pd.DataFrame:
        chosen = np.zeros(len(rows), dtype=bool)
        chosen[chance.choice(len(rows), max(round(share * len(rows)), 1), replace=False)] = True
        return _with(rows, column, rows[column].mask(chosen, value))

    return plant


def times(factor: float, share: float) -> Plant:
    def plant(rows: pd.DataFrame, column: str, chance: Chance) -> pd.DataFrame:
        chosen = chance.random(len(rows)) < share
        return _with(rows, column, rows[column].where(~chosen, rows[column] * factor))

    return plant


def fahrenheit(rows: pd.DataFrame, column: str, _chance: Chance) -> pd.DataFrame:
    return _with(rows, column, rows[column] * 1.8 + 32)


def stuck(share: float) -> Plant:
    def plant(rows: pd.DataFrame, column: str, chance: Chance) -> pd.DataFrame:
        start = int(chance.integers(0, max(1, int(len(rows) * (1 - share)))))
        values = rows[column].copy()
        known = values[start:].first_valid_index()
        values.iloc[start : start + int(share * len(rows))] = values.loc[known]
        return _with(rows, column, values)

    return plant


def shuffled(rows: pd.DataFrame, column: str, chance: Chance) -> pd.DataFrame:
    return _with(rows, column, rows[column].to_numpy()[chance.permutation(len(rows))])


def written(rows: pd.DataFrame, column: str, _chance: Chance) -> pd.DataFrame:
    return _with(rows, column, rows[column].astype(str) + " units")


def below(share: float) -> Plant:
    """Put one number a little below all that a column has: what stands for nothing need not be -999."""

    def plant(rows: pd.DataFrame, column: str, chance: Chance) -> pd.DataFrame:
        lowest, highest = rows[column].min(), rows[column].max()
        return put(np.floor(lowest - 0.2 * (highest - lowest)), share)(rows, column, chance)

    return plant


def filled(share: float) -> Plant:
    return lambda rows, column, chance: put(round(rows[column].mean(), 4), share)(rows, column, chance)


def uppercase(share: float) -> Plant:
    """Write names in the other case."""

    def plant(rows: pd.DataFrame, column: str, chance: Chance) -> pd.DataFrame:
        chosen = chance.random(len(rows)) < share
        return _with(rows, column, rows[column].mask(chosen, rows[column].str.swapcase()))

    return plant


def gone(rows: pd.DataFrame, column: str, _chance: Chance) -> pd.DataFrame:
    return rows.drop(columns=column)


SIZES = (300, 1500)
SMALL: dict[str, tuple[str, Plant]] = {
    "shift 0.25": (NUMERIC, shifted(0.25)),
    "scale 1.3": (NUMERIC, scaled(1.3)),
    "missing 5 %": (NUMERIC, put(np.nan, 0.05)),
    "sentinel 2 %": (NUMERIC, put(-999.0, 0.02)),
    "minus one 2 %": (NUMERIC, put(-1.0, 0.02)),
    "just below 2 %": (NUMERIC, below(0.02)),
    "category 2 %": (CATEGORICAL, put("never seen", 0.02)),
    "x100 in 5 %": (NUMERIC, times(100.0, 0.05)),
    "stuck quarter": (NUMERIC, stuck(0.25)),
}
LARGE: dict[str, tuple[str, Plant]] = {
    "shift 1": (NUMERIC, shifted(1.0)),
    "scale 2": (NUMERIC, scaled(2.0)),
    "missing 30 %": (NUMERIC, put(np.nan, 0.3)),
    "null category": (CATEGORICAL, put(None, 0.3)),
    "sentinel 20 %": (NUMERIC, put(-999.0, 0.2)),
    "category 20 %": (CATEGORICAL, put("never seen", 0.2)),
    "all stuck": (NUMERIC, stuck(1.0)),
    "x1.609": (NUMERIC, times(1.609344, 1.0)),
    "x1000": (NUMERIC, times(1000.0, 1.0)),
    "/60": (NUMERIC, times(1 / 60, 1.0)),
    "Fahrenheit": (NUMERIC, fahrenheit),
    "text": (NUMERIC, written),
    "filled 40 %": (NUMERIC, filled(0.4)),
    "other case": (CATEGORICAL, uppercase(1.0)),
    "no name 10 %": (CATEGORICAL, put("N/A", 0.1)),
    "gone": (NUMERIC, gone),
}
HARMING: dict[str, Plant] = {
    "shift 0.5": shifted(0.5),
    "shift 1.5": shifted(1.5),
    "shift -1.5": shifted(-1.5),
    "scale 2": scaled(2.0),
    "missing 30 %": put(np.nan, 0.3),
    "sentinel 20 %": put(-999.0, 0.2),
    "half stuck": stuck(0.5),
    "shuffled": shuffled,
    "x1000": times(1000.0, 1.0),
}
DRIFTS = {"shift 0.25", "scale 1.3", "shift 1", "scale 2", "category 2 %", "category 20 %"}
"""What a model could learn from; the other plants are faults on the way."""
LABELLED = ("quiet", "quiet by time", "labels")
NULLS = {"missing 5 %", "missing 30 %", "null category"}
UNITS = ("x1.609", "x1000", "/60", "Fahrenheit")


@dataclass
class Window:
    """A window, what was planted in it, and how much worse the model really is on it (in standard errors)."""

    kind: str
    rows: pd.DataFrame
    column: str | None = None
    harm: float = 0.0
    answer: dict[str, Any] = field(default_factory=dict)
    peers: dict[str, dict[str, Any]] = field(default_factory=dict)


@dataclass
class Measured:
    """All windows with their family and size, how late ramps were noticed, and seconds a window, by size."""

    found: list[tuple[str, int, Window]] = field(default_factory=list)
    delays: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    seconds: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    peer_seconds: dict[str, list[float]] = field(default_factory=dict)
