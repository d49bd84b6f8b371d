"""What a build costs beyond the training itself: `.venv/bin/python benchmarks/build.py [--times 1 10] [--no-threads]`.

Builds the example step by step, each in a process of its own as Airflow does,
from an empty state with a real MLflow, on the flights as they are and on ten of
each; beside it, as the floor, a process that reads the same two splits and does
nothing but XGBoost's training with the same parameters. Counts processor
seconds and peak memory of each process and its children. Then trains with one
and two threads, with OpenMP's two ways of waiting, on an idle machine and beside
a busy one. Needs a clean checkout.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from factories.mlflow import mlflow_server

ROOT = Path(__file__).parents[1]
MODEL, AS_OF, MIB = "flight_delay", "2013-05-01", 1024
STEPS = (
    "check_versions", "snapshot", "assemble", "split", "train", "profile", "package", "evaluate",
    "register", "rehearse", "promote",
)  # fmt: skip
STEP = """
import sys
from datetime import UTC, datetime
from nightshift.pipelines.request import Asked
from nightshift.pipelines.steps import begin, find_step, open_work
step, as_of = sys.argv[1:]
work = open_work("build", model="flight_delay", run_id="benchmark")
if step == "check_versions":
    begin("build", work, Asked.by_person(now=datetime.now(UTC), as_of=as_of))
print(step, find_step("build", step)(work).sentence, file=sys.stderr)
"""
FLOOR = """
import sys, time
import pandas as pd, xgboost
from pathlib import Path
from nightshift.spec import find_spec
from nightshift.settings import Settings
folder, threads = Path(sys.argv[1]), int(sys.argv[2])
spec = find_spec(Settings.load().specs, "flight_delay")
def matrix(name):
    rows = pd.read_parquet(folder / f"{name}.parquet")
    features = rows[list(spec.features)].apply(lambda c: c.astype("category") if c.dtype == object else c)
    return xgboost.DMatrix(features, rows[spec.label.column], enable_categorical=True, nthread=threads)
given = {**spec.training.parameters, "objective": "binary:logistic", "eval_metric": "logloss", "tree_method": "hist",
         "seed": spec.training.seed, "nthread": threads}
train, validation = matrix("train"), matrix("validation")
began = time.perf_counter()
xgboost.train(given, train, spec.training.rounds, evals=[(validation, "validation")], verbose_eval=False,
              early_stopping_rounds=spec.training.early_stopping_rounds)
