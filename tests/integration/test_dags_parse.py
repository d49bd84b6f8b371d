"""Parsing the DAG files as Airflow does: cheap, without faults, in the shape of the plan, and never all or nothing.

Airflow lives in processes of its own here (see ``parse_dags.py``): what it loads and logs stays with it.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factories.spec import write_spec
from nightshift.pipelines.operate_request import Action
from nightshift.pipelines.steps import STEPS
from nightshift.settings import find_project
from nightshift.spec import EXAMPLE

ROOT = find_project()
MODEL = "flight_delay"
WATCH = "nightshift_watch"
CHECKED = {"nightshift.errors", "nightshift.files", "nightshift.settings", "nightshift.spec", "nightshift.yaml_file"}
FIRST = {"nightshift.arithmetic"}
"""What the package itself imports: it must be there before NumPy is, and asks the standard library only."""
GOOD_MOMENTS = [
    None, "2013-05-01", "2013-05-01T06:00Z", "2013-05-01T06:00:00+00:00", "2013-05-01T06:00:00.000Z",
    "2013-05-01 06:00",
]  # fmt: skip
BAD_MOMENTS = [
    "yesterday",
    "",
    "2013-13-01",
    "2013-05-32",
    "2013-5-1",
    "01.05.2013",
    "{{ ds }}",
    5,
    True,
    "2013-05-01T25:00",
]
FORMS: dict[str, list[dict[str, Any]]] = {
    f"build_{MODEL}": [
        *({"as_of": moment} for moment in (*GOOD_MOMENTS, *BAD_MOMENTS)),
        {"promote": "yes"}, {"promote": None}, {"reason": 7}, {"reason": "x" * 501}, {"allow_unreproducible": 1},
        {"promote": False, "reason": "x" * 500, "allow_unreproducible": True},
    ],
    f"reproduce_{MODEL}": [
        *({"version": version} for version in (None, "", "3", "v12", " 3 ", "0", "-1", "latest", "3.5", 3)),
        {"reason": "yearly audit"}, {"reason": 7},
    ],
    f"promote_{MODEL}": [
        {"reason": "r"}, {"reason": "r", "version": "3"}, {"reason": "r", "resume": True},
        {"reason": ""}, {"reason": "x" * 501}, {"reason": "r", "version": "latest"}, {"reason": "r", "resume": "no"},
    ],
    f"operate_{MODEL}": [
        {"action": "reset", "reason": "r"},
        {"action": "snooze", "subject": "carrier = UA", "lasts": "4w", "reason": "r"},
        {"action": "release", "day": "2013-05-01", "reason": "r"},
        {"reason": "r"}, {"action": "dance", "reason": "r"}, {"action": None, "reason": "r"},
        {"action": "reset", "reason": " "}, {"action": "reset"}, {"action": "snooze", "lasts": "long", "reason": "r"},
        {"action": "release", "day": "soon", "reason": "r"},
    ],
    f"monitor_{MODEL}": [{end: moment} for end in ("start", "end") for moment in (*GOOD_MOMENTS, *BAD_MOMENTS)],
}  # fmt: skip
TEMPLATE = "{{ var.value.secret }}.md"
Parse = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def parse(tmp_path_factory: pytest.TempPathFactory) -> Parse:
    """Parse the project's DAG files in a fresh process; ``environment`` outranks the test's own."""
    home = tmp_path_factory.mktemp("airflow")

    def in_a_process(*, forms: dict[str, Any] | None = None, **environment: str) -> dict[str, Any]:
        command = [sys.executable, str(Path(__file__).with_name("parse_dags.py")), str(ROOT / "dags")]
        usual = {
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "PYTHONWARNINGS": "",
        }
        done = subprocess.run(
            [*command, json.dumps(forms or {})],
            env=os.environ | usual | environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    return in_a_process


@pytest.fixture(scope="module")
def parsed(parse: Parse) -> dict[str, Any]:
    """What came of the project as it is."""
    return parse(forms=FORMS)


@pytest.fixture(scope="module")
def mixed(parse: Parse, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What came of two good declarations beside three that are not."""
    folder = tmp_path_factory.mktemp("declared") / "specs"
    write_spec(folder, EXAMPLE.replace("How many bikes will be rented in the next hour?", f'"{TEMPLATE}"'))
    write_spec(folder, EXAMPLE.replace("bikes", "rides") + "promotion: approve\n", name="rides")
    write_spec(folder, EXAMPLE.replace("bikes", "wrong") + "splitt: {}\n", name="wrong")
    write_spec(folder, EXAMPLE.replace("bikes", "late") + 'schedule: {build: "61 2 * * *"}\n', name="late")
    write_spec(folder, "a: !!python/object/apply:os.system [exit]\n", name="evil")
    write_spec(folder, EXAMPLE, name="Not A Model")
    return parse(NIGHTSHIFT_SPECS=str(folder))


