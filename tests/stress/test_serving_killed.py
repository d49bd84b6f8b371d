"""Killed again and again under load, the server forgets nothing it answered and remembers nothing nobody asked."""

import asyncio
import json
import os
import random
from pathlib import Path

import pytest

from factories.callers import Heard, call, post, round_and_round
from factories.servers import Server
from factories.serving import a_package, callers_rows

KILLS = int(os.environ.get("NIGHTSHIFT_TEST_KILLS", "12"))
CALLERS = 4
PREDICT = "/v1/models/rides/predict"


@pytest.mark.timeout(60 + 15 * KILLS)
def test_no_kill_loses_an_acknowledged_prediction_or_invents_one(tmp_path: Path) -> None:
    server = Server(tmp_path, a_package(tmp_path / "package"))
    chance = random.Random(5)
    asked, acknowledged, starts = set(), {}, []
    for life in range(KILLS + 1):
        starts.append(server.start())
        rows = [{**row, "ride_id": f"{life}-{number}"} for number, row in enumerate(callers_rows(400))]
        asked |= {row["ride_id"] for row in rows}
        heard, answers = asyncio.run(live(server, rows, seconds=chance.uniform(0.1, 0.8), kill=life < KILLS))
        assert set(heard.statuses) <= {200}
        assert not acknowledged.keys() & answers.keys(), "a prediction id was given twice"
        acknowledged |= answers
    server.stop()

    kept = server.remembered().set_index("prediction_id")
    assert kept.index.is_unique
    assert set(acknowledged) <= set(kept.index), "an acknowledged prediction is missing"
    assert set(kept["key"]) <= asked, "a prediction nobody asked for was invented"
    for name, probability in acknowledged.items():
        assert kept.at[name, "probability"] == probability
    assert len(acknowledged) > 50 * KILLS
    assert max(starts[1:]) < 5 * max(1.0, os.getloadavg()[0])


async def live(
    server: Server, rows: list[dict[str, object]], *, seconds: float, kill: bool
) -> tuple[Heard, dict[str, float]]:
    """Call the server with single rows and small batches until it is killed; return what was acknowledged."""
    answers: dict[str, float] = {}

    def hear(_number: int, _status: int, body: bytes) -> None:
        for one in json.loads(body)["predictions"]:
            answers[one["prediction_id"]] = one["probability"]

    singles = [post(PREDICT, json.dumps({"row": row}).encode()) for row in rows[:200]]
    batches = [post(PREDICT, json.dumps({"rows": rows[at : at + 20]}).encode()) for at in range(200, 400, 20)]
    requests = [request for pair in zip(singles, batches * 20, strict=True) for request in pair]
    calling = asyncio.create_task(
        call(
            "127.0.0.1",
            server.port,
            round_and_round(requests, seconds=seconds + (5 if kill else 0)),
            connections=CALLERS,
            hear=hear,
        )
    )
    if kill:
        await asyncio.sleep(seconds)
        server.kill()
    return await calling, answers
