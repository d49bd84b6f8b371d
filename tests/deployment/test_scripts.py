"""The scripts of docker/, run for real."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import sqlalchemy
from cryptography.fernet import Fernet

from factories.deployment import ROOT, Service, read_yaml
from nightshift.serving.access import Access, Role
from nightshift.serving.answers import RefusalError

DOCKER = ROOT / "docker"
ADDRESSES = ("airflow_database", "mlflow_database", "nightshift_ledger")


def run(script: str, *arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(DOCKER / script), *map(str, arguments)]
    return subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    assert run("make-secrets.sh", folder).returncode == 0
    return folder


# ------------------------------------------------------------ make-secrets.sh


def test_every_secret_of_compose_is_made(secrets: Path) -> None:
    mounted = set(read_yaml(ROOT / "docker-compose.yaml")["secrets"])

    assert {path.name for path in secrets.iterdir()} == mounted | {"serving_admin_key"}


def test_secrets_are_closed_to_other_users_of_the_host_and_open_to_the_containers(secrets: Path) -> None:
    assert secrets.stat().st_mode & 0o777 == 0o700
    mounted = [path for path in secrets.iterdir() if path.name != "serving_admin_key"]
    assert {path.stat().st_mode & 0o777 for path in mounted} == {0o444}
    assert (secrets / "serving_admin_key").stat().st_mode & 0o777 == 0o400


def test_a_second_call_keeps_every_secret_and_makes_what_is_missing(secrets: Path) -> None:
    (secrets / "celery_broker").unlink()
    before = {path.name: path.read_text() for path in secrets.iterdir()}

    again = run("make-secrets.sh", secrets)

    after = {path.name: path.read_text() for path in secrets.iterdir()}
    assert again.returncode == 0
    assert before.items() <= after.items()
    assert after.keys() - before.keys() == {"celery_broker"}


def test_secrets_are_of_the_kind_that_reads_them(secrets: Path, services: dict[str, Service]) -> None:
    assert Fernet((secrets / "fernet_key").read_text())
    assert len((secrets / "jwt_secret").read_text()) >= 64  # what RFC 7518 asks of a key for SHA-512
    for name in ADDRESSES:
        url = sqlalchemy.make_url((secrets / name).read_text())
        assert url.host in services
        assert url.password
        assert len(url.password) >= 32
    users = [user.partition(":")[0] for user in _option("simple_auth_manager_users").split(",")]
    assert sorted(json.loads((secrets / "airflow_passwords").read_text())) == sorted(users)


def test_serving_lets_in_the_key_that_was_made_and_no_other(secrets: Path) -> None:
    access = Access.read(secrets / "serving_keys")
    key = (secrets / "serving_admin_key").read_bytes()

    assert access.check(b"Bearer " + key, Role.PREDICT).name == "admin"
    with pytest.raises(RefusalError):
        access.check(b"Bearer " + key[:-1], Role.PREDICT)
    assert key.decode() not in (secrets / "serving_keys").read_text()


def test_no_two_secrets_are_alike(tmp_path: Path, secrets: Path) -> None:
    run("make-secrets.sh", tmp_path / "other")
    texts = [path.read_text() for folder in (secrets, tmp_path / "other") for path in folder.iterdir()]

    assert len(texts) == len(set(texts))


def _option(name: str) -> str:
    lines = (ROOT / "airflow.cfg").read_text().splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.startswith(f"{name} ="))


# ------------------------------------------------------------------ secret.sh


def test_a_secret_is_printed_without_a_line_break_and_with_its_prefix(tmp_path: Path) -> None:
    (tmp_path / "airflow_database").write_text("postgresql://x\n")

    assert run("secret.sh", "airflow_database", SECRETS_FOLDER=str(tmp_path)).stdout == "postgresql://x"
    assert run("secret.sh", "airflow_database", "db+", SECRETS_FOLDER=str(tmp_path)).stdout == "db+postgresql://x"


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_secret_that_is_missing_or_empty_is_an_error_that_names_it(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "jwt_secret").write_text(content)

    asked = run("secret.sh", "jwt_secret", SECRETS_FOLDER=str(tmp_path))

    assert asked.returncode == 1
    assert asked.stdout == ""
    assert "jwt_secret" in asked.stderr


# ----------------------------------------------------------------- answers.py


class _Door(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def door() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Door) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_that_answers_is_healthy(door: str) -> None:
    assert run("answers.py", f"{door}/health").returncode == 0


def test_a_refusal_a_closed_door_and_nonsense_are_unhealthy_and_explained(door: str) -> None:
    for address in (f"{door}/other", "http://127.0.0.1:1/health", "nonsense"):
        asked = run("answers.py", address)
        assert asked.returncode == 1
        assert address in asked.stderr
        assert "Traceback" not in asked.stderr


# ------------------------------------------------------ refuse-credentials.sh


def _checkout(folder: Path, configuration: str) -> Path:
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    with (folder / ".git" / "config").open("a") as file:
        file.write(configuration)
    return folder


@pytest.mark.parametrize(
    "configuration",
    [
        "",
        '[remote "origin"]\n\turl = https://example.org/code.git\n',
        '[remote "origin"]\n\turl = git@example.org:code.git\n',
        '[remote "origin"]\n\turl = ssh://git@example.org/code.git\n',
    ],
)
def test_a_checkout_without_credentials_goes_into_the_image(configuration: str, tmp_path: Path) -> None:
    assert run("refuse-credentials.sh", _checkout(tmp_path, configuration)).returncode == 0


@pytest.mark.parametrize(
    "configuration",
    [
        '[http "https://example.org/"]\n\textraheader = AUTHORIZATION: basic eDp5\n',
        '[remote "origin"]\n\turl = https://token@example.org/code.git\n',
        '[remote "origin"]\n\turl = https://me:word@example.org/code.git\n',
        "[custom]\n\tpassword = word\n",
    ],
)
def test_a_checkout_with_a_credential_does_not_and_the_credential_is_not_shown(
    configuration: str, tmp_path: Path
) -> None:
    refused = run("refuse-credentials.sh", _checkout(tmp_path, configuration))

    assert refused.returncode == 1
    assert "persist-credentials: false" in refused.stderr
    assert not any(word in refused.stderr for word in ("eDp5", "token@", "me:word"))


def test_a_copy_without_its_history_does_not_go_into_the_image(tmp_path: Path) -> None:
    refused = run("refuse-credentials.sh", tmp_path)

    assert refused.returncode == 1
    assert "git checkout" in refused.stderr


# ------------------------------------------------------------ housekeeping.sh


@pytest.fixture
def airflow_home(tmp_path: Path) -> Path:
    """A home with logs, and an `airflow` that notes how it was called and does what AIRFLOW_ENDS says."""
    logs = tmp_path / "home" / "logs"
    for name, age in (("old/task.log", 100), ("old/deep/task.log", 91), ("new/task.log", 1)):
        path = logs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        then = path.stat().st_mtime - age * 86400
        os.utime(path, (then, then))
    stand_in = tmp_path / "bin" / "airflow"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\nexit "${{AIRFLOW_ENDS:-0}}"\n')
    stand_in.chmod(0o755)
    return tmp_path / "home"


def _keep_house(home: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{home.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return run("housekeeping.sh", "--once", **{"AIRFLOW_HOME": str(home), "PATH": path} | environment)


def test_old_logs_go_with_their_folders_and_new_ones_stay(airflow_home: Path) -> None:
    done = _keep_house(airflow_home, KEEP_DAYS="90")

    kept = sorted(str(path.relative_to(airflow_home)) for path in airflow_home.rglob("*"))
    assert done.returncode == 0, done.stderr
    assert kept == ["logs", "logs/new", "logs/new/task.log"]
    assert "db clean --clean-before-timestamp 20" in (airflow_home.parent / "called").read_text()


def test_logs_stay_while_airflow_cannot_clean_its_records(airflow_home: Path) -> None:
    failed = _keep_house(airflow_home, AIRFLOW_ENDS="3")

    assert failed.returncode == 3
    assert (airflow_home / "logs" / "old" / "task.log").exists()


@pytest.mark.parametrize("days", ["0", "-1", "a week", "1; rm", "9.5"])
def test_a_number_of_days_that_is_none_is_refused_before_anything_is_removed(days: str, airflow_home: Path) -> None:
    refused = _keep_house(airflow_home, KEEP_DAYS=days)

    assert refused.returncode == 1
    assert "KEEP_DAYS" in refused.stderr
    assert not (airflow_home.parent / "called").exists()


# ----------------------------------------------------------- postgres-init.sh


@pytest.fixture
def psql(tmp_path: Path) -> Path:
    """Where a stand-in for `psql` writes what it was told; the real one was used by hand (docs/operations.md)."""
    stand_in = tmp_path / "bin" / "psql"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/arguments\ncat >> {tmp_path}/told\n')
    stand_in.chmod(0o755)
    return tmp_path


def _make_databases(psql: Path, secrets: Path) -> subprocess.CompletedProcess[str]:
    path = f"{psql / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return run("postgres-init.sh", SECRETS_FOLDER=str(secrets), PATH=path)


def test_each_address_gets_a_role_and_a_database_of_its_own(psql: Path, secrets: Path) -> None:
    done = _make_databases(psql, secrets)

    told = (psql / "told").read_text()
    assert done.returncode == 0, done.stderr
    for name in ADDRESSES:
        url = sqlalchemy.make_url((secrets / name).read_text())
        assert f"\\set role '{url.username}'" in told
        assert f"\\set password '{url.password}'" in told
        assert f"\\set database '{url.database}'" in told
        assert str(url.password) not in (psql / "arguments").read_text() + done.stdout + done.stderr
    assert told.count("REVOKE CONNECT") == len(ADDRESSES)


@pytest.mark.parametrize(
    "address",
    ["", "postgresql://airflow@postgres/airflow", "postgresql://airflow:it's@postgres/airflow",
     "postgresql://airflow:word@postgres/", "postgresql://a:b@postgres/x'; DROP ROLE postgres"],
)  # fmt: skip
def test_an_address_without_all_its_parts_or_with_sql_in_it_is_refused(address: str, psql: Path, secrets: Path) -> None:
    (secrets / "mlflow_database").chmod(0o600)
    (secrets / "mlflow_database").write_text(address)

    refused = _make_databases(psql, secrets)

    assert refused.returncode == 1
    assert "mlflow_database" in refused.stderr
    assert "mlflow" not in (psql / "told").read_text()


def test_scripts_of_the_images_need_nothing_but_the_standard_library() -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(DOCKER / "answers.py"), "nonsense"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert "unknown url type" in done.stderr
