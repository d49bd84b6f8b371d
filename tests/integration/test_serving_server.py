"""The real server on a real socket: what a newcomer's first curl gets, and what rude callers get."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.error import HTTPError

import httpx
import pytest

from factories.callers import call, post, round_and_round
from factories.servers import Server, served
from factories.serving import ROW, a_package, callers_rows, key_file
from nightshift.serving.access import Role
from nightshift.serving.run import GRACE_SECONDS

PREDICT = "/v1/models/rides/predict"
ESTABLISHED = "01"
"""As the kernel's table of connections has it."""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_package(tmp_path_factory.mktemp("serving") / "package")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, package: Path) -> Iterator[Server]:
    with served(tmp_path_factory.mktemp("server"), package) as server:
        yield server


def say(server: Server, *parts: bytes, pause: float = 0.0, seconds: float = 5.0) -> bytes:
    """Send raw bytes and return all that comes back until the server closes or is silent for ``seconds``."""
    heard = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=seconds) as line:
        for part in parts:
            line.sendall(part)
            time.sleep(pause)
        with suppress(TimeoutError, ConnectionResetError):
            while got := line.recv(65536):
                heard += got
    return heard


def status(heard: bytes) -> int:
    return int(heard[9:12]) if heard.startswith(b"HTTP/1.1 ") else 0


def test_a_first_curl_gets_an_answer_and_then_a_clear_refusal(server: Server) -> None:
    def curl(row: dict[str, object]) -> tuple[str, dict[str, object]]:
        said = subprocess.run(
            ["curl", "-s", "-w", "%{stderr}%{http_code}", "--json", json.dumps({"row": row}), server.url + PREDICT],
            capture_output=True,
            text=True,
            check=True,
        )
        return said.stderr, json.loads(said.stdout)

    answered, refused = curl(ROW), curl({**ROW, "speed": 900})

    assert answered[0] == "200"
    assert 0 < answered[1]["predictions"][0]["probability"] < 1  # type: ignore[index]  # JSON
    assert refused[0] == "422"
    assert "the row breaks the contract" in str(refused[1]["error"])


def test_the_client_in_the_readme_gets_its_answers(server: Server) -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text()
    client: dict[str, Any] = {}
    exec(readme.partition("```python\n")[2].partition("```")[0], client)

    answers = client["ask"]("rides", [ROW, ROW], at=server.url)
    with pytest.raises(HTTPError) as refused:
        client["ask"]("rides", [{**ROW, "speed": 900}], at=server.url)

    assert [0 < one["probability"] < 1 for one in answers] == [True, True]
    assert refused.value.code == 422
    assert json.loads(refused.value.read())["problems"][0]["column"] == "speed"


def test_it_is_ready_within_three_seconds_and_answers_at_once(tmp_path: Path, package: Path) -> None:
    server = Server(tmp_path, package)
    server.start()
    server.stop()  # compiled and warm in the kernel's memory, as after a first start

    seconds = server.start()
    answer = httpx.post(server.url + PREDICT, json={"row": ROW})
    server.stop()

    assert answer.status_code == 200
    assert seconds < 3 * slowness()


