"""A run folder belongs to one run that was asked for one thing, and no run id leads anywhere else."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.spec import HOSTILE_NAMES
from factories.spine import a_run
from nightshift.errors import RunFolderError
from nightshift.files import write_json

REQUEST = {"as_of": "2013-05-01", "promote": True}


def test_the_same_request_twice_is_once(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    run.begin(REQUEST)
    before = run.file("request.json").stat().st_mtime_ns

    run.begin(dict(reversed(REQUEST.items())))

    assert run.read("request.json") == REQUEST
    assert run.file("request.json").stat().st_mtime_ns == before


def test_another_request_is_refused_with_both_values(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    run.begin(REQUEST)

    with pytest.raises(RunFolderError) as caught:
        run.begin({"as_of": "2013-06-01", "promote": True, "reason": "drift"})

    assert "as_of was '2013-05-01' and is '2013-06-01', reason was None and is 'drift'" in str(caught.value)
    assert "promote" not in str(caught.value)
    assert str(run.path) in str(caught.value)
    assert run.read("request.json") == REQUEST


def test_a_folder_that_holds_files_but_no_request_is_begun(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    run.write("left.json", {})

    run.begin(REQUEST)

    assert run.read("request.json") == REQUEST


def test_a_step_that_has_not_run_is_named_by_its_file(tmp_path: Path) -> None:
    run = a_run(tmp_path)

    with pytest.raises(RunFolderError, match=r"split\.json is missing; the step that writes it has not run"):
        run.read("split.json")


def test_looking_at_a_run_makes_nothing(tmp_path: Path) -> None:
    a_run(tmp_path).file("x.json")

    assert list(tmp_path.iterdir()) == []


@given(st.text())
def test_every_run_id_has_its_own_folder_right_below_the_pipelines(run_id: str) -> None:
    runs = Path("/runs")

    path = a_run(runs, run_id).path

    assert path.parent == runs / "bikes" / "build"
    assert path.name not in ("", ".", "..")
    assert path.name.isascii()
    assert len(path.name) <= 100
    assert not path.name.startswith(("-", "."))
    assert path == a_run(runs, run_id).path


@given(st.text("ab:/-. ", max_size=6), st.text("ab:/-. ", max_size=6))
def test_two_run_ids_never_share_a_folder(one: str, other: str) -> None:
    assert (a_run(Path("/"), one).path == a_run(Path("/"), other).path) == (one == other)


def test_run_ids_of_hostile_names_stay_apart_and_inside() -> None:
    ids = [*HOSTILE_NAMES, "a" * 80, "a" * 81, "a" * 82, "b" * 300, "-", "--", "/", "//"]

    folders = {a_run(Path("/runs"), run_id).path for run_id in ids}

    assert len(folders) == len(set(ids))
    assert {folder.parent for folder in folders} == {Path("/runs/bikes/build")}


@pytest.mark.parametrize("run_id", ["manual__2026-01-01", "a", "A_b-9", "x" * 80])
def test_a_run_id_that_is_a_safe_name_is_the_folders(run_id: str) -> None:
    assert a_run(Path("/"), run_id).path.name == run_id


def test_a_folder_called_like_a_changed_id_is_not_taken_for_it(tmp_path: Path) -> None:
    changed = a_run(tmp_path, "manual:1")
    write_json(changed.file("request.json"), REQUEST)

    assert a_run(tmp_path, changed.path.name).path != changed.path
