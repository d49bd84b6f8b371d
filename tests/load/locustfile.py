"""What callers do: mostly single rows, now and then a batch, now and then a row that must be refused.

Run by ``test_serving_load.py``, or by hand against any server that serves ``rides``::

    locust -f tests/load/locustfile.py --host http://127.0.0.1:8000
"""

import json
import random
from typing import Any

from locust import FastHttpUser, constant_throughput, task

from factories.serving import ROW, callers_rows

PREDICT = "/v1/models/rides/predict"
HEADERS = {"content-type": "application/json"}
SINGLES = [json.dumps({"row": row}).encode() for row in callers_rows(200)]
BATCHES = [json.dumps({"rows": callers_rows(100, seed=seed)}).encode() for seed in range(10)]
REFUSED = json.dumps({"row": {**ROW, "speed": -1}}).encode()


class Caller(FastHttpUser):
    """Asks fifty times a second, whatever the answers take, as long as they come."""

    wait_time = constant_throughput(50)

    @task(90)
    def ask_one(self) -> None:
        self._ask(random.choice(SINGLES), 200, "one row")

    @task(6)
    def ask_many(self) -> None:
        self._ask(random.choice(BATCHES), 200, "100 rows")

    @task(4)
    def ask_wrongly(self) -> None:
        self._ask(REFUSED, 422, "a row to refuse")

    def _ask(self, body: bytes, expected: int, name: str) -> None:
        with self.client.post(PREDICT, data=body, headers=HEADERS, name=name, catch_response=True) as answer:
            told: Any = answer
            if told.status_code == expected:
                told.success()
            else:
                told.failure(f"{told.status_code} instead of {expected}: {told.text[:200] if told.text else ''}")
