"""A stated load for a stated time, every answer remembered on the disk first: no error, and soon enough."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest

import nightshift
from factories.servers import served
from factories.serving import a_package

SECONDS = 600 if os.environ.get("NIGHTSHIFT_TEST_LONG") else 15
CALLERS = 6
PER_SECOND = 50 * CALLERS
P99_MS = 50.0
GROWTH_MAX = 50 * 1024 * 1024


@pytest.mark.timeout(SECONDS + 300)
def test_three_hundred_requests_a_second_are_answered_without_an_error(tmp_path: Path) -> None:
    with served(tmp_path, a_package(tmp_path / "package")) as server:
        locust(server.url, tmp_path / "warm", seconds=3)
        before = server.memory()

        told = locust(server.url, tmp_path / "load", seconds=SECONDS)

        growth = server.memory() - before
        kept = server.remembered()

    assert told["Failure Count"] == 0
    assert told["Requests/s"] > 0.9 * PER_SECOND / slowness()
    assert told["99%"] <= P99_MS * slowness()
    assert growth < GROWTH_MAX
    assert len(kept) > told["Request Count"]


def locust(host: str, name: Path, *, seconds: int) -> dict[str, float]:
    """Let locust call the server in a process of its own; return its totals."""
    here = Path(__file__).parent
    arguments = [
        "--headless",
        "-u",
        str(CALLERS),
        "-r",
        "100",
        "-t",
        f"{seconds}s",
        "--csv",
        str(name),
        "--only-summary",
    ]
    paths = [str(here.parent), str(Path(nightshift.__file__).parents[1])]
    done = subprocess.run(
        [sys.executable, "-m", "locust", "-f", here / "locustfile.py", "--host", host, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        cwd=name.parent,
        capture_output=True,
        text=True,
        timeout=seconds + 120,
    )
    stats = Path(f"{name}_stats.csv")
    assert stats.exists(), done.stderr
    with stats.open() as file:
        totals = next(row for row in csv.DictReader(file) if row["Name"] == "Aggregated")
    return {column: float(value) for column, value in totals.items() if value.replace(".", "", 1).isdigit()}


def slowness() -> float:
    """Return how many times slower than alone this machine is now: other programs take their share."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
