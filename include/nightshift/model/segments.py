"""Where a model is worst off: the search for its weakest segment."""

from collections.abc import Iterator
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


@dataclass(frozen=True)
class Segment:
    """Some of the rows, what they have in common, and how the model does there."""

    name: str
    rows: int
    metric: str
    interval: Interval

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "rows": self.rows, "metric": self.metric, "interval": self.interval.to_json()}


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
    metric = spec.gates.champion.metric if spec.gates.champion else MAIN[spec.task]
    least = max(ROWS_MIN, int(np.ceil(SHARE_MIN * len(rows))))
    found = []
    for name, chosen in _candidates(rows, spec):
        if chosen.sum() < least or chosen.all():
            continue
        part = answered.picked(chosen)
        resampling = part.resampling(seed)
        interval = resampling.interval(part.measure(metric, resampling))
        if interval:
            found.append(Segment(name, len(part.rows), metric, interval))
    return tuple(sorted(found, key=_how_good)[:SHOWN])


def _how_good(segment: Segment) -> tuple[float, str]:
    good = segment.interval.high if segment.metric in LARGER_IS_BETTER else -segment.interval.low
    return good, segment.name


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
