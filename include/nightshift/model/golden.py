"""Rows with known answers: asked after every load, and of every format before registration."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xgboost as xgb

from nightshift.model.encoding import Encoding

if TYPE_CHECKING:
    import pandas as pd

ROWS = 1000
UNSEEN = "never seen in training"
Row = dict[str, Any]


def golden_rows(test: "pd.DataFrame", encoding: Encoding, *, rows: int = ROWS) -> list[Row]:
    """Return up to ``rows`` test rows, evenly spread in time, as a caller would send them (None for missing)."""
    places = np.unique(np.linspace(0, max(len(test) - 1, 0), min(rows, len(test))).astype(int))
    chosen = test.iloc[places][list(encoding.columns)]
    return [{str(name): _plain(value) for name, value in row.items()} for row in chosen.to_dict("records")]


def edge_rows(booster: xgb.Booster, encoding: Encoding, like: Sequence[Row]) -> list[Row]:
    """Return rows where formats part ways first: nothing known, unseen categories, both sides of split points.

    Each is a plain row with one thing changed. Split points are the booster's
    own thresholds, met exactly and missed by the smallest step of a float32.
    """
    plain = dict(like[0]) if like else dict.fromkeys(encoding.columns)
    rows: list[Row] = [dict.fromkeys(encoding.columns)]
    rows += [{**plain, name: None} for name in encoding.columns]
    rows += [{**plain, name: UNSEEN} for name in encoding.categories]
    for name, points in _split_points(booster).items():
        for point in points[:20]:
            exact = np.float32(point)
            below, above = np.nextafter(exact, np.float32(-np.inf)), np.nextafter(exact, np.float32(np.inf))
            rows += [{**plain, name: float(value)} for value in (below, exact, above)]
    return rows


def _split_points(booster: xgb.Booster) -> Mapping[str, list[float]]:
    table = booster.trees_to_dataframe()
    numeric = table[(table["Feature"] != "Leaf") & table["Split"].notna()]
    return {str(name): sorted(set(map(float, points))) for name, points in numeric.groupby("Feature")["Split"]}


def _plain(value: Any) -> Any:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value.item() if isinstance(value, np.generic) else value