@pytest.fixture(scope="module")
def build(parsed: dict[str, Any]) -> Any:
    return parsed["dags"][f"build_{MODEL}"]


@pytest.fixture(scope="module")
def monitor(parsed: dict[str, Any]) -> Any:
    return parsed["dags"][f"monitor_{MODEL}"]


def of_models(parsed: dict[str, Any]) -> dict[str, Any]:
    """Return the DAGs that belong to one model each."""
    return {name: dag for name, dag in parsed["dags"].items() if name != WATCH}


# ---------------------------------------------------------------- cheap


def test_parsing_loads_no_library_of_a_room(parsed: dict[str, Any]) -> None:
    assert parsed["loaded_by_parsing"] == []
    assert parsed["loaded_before"] == [], "Airflow itself loads these; then the test above sees less than it says"


def test_parsing_loads_nothing_of_nightshift_but_what_reads_declarations(parsed: dict[str, Any]) -> None:
    assert set(parsed["modules_of_nightshift"]) == CHECKED | FIRST


def test_the_files_are_found_by_airflows_careful_search() -> None:
    for path in (ROOT / "dags").glob("*.py"):
        words = path.read_text().lower()
        assert "dag" in words
        assert "airflow" in words
        assert len(words.splitlines()) <= 100, f"{path.name} is a table of contents"


# ---------------------------------------------------------------- in the shape of the plan


def test_every_declaration_has_its_dags_and_none_has_a_fault(parsed: dict[str, Any]) -> None:
    assert parsed["errors"] == {}
    assert set(parsed["dags"]) == {WATCH} | {
        f"{pipeline}_{path.stem}" for path in (ROOT / "include" / "specs").glob("*.yaml") for pipeline in STEPS
    }


def test_somebody_looks_after_all_models_every_quarter_of_an_hour(parsed: dict[str, Any]) -> None:
    watch = parsed["dags"][WATCH]

    assert watch["schedule"] == {"cron": "*/15 * * * *", "zone": "UTC", "assets": []}
    assert (watch["operators"], watch["bounded"], watch["catchup"]) == (["WatchOperator"], True, False)


