"""Every command that production, a script or a page gives: would the real tool take it?"""

import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import typer.main

from factories.deployment import (
    ROOT,
    Service,
    commands_in,
    commands_in_page,
    commands_in_workflow,
    inside,
    read_dockerfile,
)
from nightshift.cli import app

OPERATIONS = ROOT / "docs" / "operations.md"
PAGES = [ROOT / "docs" / "operations.md", ROOT / "CONTRIBUTING.md"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


def make_targets() -> set[str]:
    lines = (ROOT / "Makefile").read_text().splitlines()
    return {
        line.split(":")[0] for line in lines if line[:1].isalpha() and ":" in line and "=" not in line.split(":")[0]
    }


def nightshift_commands(commands: list[list[str]]) -> list[list[str]]:
    """Return what follows ``nightshift`` or ``python -m nightshift.cli``."""
    as_module = [command[3:] for command in commands if command[1:3] == ["-m", "nightshift.cli"]]
    return as_module + [command[1:] for command in commands if Path(command[0]).name == "nightshift"]


@pytest.mark.parametrize("tool", ["airflow", "celery", "mlflow"])
def test_the_tool_takes_every_command_it_is_given(tool: str, tools: dict[str, Any]) -> None:
    refused = tools["refused"][tool]

    assert list(refused) == ["no-such-command"], refused


def test_nightshift_takes_every_command_it_is_given(services: dict[str, Service]) -> None:
    given = [command for service in services.values() for command in service.commands()]
    given += [command for page in PAGES for command in commands_in_page(page)]
    given += [command for workflow in WORKFLOWS for command in commands_in_workflow(workflow)]
    image = read_dockerfile(ROOT / "docker" / "serving.Dockerfile")
    given.append(yaml_list(next(line.rest for line in image if line.word == "CMD")))
    cli: Any = typer.main.get_command(app)

    asked = nightshift_commands(given)
    for argv in asked:
        name, command, rest = cli.resolve_command(click.Context(cli), argv)
        assert command.make_context(name, rest)

    assert ["serve", "--host", "0.0.0.0", "--port", "8000"] in asked
    with pytest.raises(click.UsageError):
        cli.resolve_command(click.Context(cli), ["no-such-command"])


def test_what_serves_in_the_image_is_what_compose_starts(services: dict[str, Service]) -> None:
    image = read_dockerfile(ROOT / "docker" / "serving.Dockerfile")

    assert yaml_list(next(line.rest for line in image if line.word == "CMD")) == services["serving"].content["command"]


def test_every_make_target_that_is_named_exists() -> None:
    pages = [command for page in PAGES for command in commands_in_page(page)]
    named = {word for command in pages if command[0] == "make" for word in command[1:]}
    named |= {word for path in WORKFLOWS for command in commands_in_workflow(path) if command[0] == "make"
              for word in command[1:]}  # fmt: skip
    named |= {word for command in commands_in((ROOT / ".ci" / "run").read_text()) if command[0] == "make"
              for word in command[1:]}  # fmt: skip

    assert named >= {"test", "check"}
    assert named <= make_targets()


@pytest.mark.parametrize("path", [OPERATIONS, *WORKFLOWS], ids=lambda path: path.stem)
def test_compose_is_asked_for_services_that_exist(path: Path, services: dict[str, Service]) -> None:
    given = commands_in_page(path) if path == OPERATIONS else commands_in_workflow(path)
    commands = [command[2:] for command in given if command[:2] == ["docker", "compose"]]
    given_values = {"--since", "--tail", "--timeout", "--wait-timeout"}

    named: set[str] = set()
    for words in commands:
        if words[0] in ("exec", "run"):
            named.add(str(inside(["docker", "compose", *words])[0]))
        else:
            values = {words[place + 1] for place, word in enumerate(words) if word in given_values}
            named |= {word for word in words[1:] if not word.startswith("-")} - values

    assert named <= services.keys()
    assert named or path.stem == "checks"


def test_every_script_that_is_named_is_there_and_can_be_run() -> None:
    texts = [page.read_text() for page in PAGES] + [path.read_text() for path in WORKFLOWS]
    words = {word.strip("`'\",;:") for text in texts for word in text.split() if "docker/" in word}
    scripts = {word for word in words if word.startswith("docker/") and word.endswith(".sh")}

    assert scripts
    for script in scripts:
        assert (ROOT / script).stat().st_mode & 0o111, script


def yaml_list(text: str) -> list[str]:
    return shlex.split(text.strip("[]").replace(",", " "))
