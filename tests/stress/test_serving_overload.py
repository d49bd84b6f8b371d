"""Past what it can do the server is slower or says so; it does not collapse, and it is soon itself again."""

import asyncio
import json
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from factories.callers import call, post, round_and_round
from factories.servers import served
from factories.serving import ROW, a_package, callers_rows
from nightshift.predictions.commit import Frame, GroupCommit
from nightshift.predictions.segments import SegmentWriter
from nightshift.serving.access import Access
from nightshift.serving.loader import Champions, open_live
from nightshift.serving.metrics import Metrics
from nightshift.serving.predict import Predict
from nightshift.serving.wire import Message

PREDICT = "/v1/models/rides/predict"
GROWTH_MAX = 300 * 1024 * 1024


def test_a_thousand_callers_at_once_are_answered_or_told_to_come_again_and_then_it_is_itself(tmp_path: Path) -> None:
    singles = [post(PREDICT, json.dumps({"row": row}).encode()) for row in callers_rows(100)]
    batches = [post(PREDICT, json.dumps({"rows": callers_rows(1_000)}).encode())]
    with served(tmp_path, a_package(tmp_path / "package")) as server:
        usual = asyncio.run(call("127.0.0.1", server.port, round_and_round(singles, seconds=2), connections=4))
        before = server.memory()

        many = asyncio.run(call("127.0.0.1", server.port, round_and_round(singles, seconds=4), connections=1_000))
        large = asyncio.run(call("127.0.0.1", server.port, round_and_round(batches, seconds=4), connections=50))
        growth = server.memory() - before
        time.sleep(1)
        again = asyncio.run(call("127.0.0.1", server.port, round_and_round(singles, seconds=2), connections=4))

    assert set(many.statuses) | set(large.statuses) <= {200, 503}
    assert many.broken + large.broken == 0
    assert many.statuses[200] > 100
    assert large.statuses[200] > 10
    assert growth < GROWTH_MAX
    assert set(again.statuses) == {200}
    assert again.percentile(50) < 5 * usual.percentile(50)


class StuckWriter(SegmentWriter):
    """A real writer on a disk that stands still until it is told to go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name="stuck")
        self.go = threading.Event()

    def write(self, frames: Sequence[Frame]) -> None:
        assert self.go.wait(30)
        super().write(frames)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_while_the_disk_stands_still_callers_are_told_to_come_again_and_nothing_piles_up(tmp_path: Path) -> None:
    writer = StuckWriter(tmp_path / "log")
    written = GroupCommit(writer, pending_bytes_max=20_000)
    champions = Champions()
    champions.put(open_live(a_package(tmp_path / "package")))
    predict = Predict(champions, lambda _model: written, Metrics(), Access())
    body = json.dumps({"row": ROW}).encode()

    waiting = [asyncio.create_task(ask(predict, body)) for _ in range(500)]
    await asyncio.sleep(0.5)
    early, late = [task for task in waiting if task.done()], [task for task in waiting if not task.done()]
    refused = [await task for task in early]
    pending = written.pending_bytes
    writer.go.set()
    answered = [await task for task in late]
    afterwards = await ask(predict, body)

    assert {status for status, _ in refused} == {503}
    assert all(b"retry-after" in headers for _, headers in refused)
    assert pending < 21_000
    assert len(early) > 300
    assert {status for status, _ in answered} == {200}
    assert afterwards[0] == 200
    await written.close()
    await predict.close()


async def ask(predict: Predict, body: bytes) -> tuple[int, dict[bytes, bytes]]:
    """Ask without a socket; return the status and the headers of the answer."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await predict("rides", {"headers": [(b"content-type", b"application/json")]}, receive, send)
    return sent[0]["status"], dict(sent[0]["headers"])
