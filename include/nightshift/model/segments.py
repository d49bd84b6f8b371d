"""How a model does in parts of the rows: those the declaration names, and those in which it is worst off."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nightshift.interval import Interval
from nightshift.model.answered import Answered, Chosen
from nightshift.model.metrics import LARGER_IS_BETTER, MAIN
from nightshift.spec import Kind, ModelSpec

SHOWN = 5
ROWS_MIN = 100
SHARE_MIN = 0.01
PARTS = 4
MISSING = "(missing)"
"""What the segment of rows without a value is called."""


@dataclass(frozen=True)
class Segment:
    """Some of the rows, what they have in common, and how the model does there; no interval if they do not tell it."""

    name: str
    rows: int
    metric: str
    interval: Interval | None

    def to_json(self) -> dict[str, Any]:
        interval = self.interval.to_json() if self.interval else None
        return {"name": self.name, "rows": self.rows, "metric": self.metric, "interval": interval}


def named_segments(answered: Answered, *, seed: int) -> tuple[Segment, ...]:
    """Return each category of the features that ``gates.champion.segments`` and ``monitor.segments`` name.

    All of them, however few rows they have; rows without a value are a segment
    too. Empty if the declaration names none. The metric is that of
    ``gates.champion``, else log loss or RMSE.
    """
    spec, rows = answered.spec, answered.rows
    columns = dict.fromkeys([*(spec.gates.champion.segments if spec.gates.champion else ()), *spec.monitor.segments])
    return tuple(_measured(answered, name, chosen, seed) for name, chosen in categories(rows, columns))


def _measured(answered: Answered, name: str, chosen: Chosen, seed: int) -> Segment:
    metric = _compared_metric(answered.spec)
    part = answered.picked(chosen)
    resampling = part.resampling(seed)
    return Segment(name, len(part.rows), metric, resampling.interval(part.measure(metric, resampling)))


def _compared_metric(spec: ModelSpec) -> str:
    return spec.gates.champion.metric if spec.gates.champion else MAIN[spec.task]


def weakest_segments(answered: Answered, *, seed: int) -> tuple[Segment, ...]:
    """Return the five segments in which the model is surely worst, worst first.

    A segment is one category of one feature, or a quarter of a numeric one (by
    its quantiles), or its missing values; it has at least 100 rows and one row
    in a hundred. They are ranked by the better end of their interval: a few
    unlucky rows do not make the list. What is searched for is a place to look,
    not a proof: of many segments some are low by chance.

    The metric is that of ``gates.champion``, else log loss or RMSE.
    """
    spec, rows = answered.spec, answered.rows
    least = max(ROWS_MIN, int(np.ceil(SHARE_MIN * len(rows))))
    large = ((name, chosen) for name, chosen in _candidates(rows, spec) if chosen.sum() >= least and not chosen.all())
    found = [_measured(answered, name, chosen, seed) for name, chosen in large]
    ranked = [(_how_good(one.metric, one.interval), one.name, one) for one in found if one.interval]
    return tuple(one for *_, one in sorted(ranked, key=lambda rank: rank[:2])[:SHOWN])


def _how_good(metric: str, interval: Interval) -> float:
    return interval.high if metric in LARGER_IS_BETTER else -interval.low


def categories(rows: pd.DataFrame, columns: Iterable[str]) -> Iterator[tuple[str, Chosen]]:
    """Yield name (``carrier = UA``) and rows of each category of the columns; rows without a value are one too."""
    for column in columns:
        values = rows[column].astype(object).where(rows[column].notna(), MISSING)
        for value in sorted(values.unique(), key=str):
            yield f"{column} = {value}", np.asarray(values == value)


def _candidates(rows: pd.DataFrame, spec: ModelSpec) -> Iterator[tuple[str, Chosen]]:
    for name, kind in spec.kinds.items():
        values = rows[name]
        yield f"{name} is missing", values.isna().to_numpy()
        if kind is Kind.CATEGORICAL:
            for value in sorted(values.dropna().unique(), key=str):
                yield f"{name} = {value}", (values == value).to_numpy()
        else:
            yield from _parts(name, values.to_numpy(dtype=np.float64))


def _parts(name: str, values: npt.NDArray[np.float64]) -> Iterator[tuple[str, Chosen]]:
    """Yield quarters of a number; fewer if it has few values."""
    known = values[~np.isnan(values)]
    if not len(known):
        return
    edges = np.unique(np.quantile(known, np.linspace(0, 1, PARTS + 1)))
    for place, (low, high) in enumerate(pairwise(edges)):
        last = place == len(edges) - 2
        within = (values >= low) & ((values <= high) if last else (values < high))
        yield f"{name} from {low:g} to {high:g}", within
