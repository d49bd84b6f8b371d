"""How well `nightshift replay` tells what moved, what broke and what harms: `.venv/bin/python benchmarks/detection.py`.

Draws references and windows from families whose drift is known (flights, and
synthetic ones whose shape follows from a seed), runs the real replay on the
files, and prints one table: target, measured, number of windows, and the 95 %
interval (Wilson). ``--peer-python ks=PYTHON`` (or ``evidently``, ``nannyml``)
lets a peer answer the same windows, by the Python of an environment that has it,
and prints a second one. ``--tune`` draws other families than the reported run, so that
nothing that is reported was looked at while thresholds were chosen. ``--references 200``
prints instead how often quiet windows are called worse once labels are in.
"""

import argparse
import json
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
from _detection_table import print_peers, print_table
from _plants import HARMING, LABELLED, LARGE, NULLS, SIZES, SMALL, Measured, Window, shuffled
from _windows import CATEGORICAL, DAY_ROWS, FAMILIES, NUMERIC, World, world
from scipy import stats

from nightshift.replay.files import replay_files
from nightshift.replay.judge import worse_than
from nightshift.verdict import Status

TUNING, REPORTED = 100, 900


def main() -> None:
    asked = _arguments()
    measured, seed = Measured(), TUNING if asked.tune else REPORTED
    if asked.references:
        _quiet_with_labels(asked, seed)
        return
    try:
        streams = 2 * asked.worlds if asked.streams is None else asked.streams
        for name, turns in (("flights", 1), ("days", streams)) if "flights" in asked.families else ():
            for turn in range(turns):
                measured.found.extend((f"{name} by time", *one) for one in _by_time(name, seed + turn))
        for turn in range(asked.worlds):
            for name in asked.families.split(","):
                print(f"{name} {turn}", file=sys.stderr, flush=True)
                _measure(measured, asked, world(name, seed + turn), np.random.default_rng([seed, turn, 7]))
    except KeyboardInterrupt:
        print("stopped early; this is what was measured", file=sys.stderr)
    print_table(measured.found, measured.delays, measured.seconds, by_family=asked.by_family)
    print_peers(measured.found, list(asked.peers), measured.peer_seconds)
    if asked.out:
        asked.out.write_text(json.dumps([_row(name, size, one) for name, size, one in measured.found]))


def _measure(measured: Measured, asked: argparse.Namespace, here: World, chance: np.random.Generator) -> None:
    for size in SIZES:
        windows = list(
            _windows(here, size, chance, quiet=asked.quiet, each=asked.each, harm=asked.harm or 6 * asked.each)
        )
        seconds = _judge(here, windows, chance, ordered=False, peers=asked.peers, spent=measured.peer_seconds)
        measured.seconds[size].append(seconds / len(windows))
        measured.found.extend((here.name, size, window) for window in windows)
        measured.delays[size].extend(_ramp(here, size, chance) for _ in range(asked.ramps))


def _quiet_with_labels(asked: argparse.Namespace, seed: int) -> None:
    """Print how often quiet windows are called worse once labels are in, over many references of each family.

    Few references say little of this: one that was lucky alarms its windows together.
    """
    print("| family | rows | windows | called worse | 95 % interval | most of one reference |")
    print("|---|---|---|---|---|---|")
    alarms: dict[int, list[int]] = {size: [] for size in SIZES}
    for name in asked.families.split(","):
        here = world(name, seed)
        chance = np.random.default_rng([seed, 8])
        errors = pd.Series(here.error(here.answered(here.pool)))
        for size in SIZES:
            found = [_called_worse(here, errors, size, asked.quiet, chance) for _ in range(asked.references)]
            alarms[size].extend(found)
            _print_called_worse(name, size, found, asked.quiet)
    for size, found in alarms.items():
        _print_called_worse("all", size, found, asked.quiet)


