"""A house of small servers in the place of the real ones: started once, found again, moved together, ended whole."""

import json
import os
import socket
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from nightshift.errors import ServiceError
from nightshift.services import house as rooms
from nightshift.services.house import AIRFLOW_PARTS, NAMES, House, prepare_airflow, sign_in
from nightshift.services.processes import stop
from nightshift.settings import Settings

SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

parts = ("metadatabase", "scheduler", "dag_processor", "triggerer")

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = dict(os.environ) if self.path == "/env" else {part: {"status": "healthy"} for part in parts}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""
IDLE = "import signal\nsignal.pause()"


class SmallHouse(House):
    """The real house, but each service is a few lines of Python."""

    def _command(self, name: str, urls: Mapping[str, str]) -> list[str]:
        return self._server(urls[name]) if name in urls else [sys.executable, "-c", IDLE]

    def _mlflow(self, url: str) -> list[str]:
        return self._server(url)

    def _server(self, url: str) -> list[str]:
        return [sys.executable, "-c", SERVER, url.rpartition(":")[2]]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SmallHouse]:
    ports = {}
    for name in ("airflow", "mlflow", "serving"):
        with socket.create_server(("127.0.0.1", 0)) as probe:
            ports[name] = probe.getsockname()[1]
    monkeypatch.setattr(rooms, "PORTS", ports)
    monkeypatch.setattr(rooms, "prepare_airflow", lambda *_args, **_named: None)
    house = SmallHouse(Settings.load(project=tmp_path, state="state"))
    yield house
    with suppress(ServiceError):  # a test may have damaged the note of what runs; nothing runs then
        stop(house.processes().values(), seconds=0)


def told(url: str | None) -> dict[str, str]:
    """Return the environment of the server at ``url``."""
    answer: dict[str, str] = httpx.get(f"{url}/env").json()
    return answer


def pids(house: House) -> dict[str, int]:
    return {name: process.pid for name, process in house.processes().items()}


# ---------------------------------------------------------------- up, down


def test_a_fresh_house_is_down(house: SmallHouse) -> None:
    assert house.status() == {name: {"up": False, "answers": False, "url": None} for name in NAMES}
    assert house.down() == []


def test_all_services_start_and_answer(house: SmallHouse) -> None:
    house.up()

    assert all(service["up"] for service in house.status().values())
    assert {name for name, service in house.status().items() if service["url"]} == {"airflow", "mlflow", "serving"}


def test_starting_what_runs_changes_nothing(house: SmallHouse) -> None:
    house.up()
    before = pids(house)

    SmallHouse(house.settings).up()

    assert pids(house) == before


def test_what_runs_with_other_settings_is_told_and_left(house: SmallHouse) -> None:
    house.up()
    before, said = pids(house), []

    SmallHouse(house.settings.model_copy(update={"serving_keys": "/keys", "serving_shadow": 0.5})).up(say=said.append)

    assert pids(house) == before
    assert len(said) == len(before)
    assert any(
        one == "serving runs already, with another NIGHTSHIFT_SERVING_KEYS, NIGHTSHIFT_SERVING_SHADOW; "
        "for the new one `make down` first"
        for one in said
    )


def test_a_service_that_died_is_started_and_the_others_are_left(house: SmallHouse) -> None:
    house.up()
    before, address = pids(house), house.status()["serving"]["url"]
    stop([house.processes()["serving"]])

    house.up()

    after = pids(house)
    assert {name for name in before if before[name] != after[name]} == {"serving"}
    assert house.status()["serving"]["url"] == address


def test_all_move_together_when_one_lost_its_port(house: SmallHouse) -> None:
    house.up()
    before, old = pids(house), house.status()["airflow"]["url"]
    stop([house.processes()["airflow"]])
    said: list[str] = []

    with socket.create_server(("127.0.0.1", int(old.rpartition(":")[2]))):
        house.up(say=said.append)

    new = house.status()["airflow"]["url"]
    assert new != old
    assert [one for one in said if "runs already" in one] == []
    assert len(said) == 1
    assert not set(before.values()) & set(pids(house).values()), "whoever lived on would know the old address"
    assert {told(service["url"])["NIGHTSHIFT_AIRFLOW"] for service in house.status().values() if service["url"]} == {
        new
    }


def test_a_port_that_is_taken_is_replaced_and_told(house: SmallHouse) -> None:
    said: list[str] = []
    port = rooms.PORTS["serving"]

    with socket.create_server(("127.0.0.1", port)):
        house.up(say=said.append)

    assert f"port {port} is taken by another program; serving listens on" in said[0]
    assert told(house.status()["serving"]["url"])["NIGHTSHIFT_SERVING"] == house.status()["serving"]["url"]


def test_down_ends_everything_and_says_what_ran(house: SmallHouse) -> None:
    started = house.up()

    ended = house.down()

    assert sorted(ended) == sorted(NAMES)
    assert not any(process.is_up for process in started.values())
    assert house.down() == []


def test_a_service_that_cannot_start_is_told_with_its_words_and_down_ends_the_rest(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SmallHouse, "_server", lambda *_: [sys.executable, "-c", "raise SystemExit('no disk left')"])

    with pytest.raises(ServiceError, match=r"ended while starting. The end of .*log:\n.*no disk left"):
        house.up()

    house.down()
    assert not any(service["up"] for service in house.status().values())