def test_a_build_goes_from_versions_to_promotion_with_the_profile_beside_the_training(build: Any) -> None:
    assert build["tasks"] == {
        "check_versions": [],
        "snapshot": ["check_versions"],
        "materialise": ["snapshot"],
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


def test_a_rebuild_brings_code_and_data_side_by_side_and_certifies_whatever_comes(parsed: dict[str, Any]) -> None:
    assert parsed["dags"][f"reproduce_{MODEL}"]["tasks"] == {
        "recall": [],
        "check_out": ["recall"],
        "install": ["check_out"],
        "fetch": ["recall"],
        "rebuild": ["fetch", "install"],
        "certify": ["rebuild"],
    }


def test_what_goes_live_by_hand_is_checked_first(parsed: dict[str, Any]) -> None:
    dag = parsed["dags"][f"promote_{MODEL}"]

    assert dag["tasks"] == {"preflight": [], "promote": ["preflight"]}
    assert dag["outlets"] == {"promote": [f"{MODEL}/champion"]}


def test_where_a_yes_is_wanted_it_stands_between_rehearsal_and_promotion(mixed: dict[str, Any]) -> None:
    dag = mixed["dags"]["build_rides"]

    assert dag["tasks"]["approve"] == ["rehearse"]
    assert dag["tasks"]["promote"] == ["approve"]
    assert dag["operators"] == ["ApprovalOperator", "StepOperator"]
    assert "approve" not in mixed["dags"]["build_bikes"]["tasks"]


def test_a_monitor_collects_looks_five_ways_judges_and_decides(monitor: Any) -> None:
    assert monitor["tasks"] == {
        "collect": [],
        "profile": ["collect"],
        "validate": ["profile"],
        "compare": ["profile"],
        "performance": ["profile"],
        "look_back": ["profile"],
        "skew": ["profile"],
        "judge": ["compare", "look_back", "performance", "skew", "validate"],
        "decide": ["judge"],
        "alert": ["decide"],
        "request_retraining": ["decide"],
    }


@pytest.mark.parametrize("pipeline", sorted(STEPS))
def test_a_dag_has_the_steps_that_the_shell_runs_in_an_order_that_the_shell_may_take(
    parsed: dict[str, Any], pipeline: str
) -> None:
    tasks, order = parsed["dags"][f"{pipeline}_{MODEL}"]["tasks"], list(STEPS[pipeline])

    assert set(tasks) == set(order)
    assert all(order.index(before) < order.index(task) for task, upstream in tasks.items() for before in upstream)


def test_a_build_runs_nightly_or_when_a_retrain_is_asked_for(build: Any) -> None:
    assert build["timetable"] == "AssetOrTimeSchedule"
    assert build["schedule"] == {"cron": "0 2 * * *", "zone": "UTC", "assets": [f"{MODEL}/retrain"]}


def test_a_monitor_runs_by_intervals_so_that_any_past_window_is_a_backfill(monitor: Any) -> None:
    assert monitor["timetable"] == "CronDataIntervalTimetable"
    assert (monitor["schedule"]["cron"], monitor["schedule"]["zone"]) == ("0 0 * * 1", "UTC")


def test_dags_meet_at_assets_only(build: Any, monitor: Any) -> None:
    assert build["outlets"] == {"promote": [f"{MODEL}/champion"]}
    assert monitor["outlets"] == {"decide": [f"{MODEL}/verdict"], "request_retraining": [f"{MODEL}/retrain"]}


def test_no_run_hangs_for_ever_and_none_waits_for_a_pool_that_is_not_there(parsed: dict[str, Any]) -> None:
    for dag in of_models(parsed).values():
        assert dag["bounded"]
        assert dag["pools"] == ["default_pool"]
        assert dag["retries"] == [3]
        assert (dag["catchup"], dag["runs_at_once"]) == (False, 1)


def test_a_page_tells_what_the_model_is_for_and_whom_to_ask(parsed: dict[str, Any]) -> None:
    for name, dag in of_models(parsed).items():
        pipeline, _, model = name.partition("_")
        asked = {MODEL: "Will a flight out of New York", "arrival_minutes": "By how many minutes will a flight"}[model]
        assert f"**{model}** — {asked}" in dag["page"]
        assert "flights@example.org" in dag["page"]
        assert dag["tags"] == sorted(["nightshift", model, pipeline])


# ---------------------------------------------------------------- forms


@pytest.mark.parametrize("dag", [f"build_{MODEL}", f"monitor_{MODEL}"])
def test_a_form_takes_moments_and_nothing_that_is_none(parsed: dict[str, Any], dag: str) -> None:
    refused = [form for form, said in zip(FORMS[dag], parsed["forms"][dag], strict=True) if said]

    moments = [value for form in refused for field, value in form.items() if field in ("as_of", "start", "end")]
    assert moments == BAD_MOMENTS * (1 if dag.startswith("build") else 2)


def test_a_form_takes_only_what_its_fields_are_for(parsed: dict[str, Any]) -> None:
    dag = f"build_{MODEL}"

    refused = [
        form for form, said in zip(FORMS[dag], parsed["forms"][dag], strict=True) if said and "as_of" not in form
    ]

    assert refused == [
        {"promote": "yes"}, {"promote": None}, {"reason": 7}, {"reason": "x" * 501}, {"allow_unreproducible": 1}
    ]  # fmt: skip


def test_a_refusal_names_the_field(parsed: dict[str, Any]) -> None:
    dag = f"build_{MODEL}"

    said = parsed["forms"][dag][FORMS[dag].index({"as_of": "yesterday"})]

    assert said.startswith("ParamValidationError: Invalid input for param as_of: 'yesterday'")


def test_every_field_says_what_it_is_for(parsed: dict[str, Any]) -> None:
    for dag in parsed["dags"].values():
        for field in dag["form"].values():
            assert field["schema"]["title"]
            assert field["description"].endswith(".")


def test_the_rebuild_form_takes_a_version_or_none(parsed: dict[str, Any]) -> None:
    dag = f"reproduce_{MODEL}"

    refused = [form for form, said in zip(FORMS[dag], parsed["forms"][dag], strict=True) if said]

    assert refused == [
        *({"version": version} for version in ("0", "-1", "latest", "3.5", 3)),
        {"reason": 7},
    ]


def test_nobody_promotes_by_hand_without_a_reason_or_to_what_is_no_version(parsed: dict[str, Any]) -> None:
    dag = f"promote_{MODEL}"

    refused = [form for form, said in zip(FORMS[dag], parsed["forms"][dag], strict=True) if said]

    assert refused == FORMS[dag][3:]


def test_an_operator_chooses_an_action_and_says_why(parsed: dict[str, Any]) -> None:
    dag = f"operate_{MODEL}"

    refused = [form for form, said in zip(FORMS[dag], parsed["forms"][dag], strict=True) if said]

    assert refused == FORMS[dag][3:]
    assert set(parsed["dags"][dag]["form"]["action"]["schema"]["enum"]) == set(Action)


# ---------------------------------------------------------------- never all or nothing


def test_one_wrong_declaration_takes_no_other_down(mixed: dict[str, Any]) -> None:
    assert mixed["errors"] == {}
    assert {dag for dag in mixed["dags"] if "StepOperator" in mixed["dags"][dag]["operators"]} == {
        f"{pipeline}_{model}" for pipeline in STEPS for model in ("bikes", "rides")
    }


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("wrong", "wrong.yaml:13: unknown key 'splitt'; did you mean 'split'?"),
        ("late", "late.yaml:13: schedule.build is '61 2 * * *'; give five cron fields"),
        ("evil", "evil.yaml:1: a tag (tag:yaml.org,2002:python/object/apply:os.system) is not allowed"),
    ],
)
def test_a_wrong_declaration_is_a_dag_that_says_what_is_wrong(mixed: dict[str, Any], name: str, reason: str) -> None:
    for pipeline in STEPS:
        dag = mixed["dags"][f"{pipeline}_{name}"]
        assert list(dag["tasks"]) == ["read_declaration"]
        assert dag["reasons"][0].startswith(reason)
        assert reason in dag["page"]
        assert "wrong declaration" in dag["tags"]
        assert dag["schedule"]["cron"] is None


