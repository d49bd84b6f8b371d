"""Declarations, assets and forms as DAG files meet them."""

import re
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from factories.spec import a_spec, write_spec
from nightshift.errors import SpecError
from nightshift.spec import EXAMPLE, ModelSpec
from nightshift_airflow.assets import champion_asset, retrain_asset
from nightshift_airflow.declared import declared_models, page, refuse
from nightshift_airflow.forms import MOMENT, switch


@pytest.fixture
def specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NIGHTSHIFT_SPECS", str(tmp_path))
    return tmp_path


def test_each_declaration_is_found_by_its_files_name_the_wrong_ones_as_errors(specs: Path) -> None:
    write_spec(specs)
    write_spec(specs, "name: [", name="wrong")
    for name in ("Not A Model", "..", ".hidden", "1st", "x" * 64):
        write_spec(specs, EXAMPLE, name=name)

    found = declared_models()

    assert list(found) == ["bikes", "wrong"]
    assert isinstance(found["bikes"], ModelSpec)
    assert isinstance(found["wrong"], SpecError)


def test_a_missing_folder_declares_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NIGHTSHIFT_SPECS", str(tmp_path / "nowhere"))

    assert declared_models() == {}


def test_assets_are_named_by_their_model() -> None:
    spec = a_spec()

    assert (retrain_asset(spec).name, retrain_asset(spec).uri) == ("bikes/retrain", "nightshift://bikes/retrain")
    assert (champion_asset(spec).name, champion_asset(spec).uri) == ("bikes/champion", "nightshift://bikes/champion")


def test_a_dag_for_a_wrong_declaration_fails_with_the_reason() -> None:
    dag = refuse("build", "wrong", SpecError("wrong.yaml:3: unknown key 'zzz'"))

    task: Any = dag.get_task("read_declaration")
    with pytest.raises(AirflowFailException, match=r"wrong\.yaml:3: unknown key 'zzz'"):
        task.execute({})
    assert dag.dag_id == "build_wrong"
    assert "wrong.yaml:3" in str(dag.doc_md)


def test_a_page_ends_with_no_name_that_airflow_would_open() -> None:
    told = page(a_spec(purpose="read me.md"), None)

    assert not told.endswith(".md")
    assert "**bikes** — read me.md" in told


@pytest.mark.parametrize("moment", ["2013-05-01", "2013-12-31T23:59:59.999999Z", "2013-05-01T06:00+02:00"])
def test_a_moment_is_told_by_its_looks(moment: str) -> None:
    assert re.search(MOMENT, moment)


@pytest.mark.parametrize("moment", ["2013-02-30", "2013-04-31", "2013-13-01", "2013-1-1", "yesterday"])
def test_a_day_that_no_calendar_has_is_no_moment(moment: str) -> None:
    assert not re.search(MOMENT, moment)


def test_a_switch_is_off_unless_it_is_said() -> None:
    assert switch("T", "D.").value is False
    assert switch("T", "D.", on=True).value is True
