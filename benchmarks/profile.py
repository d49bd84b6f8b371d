"""What a profile costs: `.venv/bin/python benchmarks/profile.py [--times 1 10 30] [--peer-python tfdv=PYTHON …]`.

Flights with their weather in 16 columns, as they are and ten and thirty times a
year later with noise; each tool in a process of its own, in turns. Beside the
profile: reading the file with Arrow and nothing else, one DuckDB aggregation,
and the peers for which an environment is named (tfdv, whylogs, evidently,
ydata). Imports are not counted, all of a process's memory is. Then two stored
profiles compared, with rows from a month and from a million, beside NannyML;
and what a night of the monitor costs after 365 nights beside the first one.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "benchmarks")]

BEGUN = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
def begin():
    global wall, processor
    wall, processor = time.perf_counter(), time.process_time()
def end(**told):
    said = open("/proc/self/status").read()  # the peak of getrusage would be that of the process before it
    peak = int(said.split("VmHWM:")[1].split()[0]) / 1024
    spent = {"wall": time.perf_counter() - wall, "processor": time.process_time() - processor, "memory": peak}
    print(json.dumps({**spent, "told": told}))
path = sys.argv[1]
"""
TOOLS = {
    "read": """
import pyarrow.parquet as pq
begin()
file = pq.ParquetFile(path, pre_buffer=False)
end(rows=sum(batch.num_rows for batch in file.iter_batches()))
""",
    "nightshift": """
from nightshift.data.scan import open_files
from nightshift.profile.streamed import profile_rows
begin()
with open_files([path]) as scan:
    found = profile_rows(scan.schema, scan.rows, scan.batches)
text = json.dumps(found.to_json())
told = {name: [column.missing, column.distinct.estimate, column.lowest, column.highest, column.mean,
               column.quantile(0.5) if column.bins else None] for name, column in found.columns.items()}
end(columns=told, bytes=len(text))
""",
    "duckdb": """
import duckdb
begin()
asked = duckdb.connect(config={"threads": 2})
kinds = asked.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
parts = []
for name, kind, *_ in kinds:
    parts += [f'count({name})', f'min({name})', f'max({name})']
    parts += [f'approx_count_distinct({name})', f'approx_top_k({name}, 20)']
    if kind != "VARCHAR":
        parts += [f'approx_quantile({name}, [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])']
    if kind in ("DOUBLE", "BIGINT"):
        parts += [f'avg({name})', f'stddev_pop({name})']
asked.execute(f"SELECT {', '.join(parts)} FROM '{path}'").fetchall()
end()
""",
    "tfdv": """
import pandas as pd, tensorflow_data_validation as tfdv
begin()
tfdv.generate_statistics_from_dataframe(pd.read_parquet(path))
end()
""",
    "whylogs": """
import pandas as pd, whylogs
begin()
whylogs.log(pd.read_parquet(path)).view()
end()
""",
    "evidently": """
import pandas as pd
from evidently import Dataset, Report
from evidently.presets import DataSummaryPreset
begin()
Report([DataSummaryPreset()]).run(Dataset.from_pandas(pd.read_parquet(path)), None).dict()
end()
""",
    "ydata": """
import pandas as pd
from ydata_profiling import ProfileReport
begin()
ProfileReport(pd.read_parquet(path), minimal=True, progress_bar=False).get_description()
end()
""",
}
COMPARED = """
from pathlib import Path
from nightshift.files import read_json
from nightshift.profile.drift import compare
from nightshift.profile.profile import Profile
from nightshift.spec import Limits
first, second = (Path(one) for one in path.split(","))
begin()
one, other = (Profile.from_json(read_json(file)) for file in (first, second))
alike = {name: 1 / len(one.columns) for name in one.columns}
end(moved=len(compare(one, other, importance=alike, limits=Limits()).columns))
"""
NANNYML = """
import pandas as pd, nannyml
first, second = path.split(",")
begin()
one, other = (pd.read_parquet(file) for file in (first, second))
drift = nannyml.UnivariateDriftCalculator(
    column_names=list(one.columns[2:]), chunk_number=1, continuous_methods=["kolmogorov_smirnov", "jensen_shannon"],
    categorical_methods=["chi2", "jensen_shannon"])
drift.fit(one).calculate(other).to_df()
end()
"""


