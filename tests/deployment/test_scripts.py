"""The scripts of docker/, run for real."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import sqlalchemy

from factories.deployment import ROOT, run_script

DOCKER = ROOT / "docker"
ADDRESSES = ("airflow_database", "mlflow_database", "nightshift_ledger")


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
    assert run_script("answers.py", f"{door}/health").returncode == 0


def test_a_refusal_a_closed_door_and_nonsense_are_unhealthy_and_explained(door: str) -> None:
    for address in (f"{door}/other", "http://127.0.0.1:1/health", "nonsense"):
        asked = run_script("answers.py", address)
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
    assert run_script("refuse-credentials.sh", _checkout(tmp_path, configuration)).returncode == 0


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
    refused = run_script("refuse-credentials.sh", _checkout(tmp_path, configuration))

    assert refused.returncode == 1
    assert "persist-credentials: false" in refused.stderr
    assert not any(word in refused.stderr for word in ("eDp5", "token@", "me:word"))


def test_a_copy_without_its_history_does_not_go_into_the_image(tmp_path: Path) -> None:
    refused = run_script("refuse-credentials.sh", tmp_path)

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
    return run_script("housekeeping.sh", "--once", **{"AIRFLOW_HOME": str(home), "PATH": path} | environment)


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
    return run_script("postgres-init.sh", SECRETS_FOLDER=str(secrets), PATH=path)


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