def test_a_second_command_waits_its_turn_and_says_for_what(house: SmallHouse) -> None:
    impatient = SmallHouse(house.settings)
    impatient._lock.timeout = 0.05

    with house._lock:
        for command in (impatient.up, impatient.down):
            with pytest.raises(ServiceError, match=r"another `make up` or `make down` holds .*services.lock"):
                command()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"services": 1}', '{"services": {"mlflow": {"pid": 1}}}'])
def test_a_damaged_note_of_what_runs_is_an_error_that_says_what_to_do(house: SmallHouse, content: str) -> None:
    house.settings.state.mkdir()
    (house.settings.state / "services.json").write_text(content)

    with pytest.raises(ServiceError, match=r"services\.json is damaged .*; end the services, then remove the file"):
        house.down()


# ---------------------------------------------------------------- what services are told


def test_services_are_told_of_each_other_and_of_nothing_a_person_set_for_airflow(
    house: SmallHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    monkeypatch.setenv("NIGHTSHIFT_MLFLOW", "http://elsewhere")
    monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", "json://127.0.0.1")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    house.up()
    addresses = {name: service["url"] for name, service in house.status().items() if service["url"]}

    environment = told(addresses["serving"])

    assert {name: environment[f"NIGHTSHIFT_{name.upper()}"] for name in addresses} == addresses
    assert environment["AIRFLOW_HOME"] == str(house.airflow_home)
    assert environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"{addresses['airflow']}/execution/"
    assert environment["NIGHTSHIFT_CHANNEL_OPS"] == "json://127.0.0.1"
    assert not {"AIRFLOW__CORE__EXECUTOR", "PYTHONDONTWRITEBYTECODE"} & environment.keys()


def test_services_have_the_settings_of_who_started_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: dict[str, Any] = {
        "project": tmp_path, "state": tmp_path / "s", "specs": tmp_path / "models", "log_fsync": "interval",
        "serving_poll_seconds": 7.5, "serving_keys": "/keys", "ledger": "sqlite:////x.db", "data_remote": "s3://x",
    }  # fmt: skip
    settings = Settings.load(**changed)
    environment = SmallHouse(settings)._environment(dict.fromkeys(rooms.PORTS, "http://127.0.0.1:1"))
    for name in [name for name in os.environ if name.startswith("NIGHTSHIFT_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        if name.startswith("NIGHTSHIFT_"):
            monkeypatch.setenv(name, value)

    there = Settings.load()

    here = settings.model_dump(exclude=set(rooms.PORTS))
    assert there.model_dump(exclude=set(rooms.PORTS)) == here


# ---------------------------------------------------------------- Airflow's first steps


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder in which ``python -m airflow`` is a program that fails if the environment says so."""
    package = tmp_path / "project" / "airflow"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text("import os, sys\nsys.exit(os.environ.get('FAIL', 0))")
    return package.parent


def test_secrets_are_made_once_and_are_for_one_person(tmp_path: Path, project: Path) -> None:
    home = tmp_path / "airflow"
    prepare_airflow(home, {}, cwd=project)
    first = {path.name: path.read_text() for path in (home / "secrets").iterdir()}

    prepare_airflow(home, {}, cwd=project)

    assert {path.name: path.read_text() for path in (home / "secrets").iterdir()} == first
    assert set(first) == {"fernet_key", "api_secret_key", "jwt_secret", "passwords.json"}
    assert stat.S_IMODE((home / "secrets").stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home / "secrets").iterdir()} == {0o600}
    words = json.loads(first["passwords.json"])
    assert set(words) == {"admin", "operator", "viewer"}
    assert len({*words.values(), *first.values()}) == 7
    assert min(map(len, words.values())) >= 12


def test_a_database_that_cannot_be_made_is_told_in_airflows_words(tmp_path: Path, project: Path) -> None:
    with pytest.raises(ServiceError, match=r"airflow db migrate failed in .*\n(.*\n)*.*no database"):
        prepare_airflow(tmp_path / "airflow", {"FAIL": "no database"}, cwd=project)


def test_the_administrator_signs_in_with_the_password_that_was_made(tmp_path: Path, project: Path) -> None:
    settings = Settings.load(project=tmp_path, state="state")
    prepare_airflow(settings.state / "airflow", {}, cwd=project)

    user, password = sign_in(settings)

    kept = json.loads((settings.state / "airflow" / "secrets" / "passwords.json").read_text())
    assert (user, password) == ("admin", kept["admin"])


def test_nobody_signs_in_where_airflow_never_was(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match=r"Airflow was never started here\. Run `make up`"):
        sign_in(Settings.load(project=tmp_path, state="state"))


def test_every_part_of_airflow_is_one_of_its_commands(house: SmallHouse) -> None:
    commands = {name: House._command(house, name, {"serving": "http://127.0.0.1:1"}) for name in AIRFLOW_PARTS}

    assert all(command[1:3] == ["-m", "airflow"] for command in commands.values())
    assert House._command(house, "serving", {"serving": "http://127.0.0.1:8001"})[-2:] == ["--port", "8001"]
    assert "127.0.0.1" in House._mlflow(house, "http://127.0.0.1:5001")