@dataclass(frozen=True)
class Cost:
    """Of the work of one process: wall and processor seconds; of the whole process: peak memory in MiB."""

    wall: float
    processor: float
    memory: float
    told: Mapping[str, object]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, nargs="*", default=[1, 10, 30])
    options.add_argument(
        "--rounds", type=int, default=3, help="runs of the read, the profile and DuckDB; peers run once"
    )
    options.add_argument("--peer-python", action="append", default=[], metavar="NAME=PYTHON")
    options.add_argument("--peer-times", type=int, nargs="*", default=[1, 10], help="sizes at which the peers run too")
    options.add_argument("--limit", type=float, default=300.0, help="seconds after which a process is ended")
    options.add_argument("--nights", type=int, default=365)
    options.add_argument("--no-compare", dest="compare", action="store_false")
    asked = options.parse_args()
    peers = dict(one.split("=", 1) for one in asked.peer_python)
    with TemporaryDirectory() as folder:
        measure_profiles(Path(folder), asked, peers)
        if asked.compare:
            measure_comparison(Path(folder), peers.get("nannyml"), asked.limit)
    if asked.nights:
        measure_nights(asked.nights)


def measure_profiles(folder: Path, asked: argparse.Namespace, peers: Mapping[str, str]) -> None:
    """Print what each tool costs at each size, beside the bare read, and whether what is told is right."""
    from flights import write_flights

    for times in asked.times:
        path = folder / f"{times}.parquet"
        print(f"\n{times} x flights: {write_flights(path, times):,} rows", flush=True)
        runs: dict[str, list[Cost]] = {}
        for _ in range(asked.rounds):
            for name in ("read", "nightshift", "duckdb"):
                runs.setdefault(name, []).extend(run(TOOLS[name], path, limit=asked.limit))
        for name, python in peers.items():
            if name in TOOLS and times in asked.peer_times:
                runs[name] = list(run(TOOLS[name], path, python=python, limit=asked.limit))
        print(f"{'':12} {'wall s':>8} {'of read':>8} {'processor s':>12} {'of read':>8} {'peak MiB':>9}")
        floor = middle(runs["read"])
        for name, costs in runs.items():
            print_cost(name, costs, floor, asked.limit)
        print_errors(path, runs["nightshift"][-1].told["columns"])


def print_cost(name: str, costs: Sequence[Cost], floor: Cost, limit: float) -> None:
    if not costs:
        print(f"{name:12} not done in {limit:.0f} s, or failed", flush=True)
        return
    cost = middle(costs)
    wall, processor = cost.wall / floor.wall, cost.processor / floor.processor
    print(
        f"{name:12} {cost.wall:8.2f} {wall:8.1f} {cost.processor:12.2f} {processor:8.1f} {cost.memory:9.0f}", flush=True
    )


def print_errors(path: Path, told: Mapping[str, Sequence[float]]) -> None:
    """Print how far off the profile is, beside exact answers of DuckDB."""
    import duckdb

    off = {"missing": 0.0, "distinct": 0.0, "ends": 0.0, "mean": 0.0, "median": 0.0}
    with duckdb.connect(config={"threads": 2}) as exact:
        for name, kind, *_ in exact.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall():
            value = f"epoch_us({name})" if kind.startswith("TIMESTAMP") else name
            missing, distinct = exact.execute(
                f"SELECT count(*) - count({name}), count(DISTINCT {name}) FROM '{path}'"
            ).fetchone()
            own = told[name]
            off["missing"] = max(off["missing"], abs(own[0] - missing))
            off["distinct"] = max(off["distinct"], abs(own[1] / distinct - 1))
            if kind == "VARCHAR":
                continue
            low, high, mean, share = exact.execute(
                f"SELECT min({value}), max({value}), avg({value}), "
                f"(avg(({value} < {own[5]!r})::INT) - 0.5) FROM '{path}'"
            ).fetchone()
            at = exact.execute(f"SELECT avg(({value} <= {own[5]!r})::INT) - 0.5 FROM '{path}'").fetchone()[0]
            off["ends"] = max(off["ends"], abs(own[2] - low), abs(own[3] - high))
            off["mean"] = max(off["mean"], abs(own[4] - mean) / ((high - low) or 1))
            off["median"] = max(off["median"], share, -at, 0.0)
    print(
        f"largest error of any column: missing {off['missing']:.0f} rows, distinct {off['distinct']:.1%}, "
        f"ends {off['ends']:g}, mean {off['mean']:.1e} of the range, median {off['median']:.2%} of the rows",
        flush=True,
    )


