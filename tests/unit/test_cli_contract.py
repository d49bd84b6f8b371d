"""The command ``nightshift contract``: drawn, reviewed, and what changed since."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from factories.profile import a_contract
from nightshift import cli_contract
from nightshift.cli import app
from nightshift.settings import find_project


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    specs = tmp_path / "specs"
    specs.mkdir()
    shutil.copy(find_project() / "include" / "specs" / "flight_delay.yaml", specs)
    monkeypatch.setenv("NIGHTSHIFT_STATE", str(tmp_path / "state"))
    monkeypatch.setenv("NIGHTSHIFT_SPECS", str(specs))
    # the registry is asked elsewhere, against a real MLflow
    monkeypatch.setattr(cli_contract, "_drawn", lambda *_: a_contract().to_json())
    return tmp_path


def said(*words: str) -> Any:
    return CliRunner().invoke(app, ["contract", "flight_delay", *words], catch_exceptions=False)


def test_the_contract_is_shown_as_it_would_be_reviewed(folder: Path) -> None:
    assert "- name: speed" in said().stdout


def test_it_is_written_next_to_the_declarations_and_then_is_the_reviewed_one(folder: Path) -> None:
    first = said("--diff")
    written = said("--write")
    then = said("--diff")

    assert (first.exit_code, written.exit_code, then.exit_code) == (1, 0, 0)
    assert "no contract has been reviewed yet" in first.stdout
    assert (folder / "contracts" / "flight_delay.yaml").read_text().startswith("# What a valid row of flight_delay is.")
    assert "the contract is the reviewed one" in then.stdout


def test_what_changed_is_told_to_people_and_to_programs(folder: Path) -> None:
    said("--write")
    path = folder / "contracts" / "flight_delay.yaml"
    path.write_text(path.read_text().replace("upper: 23.0", "upper: 22.0"))

    told, asked = said("--diff"), json.loads(said("--json").stdout)

    assert told.exit_code == 1
    assert "- hour: upper was 22, is 23" in told.stdout
    assert asked["changes"] == ["hour: upper was 22, is 23"]
    assert asked["reviewed"] == str(path)
