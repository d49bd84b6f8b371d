"""What Airflow reads: in fresh processes, as its DAG processor does."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nightshift.settings import find_project

ROOT = find_project()
HEAVY = ("pandas", "numpy", "xgboost", "mlflow", "great_expectations", "feast", "dvc", "pyarrow", "sklearn", "duckdb")
LOOK = """
import json, sys
from airflow.dag_processing.dagbag import DagBag

before = set(sys.modules)
bag = DagBag(sys.argv[1])
heavy = json.loads(sys.argv[2])
print("FOUND" + json.dumps({
    "errors": bag.import_errors,
    "brought": sorted(name for name in heavy if name in sys.modules and name not in before),
    "bare": sorted(name for name in ("assets", "operators", "declared") if name in sys.modules),
    "dags": {
        dag.dag_id: {
            "tasks": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
            "params": sorted(dag.params),
            "doc": dag.doc_md,
            "schedule": type(dag.timetable).__name__,
        }
        for dag in bag.dags.values()
    },
}))
"""


def parse(home: Path, dags: Path, *, specs: Path | None = None) -> dict[str, Any]:
    """Return what a fresh process finds in ``dags``."""
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW_CONFIG": str(home / "airflow.cfg"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "PYTHONPATH": str(ROOT / "plugins"),
        **({"NIGHTSHIFT_SPECS": str(specs)} if specs else {}),
    }
    home.mkdir(exist_ok=True)
    command = [sys.executable, "-c", LOOK, str(dags), json.dumps(HEAVY)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("FOUND")[2])


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(tmp_path_factory.mktemp("home"), ROOT / "dags")


def test_parsing_brings_in_no_heavy_library(found: dict[str, Any]) -> None:
    assert found["brought"] == []


def test_every_declaration_gives_a_build_and_a_monitor(found: dict[str, Any]) -> None:
    models = [path.stem for path in (ROOT / "include" / "specs").glob("*.yaml")]

    assert found["errors"] == {}
    assert models
    assert set(found["dags"]) == {f"{pipeline}_{model}" for model in models for pipeline in ("build", "monitor")}


def test_a_build_goes_from_check_to_promotion(found: dict[str, Any]) -> None:
    upstream = found["dags"]["build_flight_delay"]["tasks"]

    assert upstream == {
        "check_versions": [],
        "snapshot": ["check_versions"],
        "assemble": ["snapshot"],
        "split": ["assemble"],
        "train": ["split"],
        "profile": ["split"],
        "package": ["profile", "train"],
        "evaluate": ["package"],
        "register": ["evaluate"],
        "rehearse": ["register"],
        "promote": ["rehearse"],
    }


def test_a_monitor_goes_from_the_log_to_the_decision(found: dict[str, Any]) -> None:
    upstream = found["dags"]["monitor_flight_delay"]["tasks"]

    assert upstream == {
        "collect": [],
        "profile": ["collect"],
        "validate": ["profile"],
        "compare": ["profile"],
        "performance": ["profile"],
        "judge": ["compare", "performance", "validate"],
        "decide": ["judge"],
        "alert": ["decide"],
        "request_retraining": ["decide"],
    }


def test_a_build_runs_nightly_or_when_it_is_asked_for(found: dict[str, Any]) -> None:
    assert found["dags"]["build_flight_delay"]["schedule"] == "AssetOrTimeSchedule"
    assert found["dags"]["monitor_flight_delay"]["schedule"] == "CronDataIntervalTimetable"


def test_the_forms_have_the_fields_an_operator_needs(found: dict[str, Any]) -> None:
    assert found["dags"]["build_flight_delay"]["params"] == ["allow_unreproducible", "as_of", "promote", "reason"]
    assert found["dags"]["monitor_flight_delay"]["params"] == ["allow_unreproducible", "end", "start"]


def test_modules_of_our_plugin_are_not_loaded_by_bare_names(found: dict[str, Any]) -> None:
    assert found["bare"] == []


def test_a_wrong_declaration_says_so_in_its_own_place_and_takes_nobody_down(tmp_path: Path) -> None:
    specs = tmp_path / "specs"
    shutil.copytree(ROOT / "include" / "specs", specs)
    good = (specs / "flight_delay.yaml").read_text()
    (specs / "bikes.yaml").write_text(good.replace("name: flight_delay", "name: bikes").replace("purpose:", "purpos:"))

    found = parse(tmp_path / "home", ROOT / "dags", specs=specs)

    assert found["errors"] == {}
    assert set(found["dags"]["build_bikes"]["tasks"]) == {"read_declaration"}
    assert "did you mean 'purpose'" in found["dags"]["build_bikes"]["doc"]
    assert "promote" in found["dags"]["build_flight_delay"]["tasks"]
