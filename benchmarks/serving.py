"""How many flights a second, with every check on: beside a bare echo, MLflow's scoring server and MLServer.

    .venv/bin/python benchmarks/serving.py [--seconds 4] [--rounds 3] [--shapes 1x8,100x8] [--servers echo,append,fsync]
    .venv/bin/python benchmarks/serving.py --mlserver PYTHON     where PYTHON has mlserver and mlserver-xgboost
    .venv/bin/python benchmarks/serving.py --soak 600            memory at full load
    .venv/bin/python benchmarks/serving.py --starts 5            from the command to the first answer

The same booster (flight_delay's declaration, trained on real flights of
January and February) behind each; one worker, one process of callers on
loopback. ``append`` and ``fsync`` are Nightshift with the contract checked and
every answer remembered first, ``arrow`` is ``fsync`` asked in Arrow IPC; the
peers check shapes only and remember nothing, and are sent numbers where
Nightshift is sent names. Servers take turns, round by round, so that what else
the machine does falls on all.
"""

import argparse
import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from shutil import copytree
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from uuid import uuid4

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))  # the callers are the tests' own

import numpy as np  # noqa: E402 - after the path
import pandas as pd  # noqa: E402 - after the path
import psutil  # noqa: E402
import pyarrow as pa  # noqa: E402
import uvloop  # noqa: E402

from factories.callers import Heard, call, post, round_and_round  # noqa: E402
from nightshift.data.source import load_source  # noqa: E402
from nightshift.data.tables import assemble_live  # noqa: E402
from nightshift.model.package import open_package, write_package  # noqa: E402
from nightshift.model.train import TrainedModel, train  # noqa: E402
from nightshift.pipelines.recipe import recipe  # noqa: E402
from nightshift.profile.contract import Contract  # noqa: E402
from nightshift.profile.profile import Profile  # noqa: E402
from nightshift.serving.wire import ARROW  # noqa: E402
from nightshift.settings import Settings  # noqa: E402
from nightshift.spec import ModelSpec, find_spec  # noqa: E402

READY_SECONDS = 120.0
PREDICT = "/v1/models/flight_delay/predict"
ECHO = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body")
    head = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})
