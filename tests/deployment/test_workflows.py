"""What runs elsewhere: GitHub's workflows, the hooks before a commit, the script of a CI machine."""

import re
import subprocess
from typing import Any

import pytest

from factories.deployment import ROOT, commands_in, found, read_yaml
from nightshift.settings import Settings

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yaml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> dict[str, Any]:
    return read_yaml(request.param)


def steps_of(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_checks_tests_and_the_deployment_have_a_workflow() -> None:
    runs = " ".join(step.get("run", "") for path in WORKFLOWS for step in steps_of(read_yaml(path)))

    for command in ("make check", "bash .ci/run", "docker compose build", "docker compose up"):
        assert command in runs


def test_a_workflow_has_bounds_and_no_rights_it_does_not_need(workflow: dict[str, Any]) -> None:
    assert workflow["permissions"] == {"contents": "read"}
    assert all(0 < job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    assert all(re.fullmatch(r"[a-z]+-\d+\.\d+", job["runs-on"]) for job in workflow["jobs"].values())


def test_an_action_is_pinned_to_a_commit_and_leaves_no_token_in_the_checkout(workflow: dict[str, Any]) -> None:
    uses = [step for step in steps_of(workflow) if "uses" in step]

    assert uses
    for step in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", step["uses"])
        if step["uses"].startswith("actions/checkout"):
            assert step["with"]["persist-credentials"] is False


def test_images_are_built_from_the_whole_history() -> None:
    steps = steps_of(read_yaml(ROOT / ".github" / "workflows" / "images.yaml"))

    assert next(step for step in steps if "checkout" in step.get("uses", ""))["with"]["fetch-depth"] == 0


def test_a_script_that_a_step_calls_exists(workflow: dict[str, Any]) -> None:
    commands = [command for step in steps_of(workflow) for command in commands_in(step.get("run", ""))]
    files = [word for command in commands for word in command if re.fullmatch(r"[\w.-]+/[\w./-]+", word)]

    assert [file for file in files if not (ROOT / file).exists()] == []


def test_the_ci_script_runs_exactly_what_the_readme_tells_a_reader_to_run() -> None:
    script = ROOT / ".ci" / "run"

    checked = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stderr
    assert script.read_text().splitlines()[0] == "#!/usr/bin/env bash"
    assert "set -eu" in script.read_text()
    assert [command for command in commands_in(script.read_text()) if command[0] == "make"] == [["make", "test"]]


def test_the_hooks_before_a_commit_are_tools_of_this_environment() -> None:
    from pre_commit.clientlib import load_config  # type: ignore[import-untyped]  # it has no stubs

    path = ROOT / ".pre-commit-config.yaml"
    assert load_config(path)
    hooks = [hook for repo in read_yaml(path)["repos"] for hook in repo["hooks"]]
    makefile = (ROOT / "Makefile").read_text().replace("$(BIN)", ".venv/bin")

    assert hooks
    for hook in hooks:
        tool = found(r"(\.venv/bin/[\w-]+)", hook["entry"])
        assert hook["language"] == "system"
        assert (ROOT / tool).exists()
        assert tool in makefile, f"make check does not know {tool}"


def test_every_setting_is_on_the_operations_page() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()

    assert [name for name in Settings.model_fields if f"`NIGHTSHIFT_{name.upper()}`" not in page] == []


@pytest.mark.parametrize("page", ["docs/operations.md", "CONTRIBUTING.md"])
def test_a_link_and_a_path_in_a_page_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\((?!http)([^)#]+)", path.read_text())
    paths = re.findall(r"`((?:docker|docs|tests|include|dags|plugins|\.github)/[\w./-]*)`", path.read_text())
    assert [link for link in links if not (path.parent / link).exists()] == []
    assert [one for one in paths if not one.startswith("docker/secrets/") and not (ROOT / one).exists()] == []
