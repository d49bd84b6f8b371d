"""What proving a release costs beside making it: `.venv/bin/python benchmarks/reproduce.py`.

Builds the example's model with a real MLflow in an empty state, then reproduces
it twice: once with the environment to make, once with it kept. Prints the
seconds of every step and the ratio of the second rebuild, start to certificate,
to what the build spent on data and training. Needs a clean checkout: a release
of an edited one cannot be reproduced.
"""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from factories.mlflow import mlflow_server

MODEL, AS_OF = "flight_delay", "2013-05-01"
DATA_AND_TRAINING = ("snapshot", "assemble", "split", "train", "profile")
TARGET = 2.0
CHILD = """
import json, sys, time
from datetime import UTC, datetime
from nightshift.pipelines.request import Asked
from nightshift.pipelines.steps import open_work, run_all
pipeline, model, run, form = sys.argv[1:]
seconds, last = {}, time.perf_counter()
def say(step, outcome):
    global last
    now = time.perf_counter()
    seconds[step], last = now - last, now
    print(f"{pipeline} {step}: {outcome.sentence}", file=sys.stderr)
asked = Asked.by_person(now=datetime.now(UTC), **json.loads(form))
run_all(pipeline, open_work(pipeline, model=model, run_id=run), asked, say=say)
print(json.dumps(seconds))
"""


def main() -> None:
    with TemporaryDirectory() as folder, mlflow_server(Path(folder) / "mlflow") as mlflow:
        where = {"NIGHTSHIFT_STATE": f"{folder}/state", "NIGHTSHIFT_MLFLOW": mlflow.url}
        build, _ = run("build", "one", where, as_of=AS_OF, promote=False)
        first, _ = run("reproduce", "one", where, version="1")
        again, wall = run("reproduce", "two", where, version="1")
    spent = sum(build[step] for step in DATA_AND_TRAINING)
    for name, steps in (
        ("build", build),
        ("reproduce, environment made", first),
        ("reproduce, environment kept", again),
    ):
        print(f"{name:28} " + ", ".join(f"{step} {seconds:.1f} s" for step, seconds in steps.items()))
    print(f"data and training in the build: {spent:.1f} s; the whole build: {sum(build.values()):.1f} s")
    verdict = "met" if wall <= TARGET * spent else "MISSED"
    print(
        f"reproduce / data and training: {wall:.1f} s / {spent:.1f} s = {wall / spent:.2f} (target {TARGET}, {verdict})"
    )
    print(f"reproduce / the whole build: {wall / sum(build.values()):.2f}")


def run(pipeline: str, name: str, where: dict[str, str], **form: object) -> tuple[dict[str, float], float]:
    """Return the seconds of each step, and those of the process from start to end."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, pipeline, MODEL, name, json.dumps(form)],
        env=os.environ | where, stdout=subprocess.PIPE, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1]), time.perf_counter() - began


if __name__ == "__main__":
    main()
