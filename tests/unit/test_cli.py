"""The command says what is wrong in a sentence, answers programs in JSON, and costs little until it works."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from factories.spec import HOSTILE_NAMES, write_spec
from factories.spine import a_day, a_ledger, add_window
from nightshift.cli import main
from nightshift.ledger import Kind
from nightshift.predictions.pinned import Pinned, note, write_down
from nightshift.spec import EXAMPLE, json_schema

HEAVY = (
    "pandas",
    "numpy",
    "xgboost",
    "mlflow",
    "great_expectations",
    "dvc",
    "duckdb",
    "pyarrow",
    "airflow",
    "sqlalchemy",
)


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Nightshift = Callable[..., Said]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with one declaration; no service answers."""
    write_spec(tmp_path / "include" / "specs")
    monkeypatch.setenv("NIGHTSHIFT_PROJECT", str(tmp_path))
    monkeypatch.setenv("NIGHTSHIFT_STATE", "state")
    monkeypatch.setenv("NIGHTSHIFT_MLFLOW", "http://127.0.0.1:1")
    return tmp_path


@pytest.fixture
def nightshift(project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Nightshift:
    """The command, in this process."""

    def run(*words: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["nightshift", *words])
        try:
            main()
            status = 0
        except SystemExit as ended:
            status = int(ended.code or 0)
        return Said(status, *capsys.readouterr())

    return run


# ---------------------------------------------------------------- check, schema


def test_declarations_without_fault_are_counted(nightshift: Nightshift) -> None:
    said = nightshift("check", "--specs")

    assert (said.status, said.err) == (0, "")
    assert "1 declaration(s) read: bikes" in said.out


def test_every_fault_of_a_declaration_is_a_line_on_standard_error(nightshift: Nightshift, project: Path) -> None:
    write_spec(project / "include" / "specs", EXAMPLE + "splitt: 1\nzzz: 2\n")

    said = nightshift("check", "--specs")

    assert (said.status, said.out) == (1, "")
    assert "- bikes.yaml:13: unknown key 'splitt'; did you mean 'split'?" in said.err
    assert len(said.err.splitlines()) == 2


@pytest.mark.parametrize("spoil", ["", "zzz: 1\n"], ids=["fine", "wrong"])
def test_a_program_is_told_in_json(nightshift: Nightshift, project: Path, spoil: str) -> None:
    write_spec(project / "include" / "specs", EXAMPLE + spoil)

    said = nightshift("check", "--specs", "--json")

    assert said.err == ""
    assert said.json["ok"] is (said.status == 0) is (not spoil)
    assert said.json["models"] == ([] if spoil else ["bikes"])
    assert len(said.json["problems"]) == len(spoil.splitlines())


def test_a_project_that_declares_nothing_is_no_success(nightshift: Nightshift, project: Path) -> None:
    (project / "include" / "specs" / "bikes.yaml").unlink()

    said = nightshift("check", "--specs")

    assert said.status == 1
    assert "no declaration in" in said.err


def test_a_folder_that_is_no_checkout_has_every_missing_box_told(nightshift: Nightshift) -> None:
    said = nightshift("check", "--json")

    problems = "\n".join(said.json["problems"])
    assert said.status == 1
    assert "git" in problems
    assert "requirements.txt" in problems


def test_the_schema_is_printed_for_programs(nightshift: Nightshift) -> None:
    said = nightshift("schema")

    assert said.json == json_schema()


def test_the_schema_is_written_beside_the_declarations(nightshift: Nightshift, project: Path) -> None:
    said = nightshift("schema", "--write")

    path = project / "include" / "specs" / "schema.json"
    assert str(path) in said.out
    assert json.loads(path.read_text()) == json_schema()


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    "command", [["check"], ["status"], ["schema", "--write"], ["build", "bikes"], ["down"], ["serve"]]
)
def test_a_bad_variable_is_a_sentence_and_no_traceback(
    nightshift: Nightshift, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_LOG_FSYNC", "never")

    said = nightshift(*command)

    assert (said.status, said.out) == (1, "")
    assert said.err.startswith("NIGHTSHIFT_LOG_FSYNC is 'never': ")


@pytest.mark.parametrize("pipeline", ["build", "monitor"])
@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if "\0" not in name], ids=ascii)
def test_a_hostile_name_is_refused_and_makes_nothing(
    nightshift: Nightshift, project: Path, pipeline: str, name: str
) -> None:
    said = nightshift(pipeline, "--", name)

    assert said.status == 1
    assert said.err.startswith("no model is called ")
    assert sorted(path.name for path in project.iterdir()) == ["include"]