def measure_comparison(folder: Path, nannyml: str | None, limit: float) -> None:
    """Print what it costs to compare two stored profiles, of months and of millions of rows.

    A year has more names than a month, so what rows alone cost shows beside every 37th of the same million.
    """
    import numpy as np
    import pyarrow.parquet as pq
    from flights import flights, write_flights

    rows = flights()
    month = rows["departure"].dt.month
    many = folder / "many.parquet"
    write_flights(many, 6)
    table = pq.read_table(many)
    halves = table[:1_000_000], table[1_000_000:2_000_000]
    some = np.arange(0, 1_000_000, 37)
    pairs = {
        "a month": (rows[month == 1], rows[month == 12]),
        "27,028 of a million": tuple(half.take(some) for half in halves),
        "a million": halves,
    }
    print("\ntwo windows compared", flush=True)
    for name, pair in pairs.items():
        files = [folder / f"{place}.parquet" for place in ("first", "second")]
        for rows_, file in zip(pair, files, strict=True):
            rows_.to_parquet(file, index=False) if hasattr(rows_, "to_parquet") else pq.write_table(rows_, file)
        stored = list(profiles_of(files))
        own = [cost for _ in range(3) for cost in run(COMPARED, ",".join(map(str, stored)), limit=limit)]
        peer = list(run(NANNYML, ",".join(map(str, files)), python=nannyml, limit=limit)) if nannyml else []
        told = f"{middle(own).wall:.3f} s, {middle(own).processor:.3f} processor s, {middle(own).memory:.0f} MiB"
        beside = f"; NannyML {peer[0].wall:.2f} s, {peer[0].processor:.2f} processor s" if peer else ""
        print(f"{name:20} stored profiles {told}{beside}", flush=True)


def profiles_of(files: Sequence[Path]) -> Iterator[Path]:
    """Yield the stored profiles of files, the later on the bins of the first."""
    command, first = [str(Path(sys.executable).with_name("nightshift")), "profile"], files[0].with_suffix(".json")
    for file in files:
        out = file.with_suffix(".json")
        like = ["--like", str(first)] if out != first else []
        subprocess.run([*command, str(file), "--out", str(out), *like], check=True, capture_output=True)
        yield out


def measure_nights(nights: int) -> None:
    """Print the processor seconds of the monitor's nights: all steps but validate, 400 rows each."""
    from factories.nights import rides_of, watched

    spent = []
    with TemporaryDirectory() as folder:
        installation = watched(Path(folder))
        for day in range(20, 20 + nights):
            rows = rides_of(day)
            installation.ask(rows)
            installation.tell(rows, month=True)
            began = time.process_time()
            installation.judge(day)
            spent.append(time.process_time() - began)
    edge = max(1, min(10, nights // 4))
    first, last = median(spent[1 : 1 + edge]), median(spent[-edge:])
    print(
        f"\na night of the monitor, 400 rows: {first:.3f} processor s at first (median of nights 2 to {1 + edge}), "
        f"{last:.3f} at night {nights} (median of the last {edge}): {last / first:.2f} x"
    )


def middle(costs: Sequence[Cost]) -> Cost:
    """Return the cost whose wall is the middle one."""
    return sorted(costs, key=lambda cost: cost.wall)[len(costs) // 2]


def run(code: str, path: Path | str, *, limit: float, python: str = sys.executable) -> Iterator[Cost]:
    """Yield the cost of one process; none if it fails or takes too long."""
    where = {"PYTHONPATH": str(ROOT / "include")} if python == sys.executable else {}
    try:
        done = subprocess.run(
            [python, "-c", BEGUN + code, str(path)],
            env=os.environ | where,
            capture_output=True,
            text=True,
            timeout=limit,
        )
    except subprocess.TimeoutExpired:
        return
    if done.returncode:
        print(f"a process failed: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr, flush=True)
        return
    yield Cost(**json.loads(done.stdout.splitlines()[-1]))


if __name__ == "__main__":
    main()
