"""A release is registered only with every box ticked by evidence of this moment; what is missing is told whole."""

import shutil
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from factories.lineage import run_git, write_files
from factories.model import a_spec, rides
from factories.registry import digest, version
from factories.spine import a_day
from nightshift.errors import ReturnToSenderError
from nightshift.files import read_json, write_json
from nightshift.pipelines.checklist import BOXES, check_boxes
from nightshift.pipelines.rebuild import NoReleases
from nightshift.pipelines.release import register
from nightshift.pipelines.request import Asked
from nightshift.pipelines.steps import begin, find_step
from nightshift.pipelines.work import Work
from nightshift.registry import ModelRegistry
from nightshift.registry.release import Release
from nightshift.runs import RunFolder
from nightshift.settings import Settings, find_project

STEPS = ("check_versions", "snapshot", "assemble", "split", "train", "profile", "package", "evaluate")
Break = Callable[[Path, Path], None]


class FirstBuild(Work):
    """A build where nothing is registered yet."""

    @cached_property
    def registry(self) -> ModelRegistry:
        return NoReleases(self.settings.mlflow, self.settings.releases)


class SecondBuild(Work):
    """A build whose lineage is registered already."""

    @cached_property
    def registry(self) -> ModelRegistry:
        return Twin(self.settings.mlflow, self.settings.releases)


def a_work(project: Path) -> Work:
    settings = Settings.load(project=project, state=project / ".nightshift", lock=project / "requirements.txt")
    spec = a_spec(
        "regression",
        source={"path": "rides.parquet"},
        split={"train": "20d", "validation": "5d", "test": "5d", "rows_min": 20},
        gates={"metrics": {"rmse": {"at_most": 1000}}},
    )
    return FirstBuild(spec, RunFolder.of(settings.runs, model=spec.name, pipeline="build", run_id="one"), settings)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout whose build has come to the point where it would be registered."""
    project = tmp_path_factory.mktemp("whole") / "project"
    write_files(project, {"include/specs/rides.yaml": "name: rides\n", ".gitignore": ".nightshift/\n"})
    shutil.copy(find_project() / "requirements.txt", project / "requirements.txt")
    rides("regression", rows=900).to_parquet(project / "rides.parquet")
    run_git("init", "--quiet", "--initial-branch=main", where=project)
    run_git("add", "--all", where=project)
    run_git("commit", "--quiet", "--message=first", where=project)
    work = a_work(project)
    newest = pd.read_parquet(project / "rides.parquet")[work.spec.time.column].max()
    begin("build", work, Asked.by_person(now=a_day(0), as_of=newest.normalize().isoformat()))
    for name in STEPS:
        find_step("build", name)(work)
    return project


@pytest.fixture
def project(whole: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy that a test may break."""
    copy = shutil.copytree(whole, tmp_path / "project", symlinks=True)
    yield copy
    shutil.rmtree(copy)


def missing(project: Path) -> tuple[str, ...]:
    with pytest.raises(ReturnToSenderError) as refused:
        check_boxes(a_work(project))
    return refused.value.reasons


def test_a_whole_build_ticks_every_box(whole: Path) -> None:
    boxes = check_boxes(a_work(whole))

    assert [box.name for box in boxes] == list(BOXES)
    assert not [box for box in boxes if box.missing]
    assert read_json(a_work(whole).run.file("checklist.json"))["complete"] is True


def edit(path: str, **values: Any) -> Break:
    def apply(run: Path, _: Path) -> None:
        write_json(run / path, read_json(run / path) | values)

    return apply


def edit_code(_: Path, project: Path) -> None:
    (project / "include" / "specs" / "rides.yaml").write_text("name: other\n")


def commit_code(run: Path, project: Path) -> None:
    edit_code(run, project)
    run_git("commit", "--quiet", "--all", "--message=second", where=project)


def edit_lock(_: Path, project: Path) -> None:
    lock = project / "requirements.txt"
    lock.write_text(lock.read_text().replace("xgboost==", "xgboost==0.", 1))


def begin_elsewhere(run: Path, _: Path) -> None:
    versions = read_json(run / "versions.json")
    versions["environment"]["arithmetic"] = "openblas Nehalem, NumPy X86_V2, glibc 2.36"
    write_json(run / "versions.json", versions)


