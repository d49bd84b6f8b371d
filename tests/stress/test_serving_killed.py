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

KILLS = 200 if os.environ.get("NIGHTSHIFT_TEST_LONG") else 12
CALLERS = 4
ANSWERS_MIN = 50
PATIENCE_SECONDS = 20.0
PREDICT = "/v1/models/rides/predict"


@pytest.mark.timeout(60 + 30 * KILLS)
def test_no_kill_loses_an_acknowledged_prediction_or_invents_one(tmp_path: Path) -> None:
    server = Server(tmp_path, a_package(tmp_path / "package"))
    chance = random.Random(5)
    asked, acknowledged, starts = set(), {}, []
    for life in range(KILLS + 1):
        starts.append(server.start())
        rows = [{**row, "ride_id": f"{life}-{number}"} for number, row in enumerate(callers_rows(400))]
        asked |= {row["ride_id"] for row in rows}
        kill_after = chance.randint(ANSWERS_MIN, 600) if life < KILLS else None
        heard, answers = asyncio.run(live(server, rows, kill_after=kill_after))
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
    assert len(acknowledged) >= ANSWERS_MIN * KILLS
    assert max(starts[1:]) < 5 * max(1.0, os.getloadavg()[0])


async def live(
    server: Server, rows: list[dict[str, object]], *, kill_after: int | None
) -> tuple[Heard, dict[str, float]]:
    """Call the server with single rows and small batches; return what was acknowledged.

    It is killed once ``kill_after`` predictions were, however long a busy machine takes for that.
    """
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
            round_and_round(requests, seconds=1.0 if kill_after is None else PATIENCE_SECONDS),
            connections=CALLERS,
            hear=hear,
        )
    )
    if kill_after is not None:
        while len(answers) < kill_after and not calling.done():
            await asyncio.sleep(0.005)
        server.kill()
    return await calling, answers
