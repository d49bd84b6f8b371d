"""What a machine may say of itself: defaults below the project, one variable each, and bad ones called by name."""

import json
from pathlib import Path

import pytest

from nightshift.errors import SettingsError
from nightshift.settings import DEPLOYMENT, Settings, find_project

ADDRESSES = {"mlflow": "http://127.0.0.1:5001", "airflow": "http://127.0.0.1:8081", "serving": "http://127.0.0.1:8001"}


@pytest.fixture(autouse=True)
def _no_state_of_the_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NIGHTSHIFT_STATE")


def note_running(state: Path, content: object) -> None:
    state.mkdir(parents=True, exist_ok=True)
    (state / "services.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_all_state_is_below_the_project(tmp_path: Path) -> None:
    settings = Settings.load(project=tmp_path)

    state = tmp_path / ".nightshift"
    assert settings.state == state
    assert {settings.runs, settings.predictions, settings.releases} == {
        state / "runs", state / "predictions", state / "releases"
    }  # fmt: skip
    assert settings.ledger == f"sqlite:///{state}/ledger.db"
    assert settings.data_registry == str(state / "data" / "registry.git")


def test_a_file_of_keys_is_below_the_project_from_wherever_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_SERVING_KEYS", ".nightshift/keys.txt")

    assert Settings.load(project=tmp_path).serving_keys == str(tmp_path / ".nightshift" / "keys.txt")
    assert Settings.load(project=tmp_path, serving_keys="/run/keys").serving_keys == "/run/keys"
    assert Settings.load(project=tmp_path, serving_keys="").serving_keys == ""


def test_the_declarations_are_those_of_the_project_this_code_is_installed_from() -> None:
    settings = Settings.load()

    assert settings.project == find_project()
    assert (settings.specs / "schema.json").is_file()
    assert settings.sources == settings.specs.parent / "sources"
    assert settings.features == settings.specs.parent / "features"
    assert settings.lock.name == "requirements.txt"


def test_relative_folders_are_below_the_project_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("NIGHTSHIFT_PROJECT", str(tmp_path))
    monkeypatch.setenv("NIGHTSHIFT_STATE", "elsewhere")
    monkeypatch.setenv("NIGHTSHIFT_SPECS", "models")

    settings = Settings.load()

    assert settings.state == tmp_path / "elsewhere"
    assert settings.specs == tmp_path / "models"
    assert settings.ledger == f"sqlite:///{tmp_path}/elsewhere/ledger.db"


def test_absolute_folders_are_taken_as_they_are(tmp_path: Path) -> None:
    assert Settings.load(project="/", state=tmp_path, specs=tmp_path / "specs").specs == tmp_path / "specs"


@pytest.mark.parametrize("name", ["data_registry", "data_remote", "ledger", "mlflow", "airflow", "serving"])
def test_each_address_can_be_another_by_its_variable(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(f"NIGHTSHIFT_{name.upper()}", "elsewhere://there")

    assert getattr(Settings.load(), name) == "elsewhere://there"


def test_what_the_caller_says_outranks_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_MLFLOW", "http://one")

    assert Settings.load(mlflow="http://other").mlflow == "http://other"


def test_an_empty_variable_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usual = Settings.load(project=tmp_path)
    for name in ("STATE", "LEDGER", "MLFLOW", "LOG_FSYNC", "SERVING_POLL_SECONDS", "SPECS"):
        monkeypatch.setenv(f"NIGHTSHIFT_{name}", "")

    assert Settings.load(project=tmp_path) == usual


@pytest.mark.parametrize(
    ("name", "value"),
    [("LOG_FSYNC", "never"), ("SERVING_POLL_SECONDS", "soon"), ("SERVING_POLL_SECONDS", "0"),
     ("SERVING_POLL_SECONDS", "-1"), ("SERVING_POLL_SECONDS", "nan"), ("SERVING_POLL_SECONDS", "inf")],
)  # fmt: skip
def test_a_bad_variable_is_called_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(f"NIGHTSHIFT_{name}", value)

    with pytest.raises(SettingsError, match=f"NIGHTSHIFT_{name} is {value!r}: .* Change or unset it"):
        Settings.load()


def test_every_bad_variable_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_LOG_FSYNC", "never")
    monkeypatch.setenv("NIGHTSHIFT_SERVING_POLL_SECONDS", "soon")

    with pytest.raises(SettingsError, match=r"NIGHTSHIFT_LOG_FSYNC.*NIGHTSHIFT_SERVING_POLL_SECONDS"):
        Settings.load()


@pytest.mark.parametrize(
    ("written", "meant"),
    [("LOG_FSINC", "LOG_FSYNC"), ("LEGDER", "LEDGER"), ("MLFLOW_URI", "MLFLOW"), ("SERVING_KEY", "SERVING_KEYS")],
)
def test_a_slip_of_the_pen_is_told_before_its_default_is_taken(
    monkeypatch: pytest.MonkeyPatch, written: str, meant: str
) -> None:
    monkeypatch.setenv(f"NIGHTSHIFT_{written}", "x")

    with pytest.raises(SettingsError, match=f"NIGHTSHIFT_{written} is no setting; did you mean NIGHTSHIFT_{meant}[?]"):
        Settings.load()


def test_variables_of_the_composition_channels_and_others_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    composition = (find_project() / "docker-compose.yaml").read_text()
    for name in ("CHANNEL_LEDGER", "SOMETHING_OF_YOURS", "MLFLOW_SERVICE_HOST", *DEPLOYMENT):
        monkeypatch.setenv(f"NIGHTSHIFT_{name}", "x")

    Settings.load()

    assert {name for name in DEPLOYMENT if f"${{NIGHTSHIFT_{name}:-" not in composition} == set()


def test_no_password_is_told_with_a_bad_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_LEDGER", "postgresql://me:hunter2@db/ledger")
    monkeypatch.setenv("NIGHTSHIFT_LOG_FSYNC", "never")

    with pytest.raises(SettingsError) as caught:
        Settings.load()

    assert "hunter2" not in str(caught.value)


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="STAET"):
        Settings.load(staet="x")


def test_services_that_moved_out_of_the_way_are_found(tmp_path: Path) -> None:
    note_running(tmp_path, {"format": 1, "services": {name: {"url": url} for name, url in ADDRESSES.items()}})

    settings = Settings.load(state=tmp_path)

    assert {name: getattr(settings, name) for name in ADDRESSES} == ADDRESSES


def test_an_address_that_is_set_outranks_the_running_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note_running(tmp_path, {"format": 1, "services": {"mlflow": {"url": ADDRESSES["mlflow"]}}})
    monkeypatch.setenv("NIGHTSHIFT_MLFLOW", "http://elsewhere")

    assert Settings.load(state=tmp_path).mlflow == "http://elsewhere"


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", "1", {}, {"services": []}, {"services": {"mlflow": {}}}, {"services": None}],
    ids=str,
)
def test_a_damaged_note_of_running_services_is_as_good_as_none(tmp_path: Path, content: object) -> None:
    note_running(tmp_path / "state", content)

    assert Settings.load(state=tmp_path / "state").mlflow == Settings.load(state=tmp_path / "other").mlflow
