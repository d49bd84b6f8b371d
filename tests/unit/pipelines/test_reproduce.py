"""A difference ends the work of all later steps but the certificate; what no commit holds cannot be rebuilt."""

from pathlib import Path

import pytest

from factories.lineage import a_lineage
from factories.spec import write_spec
from factories.spine import a_day
from nightshift.errors import RequestError, SettingsError
from nightshift.files import write_json
from nightshift.pipelines.reproduce import check_out, fetch, install, rebuild
from nightshift.pipelines.request import Asked, ReproduceRequest
from nightshift.pipelines.steps import open_work
from nightshift.pipelines.work import Then, Work
from nightshift.settings import Settings


def a_work(folder: Path, **settings: object) -> Work:
    """Return a run that recalled a release of ``bikes``."""
    write_spec(folder / "specs")
    places = {"project": folder, "specs": folder / "specs", "state": folder / "state"}
    work = open_work("reproduce", model="bikes", run_id="audit", settings=Settings.load(**places | settings))
    work.run.write("recorded/lineage.json", a_lineage().to_json())
    return work


@pytest.mark.parametrize("step", [check_out, install, fetch, rebuild])
def test_a_step_after_a_difference_has_nothing_to_do(tmp_path: Path, step: object) -> None:
    work = a_work(tmp_path)
    work.run.write("found/data.json", [{"what": "data", "recorded": "1", "rebuilt": "2", "how": ""}])

    assert step(work).then is Then.SKIP  # type: ignore[operator]


def test_a_commit_that_is_nowhere_is_a_difference_and_no_crash(tmp_path: Path) -> None:
    work = a_work(tmp_path)

    outcome = check_out(work)

    assert outcome.then is Then.GO_ON
    assert outcome.sentence.startswith("differs: code commit: recorded")
    assert "is nowhere" in outcome.sentence


def test_another_lock_is_a_difference(tmp_path: Path) -> None:
    work = a_work(tmp_path)
    write_json(work.run.file("code/requirements.txt"), "something else")

    outcome = install(work)

    assert outcome.sentence.startswith("differs: lock: recorded")


def test_a_lock_outside_the_project_is_refused(tmp_path: Path) -> None:
    work = a_work(tmp_path, lock=Path("/etc/hostname"))

    with pytest.raises(SettingsError, match="outside the project"):
        install(work)


@pytest.mark.parametrize(("asked", "version"), [("3", "3"), (" v12 ", "12"), (None, None), ("", None), (4, "4")])
def test_a_version_is_a_number_or_the_champions(asked: object, version: str | None, tmp_path: Path) -> None:
    spec = a_work(tmp_path).spec

    request = ReproduceRequest.from_asked(spec, Asked.by_person(now=a_day(0), version=asked))

    assert request.version == version


@pytest.mark.parametrize("asked", ["newest", "0", "-1", "1.5", "1; drop", "../1"])
def test_what_is_no_version_is_refused(asked: str, tmp_path: Path) -> None:
    spec = a_work(tmp_path).spec

    with pytest.raises(RequestError, match="give a number"):
        ReproduceRequest.from_asked(spec, Asked.by_person(now=a_day(0), version=asked))


def test_a_request_and_back_is_the_same(tmp_path: Path) -> None:
    request = ReproduceRequest.from_asked(a_work(tmp_path).spec, Asked.by_person(now=a_day(0), user="ada", version="3"))

    assert ReproduceRequest.from_json(request.to_json()) == request