def test_a_file_that_could_name_no_model_gives_no_dag(mixed: dict[str, Any]) -> None:
    assert not [dag for dag in mixed["dags"] if "Not" in dag]


def test_nothing_of_a_declaration_is_a_template_or_a_path(mixed: dict[str, Any]) -> None:
    for dag in mixed["dags"].values():
        assert dag["templates"] == []
        assert not dag["page"].endswith(".md"), "Airflow would read a file of this name"
    assert TEMPLATE in mixed["dags"]["build_bikes"]["page"]


# ---------------------------------------------------------------- plugins


def test_our_packages_are_no_plugins_by_their_bare_names(parsed: dict[str, Any]) -> None:
    assert parsed["plugins"] == {"errors": {}, "bare": []}


def test_without_the_ignore_file_they_would_be(parse: Parse, tmp_path: Path) -> None:
    plugins = shutil.copytree(ROOT / "plugins", tmp_path / "plugins", ignore=shutil.ignore_patterns(".airflowignore"))

    told = parse(AIRFLOW__CORE__PLUGINS_FOLDER=str(plugins))

    assert {"assets", "declared", "operators"} <= set(told["plugins"]["bare"])


def test_every_package_of_plugins_is_ignored_by_name() -> None:
    ignored = (ROOT / "plugins" / ".airflowignore").read_text().splitlines()
    packages = {path.parent.name for path in (ROOT / "plugins").glob("*/__init__.py")}

    assert packages <= set(ignored)
    assert all(re.match(r"#|[a-z_]+$", line) for line in ignored)
