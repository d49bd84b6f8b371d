"""What Airflow could not do for a moment is asked again; what it refuses is told."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from nightshift.errors import ServiceError
from nightshift.services import airflow_api
from nightshift.services.airflow_api import AirflowApi

LOCKED = {"detail": {"reason": "Database error", "statement": "hidden", "orig_error": "hidden"}}
"""As Airflow says it; the error itself is in its own log only."""
RUN = {"dag_id": "x", "dag_run_id": "manual", "state": "queued", "run_type": "manual", "conf": {}}


@contextmanager
def airflow_that_says(*answers: tuple[int, object]) -> Iterator[AirflowApi]:
    """Run an api-server that lets in whoever comes, and gives these answers in turn, the last one for ever."""
    left = list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            signs_in = self.path == "/auth/token"
            status, content = (201, {"access_token": "t"}) if signs_in else left.pop(0) if len(left) > 1 else left[0]
            body = json.dumps(content, separators=(",", ":")).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with AirflowApi(f"http://127.0.0.1:{server.server_port}", user="a", password="b") as api:
                yield api
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(airflow_api, "BUSY_PAUSES", (0.0, 0.0))


def test_what_a_locked_database_kept_from_being_done_is_asked_again() -> None:
    with airflow_that_says((500, LOCKED), (503, {}), (200, RUN)) as api:
        run = api.trigger("x", conf={})

    assert run.run_id == "manual"


@pytest.mark.parametrize(("status", "content"), [(500, LOCKED), (500, {"detail": "odd"}), (409, {"detail": "there"})])
def test_what_it_goes_on_refusing_is_told_in_its_words(status: int, content: object) -> None:
    with airflow_that_says((status, content)) as api, pytest.raises(ServiceError, match=f"x/dagRuns: {status} "):
        api.trigger("x", conf={})


def test_another_failure_is_not_asked_again() -> None:
    with airflow_that_says((500, {"detail": "odd"}), (200, RUN)) as api, pytest.raises(ServiceError, match="odd"):
        api.trigger("x", conf={})
