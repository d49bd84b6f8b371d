"""A build again, by a commit's own code, in a folder apart: the child process of ``reproduce``.

``python -m nightshift.pipelines.rebuild MODEL FOLDER`` finds in FOLDER what was
recorded (``recorded/request.json``, ``recorded/lineage.json``) and the data
(``tables/``), and runs the very steps of a build in ``FOLDER/run``. It knows no
registry, no remote and no ledger of the installation. The code that calls it
may be newer than the code that runs here: this paragraph is all they share.
"""

import shutil
import sys
from collections.abc import Collection
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from nightshift.errors import DataRegistryError, NightshiftError, ReturnToSenderError
from nightshift.files import read_json
from nightshift.lineage.data import DataRegistry, DatasetVersion
from nightshift.lineage.record import Lineage
from nightshift.pipelines.request import BuildRequest, Cause
from nightshift.pipelines.steps import find_step
from nightshift.pipelines.work import Work
from nightshift.registry import ModelRegistry
from nightshift.registry.release import Release
from nightshift.runs import REQUEST, RunFolder
from nightshift.settings import Settings
from nightshift.spec import find_spec

STEPS = ("check_versions", "assemble", "split", "train", "profile", "package", "evaluate")
"""What makes a release out of code and data; ``snapshot`` looks at the source, which is not asked again."""


def rebuild(model: str, folder: Path) -> None:
    """Run the steps of a build on what lies in ``folder``; each says its sentence.

    Raises
    ------
    NightshiftError
        What a build's step would raise.
    """
    settings = Settings.load()
    recorded = Lineage.from_json(read_json(folder / "recorded" / "lineage.json"))
    asked = BuildRequest.from_json(read_json(folder / "recorded" / REQUEST))
    work = Rebuild(find_spec(settings.specs, model), RunFolder(folder / "run"), settings)
    # a night would end outside its calendar, and what differs is to be named, not refused
    work.run.begin(replace(asked, cause=Cause.PERSON, allow_unreproducible=True).to_json())
    work.run.write("snapshot.json", {"format": 1, "data": recorded.data.to_json() if recorded.data else None})
    for name in STEPS:
        sys.stdout.write(f"{name}: {find_step('build', name)(work).sentence}\n")
        sys.stdout.flush()


class Rebuild(Work):
    """A build's work, apart from every place of the installation."""

    @cached_property
    def data(self) -> DataRegistry:
        folder = self.run.path.parent
        recorded = Lineage.from_json(read_json(folder / "recorded" / "lineage.json"))
        if recorded.data is None or recorded.table is None:
            raise ReturnToSenderError(recorded.problems())
        return GivenData(folder / "tables", recorded.data, recorded.table)

    @cached_property
    def registry(self) -> ModelRegistry:
        return NoReleases(self.settings.mlflow, self.settings.releases)


class GivenData(DataRegistry):
    """A registry that holds what it was given: one version to read, another to be made again."""

    def __init__(self, folder: Path, held: DatasetVersion, pinned: DatasetVersion) -> None:
        self._folder, self._held, self._pinned = folder, held, pinned

    def create(self) -> None:
        """Make nothing: it is there."""

    def problems(self) -> list[str]:
        return []

    def fetch(self, version: DatasetVersion, to: Path) -> Path:
        if version != self._held:
            raise DataRegistryError(f"{version.path} at {version.commit} was not given, only {self._held.path}")
        shutil.rmtree(to, ignore_errors=True)
        return Path(shutil.copytree(self._folder, to))

    def append(
        self,
        path: str,  # noqa: ARG002 - the signature is the registry's
        folder: Path,  # noqa: ARG002 - as above
        message: str,  # noqa: ARG002 - as above
        replace: bool | Collection[str] = False,  # noqa: ARG002 - as above
        without: Collection[str] = (),  # noqa: ARG002 - as above
    ) -> DatasetVersion:
        """Return the version that was recorded; whether the rows are its rows is compared later, by content."""
        return self._pinned


class NoReleases(ModelRegistry):
    """A registry without a release: the rebuild meets no twin and no champion."""

    def find(self, model: str, lineage_digest: str) -> Release | None:  # noqa: ARG002 - the signature is the registry's
        return None

    def champion(self, model: str) -> Release | None:  # noqa: ARG002 - the signature is the registry's
        return None


if __name__ == "__main__":
    try:
        rebuild(sys.argv[1], Path(sys.argv[2]))
    except NightshiftError as error:
        sys.exit(f"{type(error).__name__}: {error}")