@pytest.mark.parametrize(
    ("words", "said_of_it"),
    [
        (["build", "bike"], "did you mean 'bikes'?"),
        (["build", "bikes", "--as-of", "yesterday"], "as_of is 'yesterday'; give a moment such as"),
        (["build", "bikes", "--as-of", "0001-01-01"], "give a moment from 1900 to 2200"),
        (["monitor", "bikes", "--start", "2013-02-01", "--end", "2013-01-01"], "is not before its end"),
        (["monitor", "bikes", "--end", "9999-12-31T23:59-10:00"], "give a moment from 1900 to 2200"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_before_anything_is_made(
    nightshift: Nightshift, project: Path, words: list[str], said_of_it: str
) -> None:
    said = nightshift(*words)

    assert (said.status, said.out) == (1, "")
    assert said_of_it in said.err
    assert not (project / "state").exists()


def test_a_ledger_that_is_none_is_a_sentence(nightshift: Nightshift, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_LEDGER", "nodatabase://me:hunter2@x/y")

    said = nightshift("status")

    assert said.status == 1
    assert "NIGHTSHIFT_LEDGER" in said.err
    assert "hunter2" not in said.err


@pytest.mark.parametrize("words", [["nonsense"], ["build"], ["serve", "--port", "0"], ["check", "--spec"], []])
def test_a_wrong_command_has_a_status_of_its_own(nightshift: Nightshift, words: list[str]) -> None:
    said = nightshift(*words)

    assert said.status == 2
    assert "Usage" in said.out + said.err


# ---------------------------------------------------------------- status, down


def test_a_fresh_machine_has_services_that_are_down_and_models_that_are_unknown(nightshift: Nightshift) -> None:
    said = nightshift("status", "--json")

    assert said.status == 0
    assert {service["up"] for service in said.json["services"].values()} == {False}
    assert {"mlflow", "airflow", "airflow-scheduler", "serving"} <= said.json["services"].keys()
    unknown = dict.fromkeys(("champion", "versions", "last_verdict", "last_decision", "paused", "pinned"))
    assert said.json["models"] == [{"name": "bikes", "windows": 0, "blocked": 0, **unknown}]


def test_the_ledger_tells_how_a_model_is_while_the_registry_is_away(nightshift: Nightshift, project: Path) -> None:
    ledger = a_ledger(project / "state")
    day = a_day(3)
    ledger.append("bikes", Kind.PROMOTION, start=day, end=day, body={"version": "3"}, now=day)
    add_window(ledger, 4, {"verdict": {"status": "DRIFTED"}, "decision": {"sentence": "no retrain, because"}})

    (model,) = nightshift("status", "--json").json["models"]

    assert (model["champion"], model["versions"], model["windows"]) == ("3", None, 1)
    assert (model["last_verdict"], model["last_decision"]) == ("DRIFTED", "no retrain, because")


def test_who_pinned_what_and_why_is_told_while_it_lasts_and_after(nightshift: Nightshift, project: Path) -> None:
    folder, pinned = project / "state" / "predictions" / "bikes", Pinned("1", "ada", "2 refuses rain", a_day(2))
    write_down(folder, pinned, by="ada", at=pinned.at)
    note(folder, pinned)
    lasting = [nightshift(*words) for words in (["status"], ["history", "bikes"], ["status", "--json"])]
    write_down(folder, None, by="eve", at=a_day(3))
    note(folder, None)
    ended = nightshift("history", "bikes")

    assert all("pinned by ada" in said.out and "2 refuses rain" in said.out for said in lasting[:2])
    assert lasting[2].json["models"][0]["pinned"] == pinned.to_json()
    assert "version 1 was pinned from" in ended.out
    assert "ended by eve" in ended.out
    (told,) = nightshift("history", "bikes", "--json").json["pins"]
    assert (told["by"], told["ended_by"], told["until"]) == ("ada", "eve", a_day(3).isoformat())


def test_a_key_is_shown_once_and_its_digest_is_kept(nightshift: Nightshift, project: Path) -> None:
    keys = project / "state" / "keys.txt"

    said = nightshift("key", "shop", "--role", "predict", "--per-second", "50", "--file", str(keys))
    wrong = nightshift("key", "shop", "--role", "root", "--file", str(keys))

    secret = said.out.splitlines()[0].split()[-1]
    assert keys.read_text() == f"shop predict {hashlib.sha256(secret.encode()).hexdigest()} 50\n"
    assert wrong.status != 0
    assert "'root' is no role" in wrong.err


def test_people_see_the_same_as_tables(nightshift: Nightshift) -> None:
    said = nightshift("status")

    assert said.status == 0
    assert "bikes" in said.out
    assert "down" in said.out


def test_nothing_runs_and_nothing_is_stopped(nightshift: Nightshift) -> None:
    said = nightshift("down")

    assert (said.status, said.out.strip()) == (0, "nothing was running")


# ---------------------------------------------------------------- as a program


def in_a_process(*words: str) -> Said:
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    return Said(done.returncode, done.stdout, done.stderr)


def test_the_installed_command_is_this_one(project: Path) -> None:
    said = in_a_process("-m", "nightshift.cli", "check", "--specs", "--json")

    assert said.status == 0, said.err
    assert said.json == {"ok": True, "models": ["bikes"], "problems": []}


def test_no_library_of_a_room_is_loaded_before_a_command_needs_it(project: Path) -> None:
    program = f"import sys, nightshift.cli; print([name for name in {HEAVY} if name in sys.modules])"

    assert in_a_process("-c", program).out == "[]\n"


# ---------------------------------------------------------------- what people ask and say of nights


@pytest.fixture
def broken_night(project: Path) -> None:
    """Day 3 was BROKEN and is blocked."""
    ledger = a_ledger(project / "state")
    add_window(
        ledger,
        3,
        {
            "run": "monitor/night-3",
            "rows": 1000,
            "version": "1",
            "verdict": {"status": "BROKEN", "checks": [BROKEN]},
            "decision": {"retrain": False, "rule": "broken", "sentence": "no retrain, because the data are broken"},
        },
    )
    ledger.append("bikes", Kind.BLOCK, start=a_day(3), end=a_day(4), body={"run": "x", "reasons": []}, now=a_day(4))


BROKEN = {"name": "missing", "status": "BROKEN", "subject": "temperature", "sentence": "temperature is null",
          "observed": 0.8, "allowed": 0.1, "rows": 1000}  # fmt: skip


def test_why_tells_a_person_and_a_program(nightshift: Nightshift, broken_night: None) -> None:
    page, found = nightshift("why", "bikes", "2013-01-04"), nightshift("why", "bikes", "2013-01-04T12:00", "--json")

    assert (page.status, found.status) == (0, 0)
    assert "BROKEN  temperature: temperature is null" in page.out
    assert "no retrain, because the data are broken" in page.out
    assert (found.json["verdict"], found.json["rule"], found.json["blocked"]) == ("BROKEN", "broken", True)


@pytest.mark.parametrize(("date", "message"), [("2013-02-30", "is no moment"), ("2014-01-01", "the nearest begin on")])
def test_why_of_no_night_says_what_there_is(
    nightshift: Nightshift, broken_night: None, date: str, message: str
) -> None:
    said = nightshift("why", "bikes", date)

    assert said.status == 1
    assert message in said.err


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (("release", "bikes", "2013-01-04"), Kind.RELEASE),
        (("accept", "bikes", "temperature"), Kind.ACCEPTANCE),
        (("snooze", "bikes", "temperature", "--for", "2w"), Kind.SNOOZE),
        (("retrain", "bikes"), Kind.WISH),
        (("reset", "bikes"), Kind.RESET),
    ],
    ids=lambda words: words[0] if isinstance(words, tuple) else "",
)
def test_what_a_person_says_is_kept_with_who_and_why(
    nightshift: Nightshift, project: Path, broken_night: None, words: tuple[str, ...], kind: Kind
) -> None:
    said = nightshift(*words, "--by", "ada", "--reason", "she looked")

    (entry,) = a_ledger(project / "state").entries("bikes", kind)
    assert (said.status, said.err) == (0, "")
    assert "by ada: she looked" in said.out
    assert (entry.body["by"], entry.body["reason"]) == ("ada", "she looked")


def test_nothing_is_said_without_a_reason(nightshift: Nightshift, broken_night: None) -> None:
    assert nightshift("release", "bikes", "2013-01-04").status == 2
    assert "is empty" in nightshift("release", "bikes", "2013-01-04", "--reason", " ").err


def test_stored_nights_are_judged_again_side_by_side(nightshift: Nightshift, project: Path, broken_night: None) -> None:
    (project / "policy.yaml").write_text("governor: {wanted: 1, nights: 1}\n")

    page = nightshift("replay", "bikes", "--policy", str(project / "policy.yaml"))
    found = nightshift("replay", "bikes", "--policy", str(project / "policy.yaml"), "--json")

    assert (page.status, found.status) == (0, 0)
    assert "1 windows, 1 alerts, 0 retrains, 0 missed incidents" in page.out
    assert found.json["totals"]["policy"] == {"windows": 1, "alerts": 1, "retrains": 0, "missed_incidents": 0}


def test_a_replay_needs_a_model_and_a_policy(nightshift: Nightshift) -> None:
    assert nightshift("replay", "bikes").status == 2
