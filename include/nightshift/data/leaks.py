"""What must not be in a split: the future, the answer, or a row of another split."""

from datetime import datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from nightshift.spec import Kind, ModelSpec, Task

LUCK = 10
"""Fewer rows than this that agree prove nothing."""


def leaks(frames: dict[str, pd.DataFrame], spec: ModelSpec, *, as_of: datetime) -> list[str]:
    """Return every way in which the future, or the answer, is in rows where it must not be.

    Parameters
    ----------
    frames
        The splits by name, oldest first.
    as_of
        When the rows were asked for: no label may be younger.

    Returns
    -------
    One sentence for each problem; empty if there is none.
    """
    return [
        *_repeated_keys(frames, spec.key),
        *_disorder(frames, spec.time.column),
        *_unripe(frames, spec, as_of),
        *_answers(pd.concat([frames[name] for name in frames], ignore_index=True), spec),
    ]


def _repeated_keys(frames: dict[str, pd.DataFrame], key: str) -> list[str]:
    keys = pd.concat([frames[name][[key]].assign(split=name) for name in frames])
    twice = keys[keys.duplicated(key, keep=False)].sort_values(key)
    if twice.empty:
        return []
    example = twice[twice[key] == twice[key].iloc[0]]
    return [
        f"{key} names {twice[key].nunique()} rows more than once, for example {example[key].iloc[0]!r} "
        f"in {_places(example['split'])}; a key must name one row"
    ]


def _places(splits: "pd.Series[str]") -> str:
    """Return where a row is, once for each split: ``train and test (3 times)``."""
    counts = splits.value_counts(sort=False)
    return " and ".join(f"{name} ({count} times)" if count > 1 else str(name) for name, count in counts.items())


def _disorder(frames: dict[str, pd.DataFrame], column: str) -> list[str]:
    problems = []
    for older, newer in pairwise(frames):
        if frames[older].empty or frames[newer].empty:
            continue
        last, first = frames[older][column].max(), frames[newer][column].min()
        if last >= first:
            problems.append(f"{older} reaches to {last}, {newer} begins at {first}; time must separate them")
    return problems


def _unripe(frames: dict[str, pd.DataFrame], spec: ModelSpec, as_of: datetime) -> list[str]:
    problems = []
    for name in frames:
        ripe = frames[name][spec.time.column] + spec.label.matures_after
        early = int((ripe > pd.Timestamp(as_of)).sum())
        if early:
            problems.append(
                f"{name} has {early} rows whose label was not known at {as_of:%Y-%m-%d %H:%M} UTC "
                f"(label.matures_after is {spec.label.matures_after})"
            )
    return problems


def _answers(rows: pd.DataFrame, spec: ModelSpec) -> list[str]:
    """Return one problem for each feature that gives the label away."""
    label = rows[spec.label.column]
    return [
        f"{name} gives {spec.label.column} away in every one of {int(rows[name].notna().sum())} rows; "
        "it is the label in disguise, or known only after the event: leave it out"
        for name, kind in spec.kinds.items()
        if _tells(rows[name][rows[name].notna()], kind, label[rows[name].notna()], spec.task)
    ]


def _tells(feature: "pd.Series[Any]", kind: Kind, label: "pd.Series[Any]", task: Task) -> bool:
    """Whether a feature alone tells every label, too often to be luck."""
    if feature.nunique() < 2 or label.nunique() < 2:
        return False
    if task is Task.REGRESSION:
        return kind is Kind.NUMERIC and _is_line(feature, label)
    if label.value_counts().min() < LUCK:
        return False
    return _separates(feature, label) if kind is Kind.NUMERIC else _decides(feature, label)


def _is_line(feature: "pd.Series[float]", label: "pd.Series[float]") -> bool:
    return bool(abs(np.corrcoef(feature, label)[0, 1]) > 1 - 1e-9)


def _separates(feature: "pd.Series[float]", label: "pd.Series[Any]") -> bool:
    """Whether the classes' ranges do not even touch."""
    spans = feature.groupby(label).agg(["min", "max"]).sort_values("min")
    return bool((spans["max"].to_numpy()[:-1] < spans["min"].to_numpy()[1:]).all())


def _decides(feature: "pd.Series[Any]", label: "pd.Series[Any]") -> bool:
    """Whether each category (with rows enough to say so) stands with one class only."""
    if feature.nunique() > len(feature) / LUCK:
        return False
    return bool((label.groupby(feature).nunique() == 1).all())
