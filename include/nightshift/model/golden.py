"""Rows with known answers: whoever opens a package asks them first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from nightshift.model.encoding import Encoding
from nightshift.spec import Kind

if TYPE_CHECKING:
    import pandas as pd

FORMAT = 1
ORDINARY_ROWS = 1000
SPLIT_POINTS = 400
UNSEEN = "\N{REPLACEMENT CHARACTER} never seen in training"
Answers = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Golden:
    """Rows in the caller's values and what the native file answers to them.

    ``origins`` says where a row is from: ``test`` rows are real, and so are
    ``earlier`` ones, which fill up a small test split; the edges (``missing``,
    ``unseen``, ``split``) may break the contract and are asked of the model
    only, not of the door.
    """

    columns: tuple[str, ...]
    values: tuple[tuple[Any, ...], ...]
    origins: tuple[str, ...]
    answers: Answers

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Every row by column name."""
        return [dict(zip(self.columns, values, strict=True)) for values in self.values]

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "columns": list(self.columns),
            "values": [list(values) for values in self.values],
            "origins": list(self.origins),
            "answers": self.answers.astype(np.float64).tolist(),
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(
            tuple(content["columns"]),
            tuple(tuple(values) for values in content["values"]),
            tuple(content["origins"]),
            np.asarray(content["answers"], dtype=np.float32),
        )


def golden_rows(
    rows: "pd.DataFrame", earlier: "pd.DataFrame", encoding: Encoding, split_points: Mapping[str, Sequence[float]]
) -> tuple[list[tuple[Any, ...]], list[str]]:
    """Return rows to ask (values in column order) and where each is from.

    1,000 of ``rows`` spread evenly, or all of them and the last of ``earlier``
    (fewer only if there are no more); then one of them with everything missing,
    with each column missing, with each category never seen, and on both sides
    of split points of every numeric column.

    Parameters
    ----------
    rows
        Real rows, at least one; those of the test split.
    earlier
        Real rows to fill up with, oldest first; those of the other splits.
    split_points
        Thresholds of each column; float32 in float64.
    """
    places = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), ORDINARY_ROWS)).round().astype(int))
    filling = earlier.tail(ORDINARY_ROWS - len(places))
    real = [*_plain(rows.iloc[places], encoding), *_plain(filling, encoding)]
    plain = real[len(real) // 2]
    edges = [("missing", (None,) * len(plain))]
    for place, kind in enumerate(encoding.kinds.values()):
        edges.append(("missing", _changed(plain, place, None)))
        if kind is Kind.CATEGORICAL:
            edges.append(("unseen", _changed(plain, place, UNSEEN)))
    edges += _sides(real, encoding, split_points)
    origins = ["test"] * len(places) + ["earlier"] * len(filling) + [origin for origin, _ in edges]
    return [*real, *(values for _, values in edges)], origins


def _sides(
    real: list[tuple[Any, ...]], encoding: Encoding, split_points: Mapping[str, Sequence[float]]
) -> list[tuple[str, tuple[Any, ...]]]:
    """Return rows just below and exactly at thresholds, which is the other side."""
    share = max(1, SPLIT_POINTS // max(1, len(split_points)))
    edges = []
    for name, points in split_points.items():
        place = encoding.columns.index(name)
        chosen = np.unique(np.linspace(0, len(points) - 1, min(share, len(points))).round().astype(int))
        for number, point in enumerate(sorted(points)[at] for at in chosen):
            row = real[(number * 7) % len(real)]
            below = float(np.nextafter(np.float32(point), np.float32(-np.inf)))
            edges += [("split", _changed(row, place, below)), ("split", _changed(row, place, float(point)))]
    return edges


def _plain(rows: "pd.DataFrame", encoding: Encoding) -> list[tuple[Any, ...]]:
    """Return rows as JSON could hold them: text, numbers, and None for what is missing."""
    columns = []
    for name, kind in encoding.kinds.items():
        values, missing = rows[name].astype(object).tolist(), rows[name].isna().tolist()
        cast = str if kind is Kind.CATEGORICAL else float
        columns.append([None if gone else cast(value) for value, gone in zip(values, missing, strict=True)])
    return list(zip(*columns, strict=True))


def _changed(row: tuple[Any, ...], place: int, value: Any) -> tuple[Any, ...]:
    return (*row[:place], value, *row[place + 1 :])


def worst_difference(answers: Answers, expected: Answers) -> float:
    """Return how far answers are apart: absolute below 1, relative above; infinite if shapes or NaN differ.

    >>> worst_difference(np.array([0.5, 200.0]), np.array([0.5, 202.0]))  # doctest: +ELLIPSIS
    0.0099...
    """
    if answers.shape != expected.shape:
        return float("inf")
    apart = np.abs(answers.astype(np.float64) - expected) / np.maximum(1.0, np.abs(expected))
    worst = float(np.max(apart, initial=0.0))
    return worst if np.isfinite(worst) else float("inf")
