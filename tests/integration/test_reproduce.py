"""A release is made again byte for byte from nothing but its lineage, and whatever was changed meanwhile is named."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from factories.lineage import flip_a_byte, object_at, run_git
from factories.mlflow import mlflow_server
from nightshift.files import read_json
from nightshift.settings import find_project

MODEL = "flight_delay"
DAY = "flights/2013-02-20.parquet"

pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class Installation:
    """A clean checkout with a state of its own, a real MLflow, and the command."""

    project: Path
    state: Path
    mlflow: str

    def run(
        self, *arguments: str, module: str = "nightshift.cli", **variables: str
    ) -> "subprocess.CompletedProcess[str]":
        """Run the command of the checkout, as a person would."""
        return subprocess.run(
            [sys.executable, "-m", module, *arguments],
            env=os.environ
            | {
                "PYTHONPATH": str(self.project / "include"),
                "NIGHTSHIFT_STATE": str(self.state),
                "NIGHTSHIFT_MLFLOW": self.mlflow,
                **variables,
            },
            cwd=self.project, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def reproduce(self, run: str) -> tuple[int, dict[str, Any], str]:
        """Reproduce version 1; return the exit status, the certificate and what was said beside it."""
        done = self.run("reproduce", MODEL, "1", "--run", run, "--json")
        return done.returncode, json.loads(done.stdout), done.stderr

    def folder(self, run: str) -> Path:
        return self.state / "runs" / MODEL / "reproduce" / run


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """The project as it lies here, committed: a checkout under work would rightly be refused."""
    here, folder = find_project(), tmp_path_factory.mktemp("reproduce")
    project = folder / "project"
    listed = run_git("ls-files", "--cached", "--others", "--exclude-standard", where=here).splitlines()
    for name in filter(lambda name: (here / name).is_file(), listed):
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(here / name, project / name)
    spec = project / "include" / "specs" / f"{MODEL}.yaml"
    smaller = spec.read_text().replace("train: 90d, validation: 15d", "train: 30d, validation: 10d")
    assert smaller != spec.read_text()
    spec.write_text(smaller.replace("rounds: 300", "rounds: 40"))
    run_git("init", "--quiet", "--initial-branch=main", where=project)
    run_git("add", "--all", where=project)
    run_git("commit", "--quiet", "--message=the project as it lies here", where=project)
    with mlflow_server(folder / "mlflow") as mlflow:
        yield Installation(project, folder / "state", mlflow.url)


@pytest.fixture(scope="module")
def built(installation: Installation) -> Installation:
    """Version 1 is registered, and nothing of the run that made it is left.

    It was made where other instructions were asked for, as a machine of another kind would take them.
    """
    other = {"OPENBLAS_CORETYPE": "Sandybridge", "NPY_DISABLE_CPU_FEATURES": "", "OPENBLAS_NUM_THREADS": "2"}
    done = installation.run("build", MODEL, "--as-of", "2013-04-01", "--json", **other)
    assert done.returncode == 0, done.stderr
    shutil.rmtree(installation.state / "runs")
    shutil.rmtree(installation.state / "releases")
    shutil.rmtree(installation.state / "data" / "scratch")
    return installation


@pytest.fixture(scope="module")
def certified(built: Installation) -> tuple[int, dict[str, Any], str]:
    return built.reproduce("first")


def test_a_release_is_made_again_byte_for_byte(certified: tuple[int, dict[str, Any], str]) -> None:
    status, certificate, said = certified

    assert status == 0, said
    assert certificate["identical"] is True
    assert certificate["differences"] == []
    compared = [one["what"] for one in certificate["compared"]]
    assert {"code commit", "packages", "data", "train rows", "package/booster.ubj", "package/profile.json"} <= {
        *compared
    }
    assert compared[-2:] == ["package/manifest.json", "metrics on the test rows"]


def test_the_certificate_is_on_the_version_its_card_and_in_the_ledger(
    built: Installation, certified: tuple[int, dict[str, Any], str]
) -> None:
    assert certified[0] == 0
    code = (
        "import json; from nightshift.settings import Settings; from nightshift.registry import ModelRegistry;"
        "from nightshift.ledger import Kind, Ledger; s = Settings.load(); r = ModelRegistry(s.mlflow, s.releases);"
        f"v = r.version({MODEL!r}, '1'); e = Ledger(s.ledger).entries({MODEL!r}, Kind.CERTIFICATE);"
        f"page = r.evidence({MODEL!r}, '1', 'certificate.html').read_text();"
        f"card = r.evidence({MODEL!r}, '1', 'card.html').read_text();"
        "told = ['IDENTICAL' in page, 'identical, ' in card and 'things compared' in card, e[0].body['identical']];"
        "print(json.dumps([v.tags['certificate'], *told]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True,
        env=os.environ | {"NIGHTSHIFT_STATE": str(built.state), "NIGHTSHIFT_MLFLOW": built.mlflow},
    )  # fmt: skip

    tag, on_page, on_card, in_ledger = json.loads(done.stdout)

    assert tag.startswith("identical, 20")
    assert on_page
    assert on_card
    assert in_ledger


def test_a_changed_object_of_the_remote_is_named_with_both_digests(
    built: Installation, certified: tuple[int, dict[str, Any], str]
) -> None:
    assert certified[0] == 0
    remote = built.state / "data" / "remote"
    listing = next(path for path in remote.rglob("*.dir") if DAY in path.read_text())
    digest = next(one["md5"] for one in json.loads(listing.read_text()) if one["relpath"] == DAY)
    damaged = object_at(remote, digest)
    whole = damaged.read_bytes()
    flip_a_byte(damaged)

    status, certificate, said = built.reproduce("damaged")

    damaged.chmod(0o644)
    damaged.write_bytes(whole)
    assert status == 1
    assert certificate["identical"] is False
    assert certificate["differences"][0]["what"] == "data"
    assert digest in certificate["differences"][0]["how"]
    assert "Return to sender!" in said


def test_edited_code_and_one_changed_cell_are_named_cause_before_effect(
    built: Installation, certified: tuple[int, dict[str, Any], str]
) -> None:
    assert certified[0] == 0
    _step(built, "cell", "recall", "check_out", "install", "fetch")
    query = built.folder("cell") / "code" / "include" / "features" / "aircraft.sql"
    query.write_text(query.read_text() + "\n-- a remark\n")
    day = built.folder("cell") / "tables" / DAY
    rows = pd.read_parquet(day)
    rows.loc[3, "distance"] = rows.loc[3, "distance"] + 1
    day.chmod(0o644)
    rows.to_parquet(day, index=False)

    _step(built, "cell", "rebuild", "certify")

    differences = read_json(built.folder("cell") / "certificate.json")["differences"]
    assert [one["what"] for one in differences[:3]] == ["code beside the commit", "features", "train rows"]
    assert "column distance: recorded" in differences[2]["how"]
    assert "1 of" in differences[2]["how"]
    assert any(one["what"] == "package/profile.json" for one in differences)


def test_another_order_of_rows_in_the_source_changes_nothing(
    built: Installation, certified: tuple[int, dict[str, Any], str]
) -> None:
    assert certified[0] == 0
    _step(built, "order", "recall", "check_out", "install", "fetch")
    day = built.folder("order") / "tables" / DAY
    rows = pd.read_parquet(day)
    day.chmod(0o644)
    rows.iloc[::-1].to_parquet(day, index=False)

    _step(built, "order", "rebuild", "certify")

    assert read_json(built.folder("order") / "certificate.json")["identical"] is True


def test_another_version_of_a_package_is_named(built: Installation, certified: tuple[int, dict[str, Any], str]) -> None:
    assert certified[0] == 0
    (environment,) = (built.state / "environments").iterdir()
    (metadata,) = environment.glob("lib/python3.11/site-packages/packaging-*.dist-info/METADATA")
    whole = metadata.read_text()
    found = next(line for line in whole.splitlines() if line.startswith("Version: "))
    metadata.unlink()  # it may be one file with the one of this environment
    metadata.write_text(whole.replace(found, "Version: 1.0"))

    status, certificate, _ = built.reproduce("package")

    metadata.write_text(whole)
    assert status == 1
    first = certificate["differences"][0]
    assert first["what"] == "packages"
    assert first["rebuilt"] == f"packaging 1.0, the lock says {found.removeprefix('Version: ')}"


def test_a_version_that_is_not_there_is_refused_with_the_ones_that_are(built: Installation) -> None:
    done = built.run("reproduce", MODEL, "7")

    assert done.returncode == 1
    assert "has no version 7; known are: 1" in " ".join(done.stderr.split())


def test_a_version_that_is_no_number_is_refused(built: Installation) -> None:
    done = built.run("reproduce", MODEL, "newest")

    assert done.returncode == 1
    assert "give a number" in " ".join(done.stderr.split())


def _step(built: Installation, run: str, *steps: str) -> None:
    """Run single steps of one run, so that something can happen between them; the last may refuse."""
    code = (
        "import sys; from nightshift.pipelines.request import Asked; from datetime import UTC, datetime;"
        "from nightshift.pipelines.steps import begin, find_step, open_work;"
        f"work = open_work('reproduce', model={MODEL!r}, run_id=sys.argv[1]);"
        "begin('reproduce', work, Asked.by_person(now=datetime(2026, 1, 1, tzinfo=UTC), version='1'));"
        "[find_step('reproduce', name)(work) for name in sys.argv[2:]]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, run, *steps], capture_output=True, text=True, check=False,
        env=os.environ
        | {
            "NIGHTSHIFT_PROJECT": str(built.project),
            "NIGHTSHIFT_STATE": str(built.state),
            "NIGHTSHIFT_MLFLOW": built.mlflow,
        },
    )  # fmt: skip
    assert done.returncode == 0 or "Return to sender!" in done.stderr, done.stderr[-2000:]