def slowness() -> float:
    """Return how many times slower than alone this machine is now: other programs take their share."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) * 2)


def test_a_body_may_come_in_pieces_without_a_length(server: Server) -> None:
    body = json.dumps({"rows": callers_rows(50)}).encode()

    answer = httpx.post(
        server.url + PREDICT,
        content=(body[at : at + 1000] for at in range(0, len(body), 1000)),
        headers={"content-type": "application/json"},
    )

    assert answer.status_code == 200
    assert len(answer.json()["predictions"]) == 50


def test_requests_sent_in_one_go_are_answered_in_their_order(server: Server) -> None:
    requests = [post(PREDICT, json.dumps({"row": {**ROW, "zone": zone}}).encode()) for zone in ("east", "south", "ZZ")]
    last = requests[-1].replace(b"\r\ncontent-type", b"\r\nconnection: close\r\ncontent-type")

    heard = say(server, b"".join([*requests[:-1], last]))

    answers = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in heard.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert [len(answer["predictions"][0]["problems"]) for answer in answers] == [0, 0, 1]


HEAD = b"POST " + PREDICT.encode() + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"BREW /v1/models HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"DELETE " + PREDICT.encode() + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET " + PREDICT.encode() + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET /../../etc/passwd HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        HEAD + b"content-length: -1\r\n\r\n",
        HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        HEAD + b"transfer-encoding: chunked\r\n\r\nZZ\r\n\r\n",
        HEAD + b"content-length: 99999999999\r\n\r\n{",
        HEAD + b"content-length: 2\r\ncontent-type: text/xml\r\n\r\n{}",
        HEAD + b"content-length: 2\r\ncontent-encoding: gzip\r\n\r\n\x1f\x8b",
        HEAD + b"content-length: 0\r\n\r\n",
        HEAD + b"x-request-id: \r\ncontent-length: 2\r\n\r\n{}",
        HEAD + b"bad header\r\n\r\n",
        HEAD + b" folded: x\r\n\r\n",
        b"POST /v1/models/rides/predict?x=1 HTTP/1.0\r\ncontent-length: 2\r\n\r\n{}",
    ],
)
def test_what_is_no_proper_request_gets_a_4xx_and_the_server_lives(server: Server, request_bytes: bytes) -> None:
    heard = say(server, request_bytes)

    assert 400 <= status(heard) < 500, heard[:200]
    assert httpx.get(server.url + "/v1/health/live").status_code == 200


def test_a_head_request_is_answered(server: Server) -> None:
    assert status(say(server, b"HEAD /v1/health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")) == 200


def test_a_caller_who_waits_for_a_go_ahead_gets_one(server: Server) -> None:
    body = json.dumps({"row": ROW}).encode()
    head = HEAD + b"content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(body)

    heard = say(server, head, body, pause=0.2)

    assert heard.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")
    assert b"HTTP/1.1 200 OK" in heard


def test_a_head_without_end_is_cut_before_it_costs_memory(server: Server) -> None:
    before = server.memory()

    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line, pytest.raises(ConnectionError):  # noqa: PT012 - the loop is the act
        line.sendall(b"GET / HTTP/1.1\r\n")
        for number in range(100_000):
            line.sendall(b"x-%d: " % number + b"y" * 1_000 + b"\r\n")

    assert server.memory() - before < 20_000_000


def test_a_body_too_large_is_refused_before_it_is_whole(server: Server) -> None:
    before = server.memory()
    head = HEAD + b"content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n"
    piece = b"10000\r\n" + b" " * 65536 + b"\r\n"

    heard = b""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as line:
        with suppress(OSError):
            line.sendall(head)
            for _ in range(1600):  # 100 MiB
                line.sendall(piece)
        line.settimeout(5)
        with suppress(OSError):
            heard = line.recv(65536)

    assert status(heard) in (413, 0)  # the answer may be lost when the line is cut while still sending
    assert heard.count(b"connection: close") == bool(heard)
    assert server.memory() - before < 60_000_000


def test_a_body_declared_too_large_is_refused_and_the_line_closed(server: Server) -> None:
    heard = say(server, HEAD.replace(b"connection: close", b"x: y") + b"content-length: 99999999\r\n\r\n", b"{" * 1000)

    assert status(heard) == 413
    assert json.loads(heard.partition(b"\r\n\r\n")[2])["error"]


def test_slow_callers_are_sent_away_and_do_not_slow_others(server: Server) -> None:
    """Some send a byte a second, some nothing, some never read their answer."""
    requests = [post(PREDICT, json.dumps({"row": ROW}).encode())]
    with ExitStack() as opened:
        address = ("127.0.0.1", server.port)
        deaf = [opened.enter_context(asks_without_reading(server)) for _ in range(2)]
        slow = [opened.enter_context(socket.create_connection(address, timeout=40)) for _ in range(500)]
        for number, line in enumerate(slow):
            line.sendall((b"", HEAD, HEAD + b"content-length: 100\r\n\r\n{")[number % 3])
        opened.enter_context(dribbling([*slow[1::3], *slow[2::3]]))
        began = time.perf_counter()

        heard = asyncio.run(call("127.0.0.1", server.port, round_and_round(requests, seconds=2), connections=2))
        closed = [hears_the_end(line) for line in slow]
        took = time.perf_counter() - began
        cut = [is_cut(server, line) for line in deaf]

    assert set(heard.statuses) == {200}
    assert heard.percentile(99) < 0.2 * slowness()
    assert all(closed)
    assert took < 30 * slowness()
    assert all(cut)


@contextmanager
def dribbling(lines: list[socket.socket]) -> Iterator[None]:
    """Send one more byte each second over every line."""
    enough = Event()

    def dribble() -> None:
        while not enough.wait(1):
            for line in lines:
                with suppress(OSError):
                    line.send(b"a")

    thread = Thread(target=dribble)
    thread.start()
    yield
    enough.set()
    thread.join()


def asks_without_reading(server: Server) -> socket.socket:
    """Return a line over which more large answers are on their way than the kernel holds, and which asks for more."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.settimeout(3)
    line.connect(("127.0.0.1", server.port))
    asked = post(PREDICT, json.dumps({"rows": [{**row, "zone": "ZZ"} for row in callers_rows(10_000)]}).encode())
    with suppress(TimeoutError):
        for _ in range(2):
            line.sendall(asked)
        time.sleep(2)
        line.sendall(post(PREDICT, json.dumps({"row": ROW}).encode()))
    return line


def hears_the_end(line: socket.socket) -> bool:
    """Return whether the server closes the line without a word."""
    with suppress(ConnectionResetError):
        return line.recv(1000) == b""
    return True


def is_cut(server: Server, line: socket.socket, *, seconds: float = 10) -> bool:
    """Return whether the server ends the line; the kernel is asked, for who reads is deaf no more."""
    ours, end = f":{line.getsockname()[1]:04X}", time.perf_counter() + seconds
    while time.perf_counter() < end:
        lines = [one.split() for one in Path(f"/proc/{server.process.pid}/net/tcp").read_text().splitlines()]
        if not any(one[2].endswith(ours) and one[3] == ESTABLISHED for one in lines):
            return True
        time.sleep(0.05)
    return False