"""


@dataclass(frozen=True)
class Contender:
    """A server: how it is started on a port, and how it is asked for one row or many."""

    name: str
    start: Callable[[int], list[str]]
    ask: Callable[[pd.DataFrame], bytes]
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """One stretch of load: what callers heard, and the processor time and memory it took."""

    heard: Heard
    cpu_us: float
    memory: int


def main() -> None:
    asked = arguments()
    with TemporaryDirectory() as folder:
        spec, rows, model = learn()
        package = pack(Path(folder), spec, rows, model)
        contenders = all_contenders(Path(folder), package, model, asked.mlserver)
        chosen = [contenders[name] for name in asked.servers.split(",") if name in contenders]
        if asked.soak:
            soak(contenders["append"], rows, seconds=asked.soak)
            return
        if asked.starts:
            report_starts([*chosen, never_opened(Path(folder), package)], rows, times=asked.starts)
            return
        for size, connections in asked.shapes:
            results: dict[str, list[Measured]] = {contender.name: [] for contender in chosen}
            for _ in range(asked.rounds):
                for contender in chosen:
                    results[contender.name].append(
                        measure(contender, rows, size=size, connections=connections, seconds=asked.seconds)
                    )
            report(results, size=size, connections=connections)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", default="echo,append,fsync,arrow,mlflow,mlserver")
    parser.add_argument("--shapes", type=shapes, default="1x8,1x1,100x8,1000x4", help="rows a request x connections")
    parser.add_argument("--mlserver", help="a Python that has mlserver and mlserver-xgboost")
    parser.add_argument("--soak", type=float, default=0, help="only this: so many seconds at full load")
    parser.add_argument("--starts", type=int, default=0, help="only this: how long each takes to start, so many times")
    return parser.parse_args()


def shapes(text: str) -> list[tuple[int, int]]:
    """Return (rows a request, connections) of each stretch: ``1x8,100x8`` is two."""
    return [(int(size), int(connections)) for size, _, connections in (one.partition("x") for one in text.split(","))]


def learn() -> tuple[ModelSpec, pd.DataFrame, TrainedModel]:
    """Return the declaration, flights to ask about, and a model of the weeks before."""
    spec = find_spec(PROJECT / "include" / "specs", "flight_delay")
    source = load_source(spec, PROJECT / "include" / "sources", PROJECT)
    how = recipe(spec, Settings.load(project=PROJECT))
    start, end = datetime(2013, 1, 15, tzinfo=UTC), datetime(2013, 3, 5, tzinfo=UTC)
    rows = assemble_live(source, spec, how, start=start, end=end, lookback=timedelta(days=14))
    known = rows.dropna(subset=[spec.label.column])
    cut, asked_from = known[spec.time.column].quantile(0.8), datetime(2013, 3, 1, tzinfo=UTC)
    before = known[known[spec.time.column] < asked_from]
    model = train(before[before[spec.time.column] < cut], before[before[spec.time.column] >= cut], spec)
    return spec, rows, model


def pack(folder: Path, spec: ModelSpec, rows: pd.DataFrame, model: TrainedModel) -> Path:
    """Write the package that is served; its contract is that of all rows, so that each takes the usual way."""
    profile, known = Profile.of(rows, spec.kinds), rows.dropna(subset=[spec.label.column])
    write_package(
        folder / "package",
        model,
        spec,
        profile=profile.to_json(),
        contract=Contract.derive(profile, spec.features).to_json(),
        golden=known[-1000:],
        earlier=known[:-1000],
        lock=PROJECT / "requirements.txt",
        lineage_digest="0" * 64,
    )
    open_package(folder / "package").warm()  # the first opening of a package is a ceremony of its own
    return folder / "package"


def all_contenders(folder: Path, package: Path, model: TrainedModel, mlserver: str | None) -> dict[str, Contender]:
    (folder / "echo.py").write_text(ECHO)
    served = open_package(package)
    found = [
        Contender("echo", lambda port: uvicorn(folder, port), lambda rows: ask_nightshift(served, rows)),
        *(
            Contender(
                name,
                partial(nightshift, package),
                partial(ask, served),
                {**own_state(folder), "NIGHTSHIFT_LOG_FSYNC": sync},
            )
            for name, sync, ask in (
                ("append", "interval", ask_nightshift),
                ("fsync", "answer", ask_nightshift),
                ("arrow", "answer", ask_in_arrow),
            )
        ),
        Contender(
            "mlflow",
            for_mlflow(folder, model),
            lambda rows: ask_mlflow(served, rows),
            {"MLFLOW_DISABLE_TELEMETRY": "true"},
        ),
    ]
    if mlserver:
        found.append(
            Contender("mlserver", for_mlserver(folder, model, mlserver), lambda rows: ask_mlserver(served, rows))
        )
    return {contender.name: contender for contender in found}


def never_opened(folder: Path, package: Path) -> Contender:
    """Return a Nightshift whose package is a new copy each time, so that it is proven in a process of its own first."""

    def start(port: int) -> list[str]:
        return nightshift(Path(copytree(package, folder / f"never-opened-{uuid4().hex}")), port)

    return Contender("never opened", start, partial(ask_nightshift, None), own_state(folder))


def nightshift(package: Path, port: int) -> list[str]:
    return [sys.executable, "-m", "nightshift.cli", "serve", "--package", str(package), "--port", str(port)]


def own_state(folder: Path) -> dict[str, str]:
    return {"NIGHTSHIFT_PROJECT": str(PROJECT), "NIGHTSHIFT_STATE": str(folder / "state")}


def uvicorn(folder: Path, port: int) -> list[str]:
    options = ["--port", str(port), "--app-dir", str(folder), "--log-level", "warning", "--no-access-log"]
    options += ["--lifespan", "off"]
    return [sys.executable, "-m", "uvicorn", "echo:app", *options]


def for_mlflow(folder: Path, model: TrainedModel) -> Callable[[int], list[str]]:
    """Save the booster as MLflow keeps one, and return how its scoring server is started."""
    import mlflow.xgboost

    mlflow.xgboost.save_model(model.booster, folder / "mlflow")
    serve = [sys.executable, "-m", "mlflow", "models", "serve", "-m", str(folder / "mlflow"), "--env-manager", "local"]
    return lambda port: [*serve, "--workers", "1", "--port", str(port)]


def for_mlserver(folder: Path, model: TrainedModel, python: str) -> Callable[[int], list[str]]:
    """Lay the booster out as MLServer wants it, and return how it is started."""
    plain = model.booster.copy()
    plain.feature_names = plain.feature_types = None
    home = folder / "mlserver"
    home.mkdir()
    plain.save_model(home / "model.json")
    (home / "model-settings.json").write_text(
        json.dumps(
            {"name": "m", "implementation": "mlserver_xgboost.XGBoostModel", "parameters": {"uri": "./model.json"}}
        )
    )

    def start(port: int) -> list[str]:
        settings = {
            "http_port": port,
            "grpc_port": port + 1,
            "metrics_port": port + 2,
            "parallel_workers": 0,
            "debug": False,
        }
        (home / "settings.json").write_text(json.dumps(settings))
        return [str(Path(python).parent / "mlserver"), "start", str(home)]

    return start


def ask_nightshift(_served: Any, rows: pd.DataFrame) -> bytes:
    listed = rows.to_json(orient="records", date_format="iso", date_unit="us")
    body = f'{{"row":{listed[1:-1]}}}' if len(rows) == 1 else f'{{"rows":{listed}}}'
    return post(PREDICT, body.encode())


def ask_in_arrow(_served: Any, rows: pd.DataFrame) -> bytes:
    table, sink = pa.Table.from_pandas(rows, preserve_index=False), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return post(PREDICT, sink.getvalue().to_pybytes(), headers={"content-type": ARROW.decode()})


def ask_mlflow(served: Any, rows: pd.DataFrame) -> bytes:
    data = np.nan_to_num(served.encode(rows)).tolist()  # it refuses nulls
    split = {"columns": list(served.columns), "data": data}
    return post("/invocations", json.dumps({"dataframe_split": split}).encode())


def ask_mlserver(served: Any, rows: pd.DataFrame) -> bytes:
    matrix = np.nan_to_num(served.encode(rows))  # NaN is no JSON
    tensor = {"name": "rows", "shape": list(matrix.shape), "datatype": "FP32", "data": matrix.ravel().tolist()}
    return post("/v2/models/m/infer", json.dumps({"inputs": [tensor]}).encode())


def requests_of(contender: Contender, rows: pd.DataFrame, size: int) -> list[bytes]:
    asked = rows.drop(columns=["late", "known_at"], errors="ignore")
    return [contender.ask(asked.iloc[at : at + size]) for at in range(0, min(len(asked) - size, 400 * size), size)][
        :400
    ]


def measure(contender: Contender, rows: pd.DataFrame, *, size: int, connections: int, seconds: float) -> Measured:
    requests = requests_of(contender, rows, size)
    with started(contender, requests[0]) as (server, port):
        warm_up(contender, rows, port)
        drive(port, requests, connections=connections, seconds=1)
        before = cpu_seconds(server)
        heard = drive(port, requests, connections=connections, seconds=seconds)
        spent = cpu_seconds(server) - before
        if set(heard.statuses) != {200}:
            raise SystemExit(f"{contender.name} answered {dict(heard.statuses)}; nothing was measured")
        return Measured(heard, spent / len(heard.seconds) * 1e6, memory(server))


def warm_up(contender: Contender, rows: pd.DataFrame, port: int) -> None:
    """Wait until nothing is loaded beside the answers any more: Nightshift loads XGBoost for many rows meanwhile."""
    drive(port, requests_of(contender, rows, 300)[:2], connections=1, seconds=0.5)


def drive(port: int, requests: Sequence[bytes], *, connections: int, seconds: float) -> Heard:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        following = round_and_round(requests, seconds=seconds)
        return runner.run(call("127.0.0.1", port, following, connections=connections))


@contextmanager
def started(contender: Contender, request: bytes) -> Iterator[tuple[psutil.Process, int]]:
    """Run a contender until it answers ``request`` rightly, and end it with all its children."""
    port = free_port()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path, **contender.env}
    server = psutil.Popen(contender.start(port), env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.perf_counter() + READY_SECONDS
        while not answers(port, request):
            if server.poll() is not None or time.perf_counter() > end:
                raise SystemExit(f"{contender.name} did not start or refuses: {' '.join(contender.start(port))}")
            time.sleep(0.01)
        yield server, port
    finally:
        family = [server]
        with suppress(psutil.NoSuchProcess):
            family += server.children(recursive=True)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
        psutil.wait_procs(family, timeout=15)


def answers(port: int, request: bytes) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as line:
            line.sendall(request)
            return line.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def cpu_seconds(server: psutil.Process) -> float:
    times = [process.cpu_times() for process in (server, *server.children(recursive=True))]
    return sum(one.user + one.system for one in times)


def memory(server: psutil.Process) -> int:
    return sum(process.memory_info().rss for process in (server, *server.children(recursive=True)))


def report(results: dict[str, list[Measured]], *, size: int, connections: int) -> None:
    """Print one table: medians over the rounds, and ratios to the echo of the same round."""
    print(f"\n{size} row{'s' if size > 1 else ''} a request, {connections} connection{'s' if connections > 1 else ''}")
    print(
        f"{'':10}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}{'MB':>6}{'of echo':>9}{'CPU/echo':>10}"
        + "   least – most of echo"
    )
    echo = results.get("echo", [])
    for name, rounds in results.items():
        shares = [one.heard.per_second / base.heard.per_second for one, base in zip(rounds, echo, strict=False)]
        costs = [one.cpu_us / base.cpu_us for one, base in zip(rounds, echo, strict=False)]
        print(
            f"{name:10}{median(one.heard.per_second for one in rounds):12,.0f}"
            f"{median(one.heard.percentile(50) for one in rounds) * 1e3:9.2f}"
            f"{median(one.heard.percentile(99) for one in rounds) * 1e3:9.1f}"
            f"{median(one.cpu_us for one in rounds):9,.0f}{median(one.memory for one in rounds) / 1e6:6.0f}"
            + (f"{median(shares):9.0%}{median(costs):9.1f}x" if echo else "")
            + (f"   {min(shares):.0%} – {max(shares):.0%}" if echo and len(shares) > 1 else "")
        )


def report_starts(contenders: Sequence[Contender], rows: pd.DataFrame, *, times: int) -> None:
    """Print the seconds from the command to the first right answer to one row, servers taking turns."""
    seconds: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for _ in range(times):
        for contender in contenders:
            request = requests_of(contender, rows, 1)[0]
            began = time.perf_counter()
            with started(contender, request):
                seconds[contender.name].append(time.perf_counter() - began)
    print(f"\nseconds from the command to the first answer, {times} starts each: median, least – most")
    for name, each in seconds.items():
        print(f"{name:13}{median(each):8.2f}   {min(each):.2f} – {max(each):.2f}")


def soak(contender: Contender, rows: pd.DataFrame, *, seconds: float) -> None:
    """Print the memory of a server every tenth of a long stretch at full load."""
    requests = requests_of(contender, rows, 1)
    with started(contender, requests[0]) as (server, port):
        warm_up(contender, rows, port)
        drive(port, requests, connections=8, seconds=15)
        first = memory(server)
        for part in range(1, 11):
            heard = drive(port, requests, connections=8, seconds=seconds / 10)
            grown = memory(server) - first
            print(f"{part * seconds / 10:6.0f} s {heard.per_second:8,.0f} requests/s, memory {grown / 1e6:+.1f} MB")


if __name__ == "__main__":
    main()
