"""What makes the secrets of an installation, and what reads them: run for real."""

import json
from pathlib import Path

import pytest
import sqlalchemy
from cryptography.fernet import Fernet

from factories.deployment import ROOT, Service, read_yaml, run_script
from nightshift.serving.access import Access, Role
from nightshift.serving.answers import RefusalError

ADDRESSES = ("airflow_database", "mlflow_database", "nightshift_ledger")


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

    again = run_script("make-secrets.sh", secrets)

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

    assert access.check({b"authorization": b"Bearer " + key}, Role.PREDICT).name == "admin"
    with pytest.raises(RefusalError):
        access.check({b"authorization": b"Bearer " + key[:-1]}, Role.PREDICT)
    assert key.decode() not in (secrets / "serving_keys").read_text()


def test_no_two_secrets_are_alike(tmp_path: Path, secrets: Path) -> None:
    run_script("make-secrets.sh", tmp_path / "other")
    texts = [path.read_text() for folder in (secrets, tmp_path / "other") for path in folder.iterdir()]

    assert len(texts) == len(set(texts))


def _option(name: str) -> str:
    lines = (ROOT / "airflow.cfg").read_text().splitlines()
    return next(line.partition("=")[2].strip() for line in lines if line.startswith(f"{name} ="))


# ------------------------------------------------------------------ secret.sh


def test_a_secret_is_printed_without_a_line_break_and_with_its_prefix(tmp_path: Path) -> None:
    (tmp_path / "airflow_database").write_text("postgresql://x\n")

    assert run_script("secret.sh", "airflow_database", SECRETS_FOLDER=str(tmp_path)).stdout == "postgresql://x"
    assert (
        run_script("secret.sh", "airflow_database", "db+", SECRETS_FOLDER=str(tmp_path)).stdout == "db+postgresql://x"
    )


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_secret_that_is_missing_or_empty_is_an_error_that_names_it(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "jwt_secret").write_text(content)

    asked = run_script("secret.sh", "jwt_secret", SECRETS_FOLDER=str(tmp_path))

    assert asked.returncode == 1
    assert asked.stdout == ""
    assert "jwt_secret" in asked.stderr