def test_a_large_request_does_not_hold_up_small_ones(server: Server) -> None:
    large = [post(PREDICT, json.dumps({"rows": callers_rows(10_000)}).encode())]
    small = [post(PREDICT, json.dumps({"row": ROW}).encode())]

    async def both() -> tuple[object, float]:
        many, few = await asyncio.gather(
            call("127.0.0.1", server.port, round_and_round(large, seconds=2), connections=1),
            call("127.0.0.1", server.port, round_and_round(small, seconds=2), connections=1),
        )
        return many.statuses, few.percentile(90)

    statuses, small_p90 = asyncio.run(both())

    assert set(statuses) == {200}  # type: ignore[call-overload]  # a counter
    assert small_p90 < 0.1 * slowness()


def test_callers_who_leave_before_their_answer_cost_nothing_but_their_record(tmp_path: Path, package: Path) -> None:
    request = post(PREDICT, json.dumps({"row": ROW}).encode())
    with served(tmp_path, package) as server:
        for _ in range(1_000):
            with socket.create_connection(("127.0.0.1", server.port)) as line:
                line.sendall(request)
        answer = httpx.post(server.url + PREDICT, json={"row": ROW})
        kept = server.remembered()

    assert answer.status_code == 200
    assert kept["prediction_id"].is_unique
    assert 1 <= len(kept) <= 1_001
    assert "Traceback" not in server.said


@pytest.mark.parametrize("times", [1, 2])
def test_told_to_stop_it_answers_what_it_began_and_remembers_it_all(tmp_path: Path, package: Path, times: int) -> None:
    acknowledged: list[str] = []

    def hear(_number: int, status: int, body: bytes) -> None:
        acknowledged.extend(one["prediction_id"] for one in json.loads(body)["predictions"])
        assert status == 200

    with served(tmp_path, package) as server:

        async def stop_under_load() -> None:
            requests = [post(PREDICT, json.dumps({"row": ROW}).encode())]
            calling = asyncio.create_task(
                call("127.0.0.1", server.port, round_and_round(requests, seconds=2), connections=4, hear=hear)
            )
            await asyncio.sleep(0.5)
            for _ in range(times):
                server.process.terminate()
                await asyncio.sleep(0.01)
            await calling

        asyncio.run(stop_under_load())
        server.process.wait(GRACE_SECONDS)
        kept = set(server.remembered()["prediction_id"])

    assert len(acknowledged) > 50
    assert set(acknowledged) <= kept
    assert len(acknowledged) == len(set(acknowledged))


def test_a_full_disk_means_no_answer_and_it_recovers_by_itself(tmp_path: Path, package: Path) -> None:
    with served(tmp_path, package) as server:
        httpx.post(server.url + PREDICT, json={"row": ROW}).raise_for_status()
        limit = f"--pid={server.process.pid}"
        subprocess.run(["prlimit", limit, "--fsize=0:unlimited"], check=True)
        refused = httpx.post(server.url + PREDICT, json={"row": ROW})
        ready = httpx.get(server.url + "/v1/health/ready").json()
        subprocess.run(["prlimit", limit, "--fsize=unlimited:unlimited"], check=True)
        time.sleep(0.5)
        recovered = httpx.post(server.url + PREDICT, json={"row": ROW})

        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert ready == {"status": "degraded", "troubles": ["log of rides"], "pinned": {}}
        assert recovered.status_code == 200
        assert len(server.remembered()) == 2


def test_anything_but_loopback_takes_keys(tmp_path: Path, package: Path) -> None:
    command = [sys.executable, "-m", "nightshift.cli", "serve", "--host", "0.0.0.0", "--package", package]

    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert refused.returncode == 1
    assert "NIGHTSHIFT_SERVING_KEYS" in refused.stderr


def test_a_taken_port_is_named(server: Server, package: Path) -> None:
    command = [sys.executable, "-m", "nightshift.cli", "serve", "--port", str(server.port), "--package", package]

    refused = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert refused.returncode == 1
    assert f"127.0.0.1:{server.port}" in refused.stderr


def test_keys_open_the_door_of_the_real_server(tmp_path: Path, package: Path) -> None:
    keys, secret = key_file(tmp_path, Role.PREDICT)

    with served(tmp_path, package, keys=keys) as server:
        without = httpx.post(server.url + PREDICT, json={"row": ROW})
        bearer = {"authorization": f"Bearer {secret.decode()}"}
        with_key = httpx.post(server.url + PREDICT, json={"row": ROW}, headers=bearer)
        reading = httpx.get(server.url + "/v1/models", headers=bearer)
        elsewhere = httpx.get(server.url + "/metrics", headers=bearer)

    statuses = [answer.status_code for answer in (without, with_key, reading, elsewhere)]
    assert statuses == [401, 200, 200, 403]
    assert secret.decode() not in server.said
