"""The real server, started with a candidate before anybody depends on it."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import numpy as np

from nightshift.errors import RehearsalError
from nightshift.model.package import TOLERANCE
from nightshift.settings import Settings
from nightshift.spec import ModelSpec

READY_SECONDS = 60.0
ANSWER_SECONDS = 30.0
STOP_SECONDS = 15.0
SINGLE_ROWS = 50


@dataclass(frozen=True)
class Rehearsal:
    """What the server answered. ``worst_difference`` is on probabilities or values; latency is of single rows."""

    golden_rows: int
    worst_difference: float
    tolerance: float
    refused: int
    ready_seconds: float
    latency_ms_median: float

    def to_json(self) -> dict[str, Any]:
        return {"format": 1, **asdict(self)}


def rehearse(
    package: Path,
    spec: ModelSpec,
    settings: Settings,
    folder: Path,
    *,
    rows: Sequence[dict[str, Any]],
    answers: np.ndarray,
    tolerance: float = TOLERANCE,
) -> Rehearsal:
    """Start the server with ``package``, ask it rows with known answers, and rows that it must refuse.

    Parameters
    ----------
    folder
        Where the server's log and its own, throw-away prediction log go.
    rows, answers
        Golden rows as a caller would send them, such as the contract lets in, and what each must be answered.
    tolerance
        Largest difference allowed.

    Raises
    ------
    RehearsalError
        If it does not start, answers a golden row otherwise, or lets a bad row in.
    """
    began = time.monotonic()
    with _server(package, settings, folder) as http:
        ready_seconds = time.monotonic() - began
        given = _ask(http, spec, rows)
        worst = max(abs(got - float(expected)) for got, expected in zip(given, answers, strict=True))
        if not worst <= tolerance:  # a NaN is no agreement either
            raise RehearsalError(
                f"the server answers golden rows otherwise than the package, by {worst:.3g}; allowed is {tolerance:g}. "
                "Do not promote; see the package's manifest and the server's environment."
            )
        refused = sum(_must_refuse(http, spec, name, row) for name, row in _bad_rows(spec, rows[0]))
        latencies = [_latency_ms(http, spec, row) for row in rows[:SINGLE_ROWS]]
    return Rehearsal(len(rows), worst, tolerance, refused, round(ready_seconds, 3), round(median(latencies), 3))


@contextmanager
def _server(package: Path, settings: Settings, folder: Path) -> Iterator[httpx.Client]:
    """Run ``nightshift serve`` on a free loopback port, with a prediction log of its own."""
    port = _free_port()
    log, scratch = folder / "rehearsal.log", folder / ".rehearsal.tmp"
    env = {**os.environ, "NIGHTSHIFT_STATE": str(scratch), "NIGHTSHIFT_SPECS": str(settings.specs)}
    command = [sys.executable, "-m", "nightshift.cli", "serve", "--port", str(port), "--package", str(package)]
    with log.open("wb") as output, httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=ANSWER_SECONDS) as http:
        server = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)  # noqa: S603 - our own list
        try:
            _wait_until_ready(http, server, log)
            yield http
        finally:
            server.terminate()
            try:
                server.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
            shutil.rmtree(scratch, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_ready(http: httpx.Client, server: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            if http.get("/v1/health/ready").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    words = log.read_text(errors="replace")[-2000:]
    state = "ended" if server.poll() is not None else f"was not ready after {READY_SECONDS:.0f} s"
    raise RehearsalError(f"the server {state} with this package. It said:\n{words}")


def _ask(http: httpx.Client, spec: ModelSpec, rows: Sequence[dict[str, Any]]) -> list[float]:
    answer = http.post(f"/v1/models/{spec.name}/predict", json={"rows": list(rows)})
    if answer.is_error:
        raise RehearsalError(f"the server refuses golden rows: {answer.status_code} {answer.text[:1000]}")
    predictions = answer.json()["predictions"]
    return [row["probability"] if row.get("probability") is not None else row["prediction"] for row in predictions]


def _bad_rows(spec: ModelSpec, good: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield rows that every contract refuses, with what is wrong with them."""
    first = next(iter(spec.features))
    yield f"{first} is missing", {name: value for name, value in good.items() if name != first}
    yield "an unknown column", {**good, "not_a_column_of_this_model": 1}
    for name in spec.features:
        yield f"{name} is a list", {**good, name: [1, 2]}


def _must_refuse(http: httpx.Client, spec: ModelSpec, what: str, row: dict[str, Any]) -> bool:
    answer = http.post(f"/v1/models/{spec.name}/predict", json={"row": row})
    if answer.status_code != httpx.codes.UNPROCESSABLE_ENTITY:
        raise RehearsalError(
            f"a bad row ({what}) was answered with {answer.status_code}, expected 422: {answer.text[:300]}"
        )
    return True


def _latency_ms(http: httpx.Client, spec: ModelSpec, row: dict[str, Any]) -> float:
    began = time.perf_counter()
    http.post(f"/v1/models/{spec.name}/predict", json={"row": row})
    return (time.perf_counter() - began) * 1000