print(time.perf_counter() - began)
"""
LOAD = """
import sys, time
from pathlib import Path
began = time.perf_counter()
from nightshift.model.package import open_package
opened = open_package(Path(sys.argv[1]))
opened.predict([opened.golden.rows[0]])
print(time.perf_counter() - began)
"""
MANY = '''
import importlib.util
from pathlib import Path
import pandas as pd
found = importlib.util.spec_from_file_location("one", Path(__file__).with_name("one.py"))
one = importlib.util.module_from_spec(found)
found.loader.exec_module(one)
class Source(one.Source):
    """Every flight {times} times, a few seconds apart."""
    def extract(self, start, end):
        tables = super().extract(start, end)
        flights = tables["flights"]
        copies = [flights.assign(flight_id=flights.flight_id + f"-{{n}}") for n in range({times})]
        tables["flights"] = pd.concat(copies, ignore_index=True).sort_values(
            ["scheduled_departure", "flight_id"], ignore_index=True)
        return tables
'''


@dataclass(frozen=True)
class Cost:
    """Of one process and its children: wall and processor seconds, peak memory in MiB, and what it printed last."""

    wall: float
    processor: float
    memory: float
    said: str


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--times", type=int, nargs="*", default=[1, 10])
    options.add_argument("--no-threads", action="store_true")
    asked = options.parse_args()
    for times in asked.times:
        with TemporaryDirectory() as folder:
            measure_build(Path(folder), times)
    if not asked.no_threads:
        with TemporaryDirectory() as folder:
            measure_threads(Path(folder))


def measure_build(folder: Path, times: int) -> None:
    """Print what each step costs, and all of them beside bare training."""
    declared = declare(folder / "include", times)
    with mlflow_server(folder / "mlflow") as mlflow:
        where = {
            "NIGHTSHIFT_STATE": f"{folder}/state",
            "NIGHTSHIFT_MLFLOW": mlflow.url,
            "NIGHTSHIFT_SPECS": str(declared),
        }
        costs = {step: run(STEP, step, AS_OF, where=where) for step in STEPS}
        runs = folder / "state" / "runs" / MODEL / "build" / "benchmark"
        floor = run(FLOOR, str(runs / "splits"), "1", where=where)
        loads = [run(LOAD, str(runs / "package"), where=where) for _ in range(3)]
    total = sum(cost.processor for cost in costs.values())
    print(f"\n{times} x flights: {rows_of(runs):,} training rows")
    print(f"{'step':16} {'processor s':>12} {'share':>7} {'wall s':>8} {'peak MiB':>9}")
    for step, cost in costs.items():
        print(f"{step:16} {cost.processor:12.1f} {cost.processor / total:7.0%} {cost.wall:8.1f} {cost.memory:9.0f}")
    print(f"{'bare training':16} {floor.processor:12.1f} {'':7} {floor.wall:8.1f} {floor.memory:9.0f}")
    peak = max(cost.memory for cost in costs.values())
    print(f"build / bare training: {total / floor.processor:.1f} x processor, {peak / floor.memory:.1f} x peak memory")
    print(f"step train / bare training: {costs['train'].processor / floor.processor:.2f} x processor")
    size = sum(file.stat().st_size for file in (runs / "package").iterdir())
    ready = sorted(float(load.said) for load in loads)[1]
    print(f"package: {size / MIB**2:.2f} MiB; load to ready: {ready:.2f} s (median of 3)")


def declare(include: Path, times: int) -> Path:
    """Return a folder of declarations whose source hands out each flight so many times."""
    for name in ("specs", "sources", "features"):
        shutil.copytree(ROOT / "include" / name, include / name, ignore=shutil.ignore_patterns("__pycache__"))
    if times > 1:
        source = include / "sources" / f"{MODEL}.py"
        source.rename(source.with_name("one.py"))
        source.write_text(MANY.format(times=times))
    return include / "specs"


def rows_of(run_folder: Path) -> int:
    return int(json.loads((run_folder / "split.json").read_text())["splits"]["train"]["rows"])


def measure_threads(folder: Path) -> None:
    """Print the seconds of bare training by threads, OpenMP's way of waiting, and what else the machine does."""
    with mlflow_server(folder / "mlflow") as mlflow:
        where = {"NIGHTSHIFT_STATE": f"{folder}/state", "NIGHTSHIFT_MLFLOW": mlflow.url}
        for step in ("check_versions", "snapshot", "assemble"):
            run(STEP, step, AS_OF, where=where)
    splits = folder / "state" / "runs" / MODEL / "build" / "benchmark" / "splits"
    run(SPLIT, str(splits), where=where)
    print("\nseconds of bare training; busy: as many other processes as there are processors count without end")
    print(f"{'threads':>8} {'OMP_WAIT_POLICY':>16} {'idle':>8} {'busy':>8}")
    for threads in (1, 2):
        for policy in ("active", "default", "passive"):
            way = where | ({} if policy == "default" else {"OMP_WAIT_POLICY": policy})
            idle = float(run(FLOOR, str(splits), str(threads), where=way).said)
            with busy(os.cpu_count() or 1):
                loaded = float(run(FLOOR, str(splits), str(threads), where=way).said)
            print(f"{threads:8} {policy:>16} {idle:8.1f} {loaded:8.1f}")


SPLIT = """
import sys
import pandas as pd
from pathlib import Path
from nightshift.data.split import make_splits
from nightshift.pipelines.request import BuildRequest
from nightshift.pipelines.steps import open_work
work = open_work("build", model="flight_delay", run_id="benchmark")
rows, as_of = pd.read_parquet(work.run.file("table.parquet")), BuildRequest.of(work.run).as_of
make_splits(rows, work.spec, as_of=as_of).write(Path(sys.argv[1]))
"""


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Keep the processors busy meanwhile."""
    counting = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for process in counting:
            process.kill()
            process.wait()


def run(code: str, *arguments: str, where: Mapping[str, str]) -> Cost:
    """Run Python code in a process of its own and return its cost."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with subprocess.Popen(
        [sys.executable, "-c", MEASURED + code, *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT / "include"), **where}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        said = process.communicate()[0].splitlines()
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        sys.exit(f"a process of the benchmark ended with {process.returncode}")
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    peak = float(said.pop().removeprefix("peak "))
    return Cost(wall, used, peak, said[-1] if said else "")


MEASURED = """
import atexit, resource
def _peak():
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print("peak", max(own, children) / 1024, flush=True)
atexit.register(_peak)
"""
"""The largest process counts: of two that live one after the other the sum would be nobody's need."""


if __name__ == "__main__":
    main()