def change_a_cell(run: Path, _: Path) -> None:
    rows = pd.read_parquet(run / "splits" / "test.parquet")
    column = next(name for name in rows if pd.api.types.is_float_dtype(rows[name]))
    rows.loc[0, column] = 12345.0
    (run / "splits" / "test.parquet").unlink()
    rows.to_parquet(run / "splits" / "test.parquet")


def forget_the_registry(_: Path, project: Path) -> None:
    shutil.rmtree(project / ".nightshift" / "data")


def change_the_booster(run: Path, _: Path) -> None:
    file = run / "package" / "booster.ubj"
    file.write_bytes(file.read_bytes()[:-1] + b"!")


def drop_the_intervals(run: Path, _: Path) -> None:
    content = read_json(run / "evaluation.json")
    content["metrics"]["rmse"]["low"] = None
    write_json(run / "evaluation.json", content)


@pytest.mark.parametrize(
    ("break_it", "box", "said"),
    [
        (edit_code, "code versioned", "differs from commit"),
        (commit_code, "code versioned", "let no one change it while it builds"),
        (edit_lock, "environment equals the lock", "xgboost"),
        (begin_elsewhere, "environment equals the lock", "arithmetic was openblas Nehalem, NumPy X86_V2"),
        (edit("assembled.json", digest="0.dir"), "data versioned and hashed again", "was made from data 0.dir"),
        (forget_the_registry, "exact data version recorded", ""),
        (change_a_cell, "splits pinned", "test.parquet: its rows have digest"),
        (change_the_booster, "model trained and saved", "booster.ubj"),
        (drop_the_intervals, "test performance recorded", "rmse has no interval"),
        (edit("evaluation.json", metrics={}), "test performance recorded", "no metric is known"),
        (edit("evaluation.json", rows=3), "test performance recorded", "3 rows were judged"),
        (edit("verdict.json", status="FAIL"), "test performance recorded", "the gates are not met"),
        (lambda run, _: (run / "assembled.json").unlink(), "data versioned and hashed again", "cannot be read"),
        (lambda run, _: (run / "evaluation.json").unlink(), "test performance recorded", "cannot be read"),
    ],
)
def test_each_box_that_is_not_ticked_is_told(project: Path, break_it: Break, box: str, said: str) -> None:
    break_it(a_work(project).run.path, project)

    assert any(reason.startswith(f"{box}: ") and said in reason for reason in missing(project))


def test_the_whole_list_is_told_and_kept(project: Path) -> None:
    run = a_work(project).run.path
    edit_code(run, project)
    change_a_cell(run, project)
    edit("verdict.json", status="FAIL")(run, project)

    told = {reason.split(":")[0] for reason in missing(project)}

    assert {"code versioned", "splits pinned", "test performance recorded"} <= told
    kept = read_json(run / "checklist.json")
    assert kept["complete"] is False
    assert {box["name"] for box in kept["boxes"] if not box["ticked"]} >= told


def test_an_edited_checkout_may_be_allowed_and_stays_unticked(project: Path) -> None:
    work = a_work(project)
    edit_code(work.run.path, project)
    edit("request.json", allow_unreproducible=True)(work.run.path, project)

    boxes = check_boxes(a_work(project))

    assert [box.name for box in boxes if box.missing] == ["code versioned"]


def test_nothing_else_may_be_allowed(project: Path) -> None:
    work = a_work(project)
    change_a_cell(work.run.path, project)
    edit("request.json", allow_unreproducible=True)(work.run.path, project)

    assert any(reason.startswith("splits pinned") for reason in missing(project))


class Twin(NoReleases):
    """A registry that has the lineage already, with a package of its own."""

    def register(self, model: str, package: Path, *_: Any, **about: Any) -> Release:
        return Release.of_version(version(7))


def test_a_lineage_that_is_registered_with_another_package_is_returned_to_sender(project: Path) -> None:
    work = a_work(project)

    with pytest.raises(ReturnToSenderError, match="equal inputs must give equal bytes") as refused:
        register(SecondBuild(work.spec, work.run, work.settings))

    assert digest("package") in str(refused.value)
    assert not work.run.file("release.json").exists()
