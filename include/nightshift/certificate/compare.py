"""What differs between a release and its rebuild, and how: from causes to effects."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nightshift.certificate.certificate import Comparison
from nightshift.files import file_digest, read_json
from nightshift.lineage.record import SPLITS, Lineage

NONE = "none"
JSON_FILES = ("profile.json", "contract.json", "golden.json")
EXPLAINED_LAST = ("manifest.json",)
"""It holds the digests of all other files: that it differs is news only if nothing else does."""


def compare_inputs(recorded: Lineage, rebuilt: Lineage) -> list[Comparison]:
    """Return code, environment, declaration, data and splits, each as recorded and as rebuilt."""
    pairs = [
        ("code commit", recorded.code.commit, rebuilt.code.commit),
        ("code beside the commit", recorded.code.changes_digest, rebuilt.code.changes_digest),
        ("python", recorded.environment.python, rebuilt.environment.python),
        ("platform", recorded.environment.platform, rebuilt.environment.platform),
        ("lock", recorded.environment.lock_digest, rebuilt.environment.lock_digest),
        ("packages", _listed(recorded.environment.differences), _listed(rebuilt.environment.differences)),
        ("arithmetic", recorded.environment.arithmetic, rebuilt.environment.arithmetic),
        ("declaration", recorded.spec_digest, rebuilt.spec_digest),
        ("features", recorded.features, rebuilt.features),
        ("data", recorded.data and recorded.data.digest, rebuilt.data and rebuilt.data.digest),
    ]
    return [Comparison(what, before or NONE, now or NONE) for what, before, now in pairs]


def _listed(differences: tuple[str, ...]) -> str:
    return "; ".join(differences) or "as the lock says"


def compare_rows(
    recorded: Mapping[str, str], rebuilt: Mapping[str, str], *, before: Path, now: Path, key: str
) -> list[Comparison]:
    """Return each split by its digest; of one that differs, the first row and column that do.

    Parameters
    ----------
    recorded, rebuilt
        Content digests by the split's name.
    before, now
        Folders with ``<name>.parquet`` of the recorded and of the rebuilt splits.
    key
        Column that names a row.
    """
    return [
        Comparison(f"{name} rows", digest, rebuilt.get(name, NONE), _how(name, digest, rebuilt, before, now, key))
        for name, digest in sorted(recorded.items(), key=lambda item: SPLITS.index(item[0]))
    ]


def _how(name: str, digest: str, rebuilt: Mapping[str, str], before: Path, now: Path, key: str) -> str:
    if rebuilt.get(name) == digest:
        return ""
    files = [folder / f"{name}.parquet" for folder in (before, now)]
    absent = [str(file.parent.name) for file in files if not file.is_file()]
    if absent:
        return f"there are no rows in {' and '.join(absent)} to compare"
    return rows_difference(*(pd.read_parquet(file) for file in files), key=key)


def rows_difference(before: pd.DataFrame, now: pd.DataFrame, *, key: str) -> str:
    """Say where two tables differ first; empty if they do not.

    >>> one = pd.DataFrame({"ride": [1, 2], "speed": [3.0, 4.0]})
    >>> rows_difference(one, one.assign(speed=[3.0, 5.0]), key="ride")
    'row 1 (ride 2), column speed: recorded 4.0, rebuilt 5.0; 1 of 2 rows differ'
    >>> rows_difference(one, one[::-1].reset_index(drop=True), key="ride")
    'the same rows in another order; first row 0: recorded ride 1, rebuilt ride 2'
    """
    if list(before.columns) != list(now.columns):
        return f"columns: recorded {', '.join(before.columns)}; rebuilt {', '.join(now.columns)}"
    if len(before) != len(now):
        return f"recorded {len(before):,} rows, rebuilt {len(now):,}{_first_key(before, now, key)}"
    unlike = ~((before == now) | (before.isna() & now.isna()))
    places = unlike.any(axis=1).to_numpy().nonzero()[0]
    if not len(places):
        return _written_otherwise(before, now)
    place = int(places[0])
    if sorted(map(str, before[key])) == sorted(map(str, now[key])) and before[key].iloc[place] != now[key].iloc[place]:
        first = f"recorded {key} {before[key].iloc[place]}, rebuilt {key} {now[key].iloc[place]}"
        ordered = [rows.sort_values(key, kind="stable", ignore_index=True) for rows in (before, now)]
        beside = rows_difference(ordered[0], ordered[1], key=key)
        same = "the same rows" if not beside else "rows with the same keys"
        also = f"; in the order of {key}, {beside}" if beside else ""
        return f"{same} in another order; first row {place}: {first}{also}"
    column = next(name for name in before.columns if unlike[name].iloc[place])
    return (
        f"row {place} ({key} {before[key].iloc[place]}), column {column}: recorded {before[column].iloc[place]}, "
        f"rebuilt {now[column].iloc[place]}; {len(places):,} of {len(before):,} rows differ"
    )


def _written_otherwise(before: pd.DataFrame, now: pd.DataFrame) -> str:
    """Say what tells tables apart whose values compare equal: types, and the sign of a zero; empty if nothing does."""
    for name in before.columns:
        if before[name].dtype != now[name].dtype:
            return f"column {name}: recorded as {before[name].dtype}, rebuilt as {now[name].dtype}, of equal values"
        if before[name].dtype.kind == "f":
            signs = np.signbit(before[name].to_numpy()) != np.signbit(now[name].to_numpy())
            if signs.any():
                return f"column {name}: {int(signs.sum()):,} zeros (or nulls) have another sign"
    return ""


def _first_key(before: pd.DataFrame, now: pd.DataFrame, key: str) -> str:
    lost, added = set(before[key]) - set(now[key]), set(now[key]) - set(before[key])
    told = [f"{word} {key} {min(map(str, keys))}" for word, keys in (("lost", lost), ("new", added)) if keys]
    return f": {', '.join(told)}" if told else ""


def compare_results(
    recorded: Path, rebuilt: Path, *, metrics: Mapping[str, Any], again: Mapping[str, Any]
) -> list[Comparison]:
    """Return every file of the package by its digest, and what evaluation found.

    Parameters
    ----------
    recorded, rebuilt
        The two packages' folders.
    metrics, again
        The two evaluations. The comparison with a champion is left out: it needs another release.
    """
    names = sorted({file.name for folder in (recorded, rebuilt) if folder.is_dir() for file in folder.iterdir()})
    names.sort(key=lambda name: (name in EXPLAINED_LAST, not name.startswith("booster")))
    files = [_compare_file(recorded / name, rebuilt / name) for name in names]
    before, now = ({k: v for k, v in content.items() if k != "comparison"} for content in (metrics, again))
    how = next(json_differences(before, now), "")
    told = "as recorded" if not how else "otherwise"
    return [*files, Comparison("metrics on the test rows", "as recorded", told, how)]


def _compare_file(recorded: Path, rebuilt: Path) -> Comparison:
    before, now = (file_digest(file) if file.is_file() else NONE for file in (recorded, rebuilt))
    how = ""
    if before != now and NONE not in (before, now) and recorded.name in (*JSON_FILES, *EXPLAINED_LAST):
        how = next(json_differences(read_json(recorded), read_json(rebuilt)), "the same content, written otherwise")
    return Comparison(f"package/{recorded.name}", before, now, how)


def json_differences(before: Any, now: Any, path: str = "") -> Iterator[str]:
    """Yield where two JSON values differ, in order.

    >>> list(json_differences({"a": [1, 2], "b": 3}, {"a": [1, 4], "c": 3}))
    ['a[1]: recorded 2, rebuilt 4', 'b: recorded 3, rebuilt nothing', 'c: recorded nothing, rebuilt 3']
    """
    if isinstance(before, dict) and isinstance(now, dict):
        for name in sorted(before.keys() | now.keys()):
            yield from json_differences(
                before.get(name, _Nothing()), now.get(name, _Nothing()), f"{path}.{name}" if path else name
            )
    elif isinstance(before, list) and isinstance(now, list) and len(before) == len(now):
        for place, (one, other) in enumerate(zip(before, now, strict=True)):
            yield from json_differences(one, other, f"{path}[{place}]")
    elif before != now:
        yield f"{path}: recorded {_short(before)}, rebuilt {_short(now)}"


class _Nothing:
    """What stands for a value that is not there; equal to nothing, and shown as such."""

    def __repr__(self) -> str:
        return "nothing"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"
