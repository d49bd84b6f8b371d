"""Strangers' files get an answer each, hostile ones too."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from factories.profile import KINDS, trips
from nightshift.cli import app
from nightshift.errors import RequestError
from nightshift.replay.files import replay_files

ROWS = 1500


def answered(rows: pd.DataFrame, *, noise: float = 1.0, seed: int = 5) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    speed = rows["speed"].fillna(20.0)
    return rows.assign(prediction=speed, target=speed + noise * chance.normal(size=len(rows)))


@pytest.fixture
def given(tmp_path: Path) -> Path:
    answered(trips(6000)).to_parquet(tmp_path / "r.parquet")
    schema = {"features": {name: str(kind) for name, kind in KINDS.items()}, "task": "regression", "ordered": False}
    (tmp_path / "s.json").write_text(json.dumps({**schema, "window_rows": [ROWS]}))
    (tmp_path / "windows").mkdir()
    (tmp_path / "labels").mkdir()
    return tmp_path


def put(given: Path, name: str, rows: pd.DataFrame) -> None:
    rows.drop(columns="target", errors="ignore").to_parquet(given / "windows" / f"{name}.parquet")


def replayed(given: Path, *, labels: bool = False) -> dict[str, dict[str, object]]:
    beside = given / "labels" if labels else None
    return replay_files(given / "r.parquet", given / "windows", given / "s.json", labels=beside)


def test_a_quiet_window_is_healthy_and_a_fault_names_its_column(given: Path) -> None:
    quiet = answered(trips(ROWS, seed=1))
    put(given, "quiet", quiet)
    put(given, "stuck", quiet.assign(speed=21.0))

    found = replayed(given)

    assert (found["quiet"]["drift"], found["quiet"]["performance"]) == (False, False)
    assert (found["quiet"]["verdict"], found["quiet"]["reasons"]) == ("HEALTHY", [])
    assert found["quiet"]["columns"] == dict.fromkeys(KINDS, False)
    assert found["stuck"]["verdict"] == "BROKEN"
    assert found["stuck"]["columns"] == {**dict.fromkeys(KINDS, False), "speed": True}


def test_labels_that_changed_are_found_once_they_are_in(given: Path) -> None:
    changed = answered(trips(ROWS, seed=2), noise=3.0)
    put(given, "night", changed)
    changed[["target"]].to_parquet(given / "labels" / "night.parquet")

    before, after = replayed(given)["night"], replayed(given, labels=True)["night"]

    assert (before["performance"], before["verdict"]) == (False, "HEALTHY")
    assert (after["performance"], after["verdict"], after["drift"]) == (True, "DEGRADED", False)


def test_what_a_fault_costs_is_told_before_labels_are_in(given: Path) -> None:
    quiet = answered(trips(ROWS, seed=3))
    chance = np.random.default_rng(6)
    loose = quiet.assign(speed=np.where(chance.random(ROWS) < 0.3, -999.0, quiet["speed"]))
    put(given, "harmful", loose.assign(prediction=loose["speed"].fillna(20.0)))
    put(given, "harmless", quiet.assign(hour=np.where(chance.random(ROWS) < 0.3, -999.0, quiet["hour"])))

    found = replayed(given)

    assert (found["harmful"]["performance"], found["harmful"]["verdict"]) == (True, "BROKEN")
    assert "without labels" in str(found["harmful"]["reasons"])
    assert (found["harmless"]["performance"], found["harmless"]["verdict"]) == (False, "BROKEN")


def test_hostile_windows_get_an_answer_and_stop_no_other(given: Path) -> None:
    quiet = answered(trips(ROWS, seed=1))
    put(given, "all_null", quiet.assign(speed=np.nan))
    put(given, "empty", quiet[:0])
    put(given, "extra", quiet.assign(more=1))
    put(given, "infinite", quiet.assign(speed=np.inf))
    put(given, "missing", quiet.drop(columns="zone"))
    put(given, "new", quiet.assign(zone=[f"z{place}" for place in range(ROWS)]))
    put(given, "typed", quiet.assign(speed="fast"))
    (given / "windows" / "torn.parquet").write_bytes(b"PAR1")

    answers = replayed(given)

    found = {name: answer["verdict"] for name, answer in answers.items()}
    failed = [name for name, answer in answers.items() if "cannot be judged" in str(answer["reasons"])]
    assert failed == ["torn"]
    assert found.pop("empty") == "UNKNOWN"
    assert found.pop("extra") == "HEALTHY"
    assert found.pop("new") in ("DRIFTED", "BROKEN")
    assert set(found.values()) == {"BROKEN"}


def in_order(given: Path, **changes: object) -> None:
    answered(trips(15_000)).to_parquet(given / "r.parquet")
    content = json.loads((given / "s.json").read_text()) | {"ordered": True, "window_rows": [300, 1500]} | changes
    (given / "s.json").write_text(json.dumps(content))


def test_windows_of_each_declared_size_are_held_to_stretches_of_their_own(given: Path) -> None:
    in_order(given)
    for size in (300, 1500):
        put(given, f"quiet{size}", answered(trips(size, seed=size)))

    found = replayed(given)

    assert {name: answer["verdict"] for name, answer in found.items()} == {
        "quiet300": "HEALTHY",
        "quiet1500": "HEALTHY",
    }


def a_stretch(number: int, *, evenings: float, noise: float = 1.0, rows: int = 300) -> pd.DataFrame:
    """Return rows of which a share is of the evening, when answers are three times as far off."""
    chance = np.random.default_rng([number, 8])
    late = chance.random(rows) < evenings
    day = trips(rows, seed=number).assign(hour=np.where(late, 20.0, 8.0))
    speed = day["speed"].fillna(20.0)
    return day.assign(prediction=speed, target=speed + noise * np.where(late, 3.0, 1.0) * chance.normal(size=rows))


def in_seasons(given: Path, *, ordered: bool = True) -> pd.DataFrame:
    """Lay out a reference of forty stretches of which some have far more evenings, and return its rows."""
    in_order(given, ordered=ordered, window_rows=[300])
    seasons = [a_stretch(number, evenings=0.5 + 0.3 * np.sin(number)) for number in range(40)]
    rows = pd.concat(seasons, ignore_index=True)
    rows.to_parquet(given / "r.parquet")
    return rows


def put_with_labels(given: Path, name: str, rows: pd.DataFrame) -> None:
    put(given, name, rows)
    rows[["target"]].to_parquet(given / "labels" / f"{name}.parquet")


@pytest.mark.parametrize("ordered", [True, False])
def test_what_seasons_cost_is_no_news_where_the_reference_has_them_in_order(given: Path, ordered: bool) -> None:
    in_seasons(given, ordered=ordered)
    put_with_labels(given, "late", a_stretch(50, evenings=0.8))
    put_with_labels(given, "changed", a_stretch(51, evenings=0.8, noise=2.0))
    wrong = a_stretch(52, evenings=0.5)
    put(given, "wrong", wrong.assign(prediction=wrong["prediction"] + 8.0))

    before, after = replayed(given), replayed(given, labels=True)

    assert before["late"]["performance"] is not ordered
    assert after["late"]["performance"] is not ordered
    assert after["changed"]["performance"] is True
    assert before["wrong"]["performance"] is True


@pytest.mark.parametrize("spoilt", ["prediction missing", "prediction huge", "target huge", "target rare"])
def test_a_few_odd_cells_of_the_reference_make_no_season(given: Path, spoilt: str) -> None:
    rows = in_seasons(given)
    column, _, how = spoilt.partition(" ")
    every = np.arange(len(rows))
    odd = {"missing": (every % 100 == 0, np.nan), "huge": (every == 700, 1e200), "rare": (every % 50 > 0, np.nan)}[how]
    rows.assign(**{column: rows[column].mask(*odd)}).to_parquet(given / "r.parquet")
    put_with_labels(given, "late", a_stretch(50, evenings=0.8))
    put_with_labels(given, "changed", a_stretch(51, evenings=0.8, noise=4.0))

    before, after = replayed(given), replayed(given, labels=True)

    assert before["late"]["performance"] is False
    assert after["changed"]["performance"] is (how != "huge")  # by then the mean of all errors is endless


def test_two_or_three_stretches_tell_of_no_season(given: Path) -> None:
    in_order(given, window_rows=[300])
    a_stretch(1, evenings=0.5, rows=179).to_parquet(given / "r.parquet")
    put_with_labels(given, "changed", a_stretch(2, evenings=0.5, noise=2.0))

    assert replayed(given, labels=True)["changed"]["performance"] is True


def test_far_fewer_or_more_rows_than_any_declared_size_are_broken(given: Path) -> None:
    for rows in (900, 1100, 2200, 2400):
        put(given, f"w{rows}", answered(trips(rows, seed=rows)))

    found = replayed(given)

    verdicts = {name: answer["verdict"] for name, answer in found.items()}
    assert verdicts == {"w900": "BROKEN", "w1100": "HEALTHY", "w2200": "HEALTHY", "w2400": "BROKEN"}
    assert found["w900"]["columns"] == dict.fromkeys(KINDS, False)


def test_a_size_of_no_rows_is_refused(given: Path) -> None:
    in_order(given, window_rows=[0])

    with pytest.raises(RequestError, match="window_rows"):
        replayed(given)


def test_answers_that_are_far_off_are_told_though_no_column_speaks(given: Path) -> None:
    quiet = answered(trips(ROWS, seed=4))
    put(given, "hardly", quiet.assign(prediction=quiet["prediction"] + 0.1))
    put(given, "far", quiet.assign(prediction=quiet["prediction"] + 3))

    found = replayed(given)

    assert {name: answer["verdict"] for name, answer in found.items()} == {"hardly": "HEALTHY", "far": "DEGRADED"}


def test_a_model_that_was_never_wrong_is_not_degraded_by_a_breath(given: Path) -> None:
    def said(rows: pd.DataFrame) -> pd.DataFrame:
        late = (rows["speed"] > 20).astype(int)
        return rows.assign(prediction=late, probability=rows["speed"].fillna(0) / 100, target=late)

    said(trips(6000)).to_parquet(given / "r.parquet")
    content = json.loads((given / "s.json").read_text()) | {"task": "binary", "window_rows": [300]}
    (given / "s.json").write_text(json.dumps(content))
    for seed in range(6, 12):
        put(given, f"quiet{seed}", said(trips(300, seed=seed)))

    assert {answer["verdict"] for answer in replayed(given).values()} == {"HEALTHY"}


def test_a_reference_of_a_few_rows_is_refused(given: Path) -> None:
    answered(trips(20)).to_parquet(given / "r.parquet")

    with pytest.raises(RequestError, match="has 20 rows"):
        replayed(given)


def test_a_reference_without_a_declared_column_is_refused(given: Path) -> None:
    answered(trips(100)).drop(columns="zone").to_parquet(given / "r.parquet")

    with pytest.raises(RequestError, match="lacks zone"):
        replayed(given)


def test_the_command_writes_the_answer(given: Path) -> None:
    put(given, "quiet", answered(trips(ROWS, seed=1)))
    out = given / "v.json"

    options = ["--reference", given / "r.parquet", "--windows", given / "windows", "--schema", given / "s.json"]
    result = CliRunner().invoke(app, ["replay", *map(str, options), "--out", str(out)])

    assert result.exit_code == 0, result.output
    assert json.loads(out.read_text()).keys() == {"quiet"}