def _called_worse(here: World, errors: "pd.Series[float]", size: int, quiet: int, chance: np.random.Generator) -> int:
    """Return how many of ``quiet`` windows a new reference calls worse."""
    usual = errors.sample(here.reference_rows, random_state=chance)
    windows = (errors.sample(size, random_state=chance) for _ in range(quiet))
    return sum(worse_than(usual, one).status is Status.DEGRADED for one in windows)


def _print_called_worse(name: str, size: int, alarms: list[int], quiet: int) -> None:
    windows = quiet * len(alarms)
    low, high = stats.binomtest(sum(alarms), windows).proportion_ci(method="wilson")
    print(
        f"| {name} | {size:,} | {windows:,} | {sum(alarms) / windows:.2%} | {low:.2%} – {high:.2%} "
        f"| {max(alarms)} of {quiet} |",
        flush=True,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tune", action="store_true", help="draw the families that thresholds are chosen on")
    parser.add_argument("--families", default=",".join(FAMILIES))
    parser.add_argument("--worlds", type=int, default=2, help="how many of each family")
    parser.add_argument(
        "--streams", type=int, help="made-up streams of days in order of time, beside that of flights; two a world"
    )
    parser.add_argument("--quiet", type=int, default=40, help="quiet windows of each world and size")
    parser.add_argument("--each", type=int, default=6, help="windows of each plant, world and size")
    parser.add_argument(
        "--harm", type=int, default=0, help="windows that might be harmed; none given: six times --each"
    )
    parser.add_argument("--ramps", type=int, default=2, help="ramps of each world and size")
    parser.add_argument("--references", type=int, default=0, help="only this: labels in, so many references of each")
    parser.add_argument("--by-family", action="store_true")
    parser.add_argument("--out", type=Path, help="write every window's answer here")
    parser.add_argument(
        "--peer-python", action="append", default=[], metavar="NAME=PYTHON", help="ks, evidently, nannyml"
    )
    asked = parser.parse_args()
    asked.peers = dict(one.split("=", 1) for one in asked.peer_python)
    return asked


# ---------------------------------------------------------------- windows
def _windows(
    here: World, size: int, chance: np.random.Generator, *, quiet: int, each: int, harm: int
) -> Iterator[Window]:
    yield from (Window("quiet", _answered(here, here.draw(size, chance))) for _ in range(quiet))
    for kind, (of, plant) in (SMALL | LARGE).items():
        for _ in range(each):
            column = _column(here, of, chance, full=kind in NULLS)
            if column:
                yield _harmed(here, kind, plant(here.draw(size, chance), column, chance), column)
    bound = _bound(here)
    for _ in range(2 * each):
        if bound:
            column = str(chance.choice(bound))
            yield _harmed(here, "bond", shuffled(here.draw(size, chance), column, chance), column)
        yield _harmed(here, "labels", _relabelled(here, here.draw(size, chance), chance))
        yield _harmed(here, "honest drift", here.draw(size, chance, tilt=_tilt(here, chance)))
    yield from (_perhaps_harmed(here, size, chance) for _ in range(harm))
    yield from (Window(f"hostile {kind}", rows) for kind, rows in _hostile(_answered(here, here.draw(size, chance))))


def _answered(here: World, rows: pd.DataFrame) -> pd.DataFrame:
    return here.answered(rows)


def _harmed(here: World, kind: str, rows: pd.DataFrame, column: str | None = None) -> Window:
    answered = here.answered(rows)
    errors, usual = here.error(answered), here.usual_error
    return Window(kind, answered, column, float((errors.mean() - usual.mean()) / (usual.std() / math.sqrt(len(rows)))))


def _perhaps_harmed(here: World, size: int, chance: np.random.Generator) -> Window:
    """Return a window with a drift that harms or does not: by what moved, how far, and whether labels go along."""
    if chance.random() < 0.4:
        return _harmed(here, "harm?", here.draw(size, chance, tilt=_tilt(here, chance)))
    numbers = [name for name, kind in here.kinds.items() if kind == NUMERIC]
    among = [name for name in numbers if (name in here.important) == (chance.random() < 0.7)] or numbers
    column, plants = str(chance.choice(among)), (*HARMING.values(),)
    return _harmed(
        here, "harm?", plants[int(chance.integers(len(plants)))](here.draw(size, chance), column, chance), column
    )


def _column(here: World, of: str, chance: np.random.Generator, *, full: bool = False) -> str | None:
    """Return a column to plant in; a ``full`` one has hardly a null yet: nobody tells 5 % more of them from 60 %."""
    columns = [name for name, kind in here.kinds.items() if kind == of and here.pool[name].nunique() > (of == NUMERIC)]
    numbers = [
        name for name in columns if of == CATEGORICAL or here.pool[name].value_counts(normalize=True).max() < 0.5
    ]
    numbers = [name for name in numbers if not full or here.pool[name].isna().mean() < 0.1]
    return str(chance.choice(numbers)) if numbers else None


def _bound(here: World) -> list[str]:
    """Return the columns whose ranks go with those of another; nobody sees the rest come loose."""
    numbers = [name for name, kind in here.kinds.items() if kind == NUMERIC]
    seen = here.pool[numbers][:5000].rank().fillna(2500).corr().abs().to_numpy() - np.eye(len(numbers))
    return [name for name, most in zip(numbers, seen.max(axis=0), strict=True) if most > 0.6]


def _relabelled(here: World, rows: pd.DataFrame, chance: np.random.Generator) -> pd.DataFrame:
    """Return rows whose labels mean something else for about a third of the inputs."""
    target, pool = rows["target"].copy(), here.pool["target"]
    turned = chance.random(len(rows)) < 0.35
    if here.task == "regression":
        return rows.assign(target=np.where(turned, target + 1.5 * pool.std(), target))
    classes = np.sort(pool.unique())
    return rows.assign(target=np.where(turned, classes[(target + 1) % len(classes)], target))


def _tilt(here: World, chance: np.random.Generator) -> np.ndarray:
    name = str(chance.choice([one for one, kind in here.kinds.items() if kind == NUMERIC]))
    ranks = here.pool[name].rank(pct=True).fillna(0.5).to_numpy() - 0.5
    strength = float(chance.choice([-1, 1])) * chance.uniform(2, 6)
    return np.asarray(strength * ranks)


def _hostile(quiet: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    first = quiet.columns[0]
    yield "empty", quiet[:0]
    yield "one row", quiet[:1]
    yield "all null", quiet.assign(**dict.fromkeys(quiet))
    yield "null column", quiet.assign(**{first: np.nan})
    yield "constant", pd.concat([quiet[:1]] * len(quiet), ignore_index=True)
    yield "infinite", quiet.assign(**{first: np.inf})
    yield "missing", quiet.drop(columns=first)
    yield "extra", quiet.assign(more=1)
    yield "text", quiet.assign(**{first: "text"})
    yield "dates", quiet.assign(**{first: pd.Timestamp("2024-01-01")})
    yield "flags", quiet.assign(**{first: True})
    yield "no answers", quiet.drop(columns=[name for name in quiet if name.startswith(("pred", "prob"))])
    yield "null answers", quiet.assign(prediction=None)
    many = pd.concat([quiet] * (100_000 // len(quiet) + 1), ignore_index=True)[:100_000]
    yield "100,000 categories", many.assign(**{first: [f"c{place}" for place in range(100_000)]})
    yield "huge", quiet.assign(**{first: 1e308})


def _ramp(here: World, size: int, chance: np.random.Generator) -> float:
    """Return for how many windows after its first a ramp of 0.1 deviations a window went unnoticed."""
    column = _column(here, NUMERIC, chance)
    assert column
    deviation = here.pool[column].std()
    windows = []
    for step in (0, 0, 0, *range(1, 9)):
        rows = here.draw(size, chance)
        windows.append(
            Window(f"ramp {step}", here.answered(rows.assign(**{column: rows[column] + 0.1 * step * deviation})))
        )
    _judge(here, windows, chance, ordered=True)
    noticed = [place for place, one in enumerate(windows[3:]) if one.answer["drift"]]
    return float(noticed[0] if noticed else 8)


def _by_time(name: str, seed: int) -> list[tuple[int, Window]]:
    """Return quiet windows in order of time with their sizes: of every fourth stretch, the rest being the reference.

    Both sizes are judged in one run, as whoever watches days and weeks would.
    """
    here = world(name, seed, ordered=True)
    longest = max(SIZES)
    stretches = [here.pool.iloc[start : start + longest] for start in range(0, len(here.pool) - longest + 1, longest)]
    found = [
        (size, Window("quiet by time", here.answered(rows[start : start + size])))
        for rows in stretches[2::4]
        for size in SIZES
        for start in range(0, longest - size + 1, 2 * DAY_ROWS)
    ]
    reference = pd.concat([rows for place, rows in enumerate(stretches) if place % 4 != 2])
    _judge(here, [one for _, one in found], np.random.default_rng(seed), ordered=True, reference=reference)
    return found


# ---------------------------------------------------------------- judging
def _judge(
    here: World, windows: list[Window], chance: np.random.Generator, *, ordered: bool,
    reference: pd.DataFrame | None = None, peers: dict[str, str] | None = None,
    spent: dict[str, list[float]] | None = None,
) -> float:  # fmt: skip
    """Let the real replay answer every window, without and (for labels) with labels; return seconds."""
    with TemporaryDirectory() as given:
        folder = Path(given)
        rows = reference if reference is not None else here.draw(here.reference_rows, chance)
        here.answered(rows).to_parquet(folder / "r.parquet", index=False)
        classes = sorted(here.pool["target"].unique().tolist()) if here.task != "regression" else []
        sizes = sorted({len(one.rows) for one in windows if one.kind.startswith(("quiet", "ramp"))})
        content = {
            "features": here.kinds,
            "task": here.task,
            "ordered": ordered,
            "window_rows": sizes,
            "classes": classes,
        }
        (folder / "s.json").write_text(json.dumps(content))
        (folder / "windows").mkdir()
        (folder / "labels").mkdir()
        for place, one in enumerate(windows):
            name = f"w{place:04}.parquet"
            one.rows.drop(columns="target", errors="ignore").to_parquet(folder / "windows" / name, index=False)
            if "target" in one.rows:
                one.rows[["target"]].to_parquet(folder / "labels" / name, index=False)
        start = time.perf_counter()
        answers = replay_files(folder / "r.parquet", folder / "windows", folder / "s.json")
        seconds = time.perf_counter() - start
        for name, python in (peers or {}).items():
            _ask_peer(name, python, folder, windows, spent if spent is not None else {})
        for place, one in enumerate(windows):
            if one.kind not in LABELLED:
                (folder / "windows" / f"w{place:04}.parquet").unlink()
        labelled = {}
        if any((folder / "windows").iterdir()):
            labelled = replay_files(
                folder / "r.parquet", folder / "windows", folder / "s.json", labels=folder / "labels"
            )
    for place, one in enumerate(windows):
        name = f"w{place:04}"
        one.answer = {**answers[name], "labelled": labelled.get(name, {}).get("performance")}
    return seconds


def _ask_peer(name: str, python: str, folder: Path, windows: list[Window], spent: dict[str, list[float]]) -> None:
    """Let a peer answer every window; one that does not come to its end has answered none."""
    subprocess.run(
        [python, Path(__file__).parent / "_peers.py", name, folder],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    told = folder / f"{name}.json"
    answers = json.loads(told.read_text()) if told.exists() else {"windows": {}, "seconds": math.nan}
    spent.setdefault(name, []).append(answers["seconds"])
    for place, one in enumerate(windows):
        one.peers[name] = answers["windows"].get(f"w{place:04}", {"error": "did not begin"})


def _row(family: str, size: int, one: Window) -> dict[str, Any]:
    return {
        "family": family,
        "size": size,
        "kind": one.kind,
        "column": one.column,
        "harm": one.harm,
        "peers": one.peers,
        **one.answer,
    }


if __name__ == "__main__":
    main()
