"""The services of docker-compose.yaml, and what the real tools say to them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from factories.deployment import (
    ROOT,
    SOME_WORD,
    Service,
    commands_in,
    commands_in_page,
    commands_in_workflow,
    read_services,
    run_script,
)

TOOLS = ("airflow", "celery", "mlflow")


@pytest.fixture(scope="session")
def services() -> dict[str, Service]:
    return read_services()


@pytest.fixture(scope="session")
def tools(services: dict[str, Service], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow, Celery and MLflow answer to every command that compose, scripts and pages give them."""
    commands = [command for service in services.values() for command in service.commands()]
    commands += commands_in_page(ROOT / "docs" / "operations.md")
    commands += commands_in((ROOT / "docker" / "housekeeping.sh").read_text())
    for path in (ROOT / ".github" / "workflows").glob("*.yaml"):
        commands += commands_in_workflow(path)
    asked = {
        tool: [[SOME_WORD if word.startswith("$") else word for word in command[1:]] for command in commands
               if command[0] == tool]
        for tool in TOOLS
    }  # fmt: skip
    assert all(asked[tool] for tool in TOOLS), asked
    # one wrong command each proves that the question can be answered with no
    asked = {tool: [*asked[tool], ["no-such-command"]] for tool in TOOLS}
    hosts = {
        "allowed_hosts": services["mlflow"].environment["ALLOWED_HOSTS"],
        "hosts": ["mlflow:5000", "127.0.0.1:5000", "localhost:15000", "attacker.example:5000"],
    }
    home = tmp_path_factory.mktemp("airflow")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW__")}
    done = subprocess.run(
        [sys.executable, str(Path(__file__).parent / "ask_tools.py")],
        input=json.dumps(asked | hosts),
        env={**kept, "AIRFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    assert run_script("make-secrets.sh", folder).returncode == 0
    return folder
