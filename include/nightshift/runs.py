"""The folder of one run: each file is written by one step and read by later ones."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightshift.errors import RunFolderError
from nightshift.files import read_json, write_json

REQUEST = "request.json"
NAME_CHARACTERS = 80


@dataclass(frozen=True)
class RunFolder:
    """``<runs>/<model>/<pipeline>/<run id>/``; made when the first step begins.

    >>> from tempfile import mkdtemp
    >>> run = RunFolder.of(Path(mkdtemp()), model="bikes", pipeline="build", run_id="manual__2026-01-01T00:00")
    >>> run.path.name
    'manual__2026-01-01T00-00.4ccbacac'
    >>> run.begin({"as_of": "2026-01-01"}); run.begin({"as_of": "2026-01-01"})  # twice is once
    >>> run.read("request.json")
    {'as_of': '2026-01-01'}
    """

    path: Path

    @classmethod
    def of(cls, runs: Path, *, model: str, pipeline: str, run_id: str) -> "RunFolder":
        """Return the folder for a run; ids that are no safe file names get one, and stay distinct."""
        return cls(runs / model / pipeline / folder_name(run_id))

    def beside(self, run: str) -> "RunFolder":
        """Return the folder of another run of the same pipeline, as the ledger names it: ``monitor/<folder>``."""
        return RunFolder(self.path.parent / run.rpartition("/")[2])

    def begin(self, request: dict[str, Any]) -> None:
        """Record what this run was asked to do; the same request again goes on where it stopped.

        Raises
        ------
        RunFolderError
            If the folder already holds a run that was asked for something else.
        """
        path = self.file(REQUEST)
        if not path.exists():
            write_json(path, request)
            return
        earlier = read_json(path)
        if earlier != request:
            changed = ", ".join(
                f"{key} was {earlier.get(key)!r} and is {request.get(key)!r}"
                for key in sorted(earlier.keys() | request.keys())
                if earlier.get(key) != request.get(key)
            )
            raise RunFolderError(
                f"{self.path} holds an earlier run with another request: {changed}. "
                "Use another run id, or move the folder away."
            )

    def file(self, name: str) -> Path:
        """Return where the file called ``name`` is, or would be."""
        return self.path / name

    def write(self, name: str, content: Any) -> None:
        """Write one step's result as JSON, whole or not at all."""
        write_json(self.file(name), content)

    def read(self, name: str) -> Any:
        """Return what an earlier step wrote.

        Raises
        ------
        RunFolderError
            If it is not there: the step that writes it has not run.
        """
        try:
            return read_json(self.file(name))
        except FileNotFoundError:
            raise RunFolderError(
                f"{self.file(name)} is missing; the step that writes it has not run in this folder. "
                "Run the pipeline from its first step."
            ) from None


def folder_name(run_id: str) -> str:
    """Return the name of a run's folder: its id, or a safe one that no other id has.

    >>> folder_name("night-1"), folder_name("../etc")
    ('night-1', 'etc.f7f9121f')
    """
    if re.fullmatch(rf"[A-Za-z0-9_][A-Za-z0-9_-]{{0,{NAME_CHARACTERS - 1}}}", run_id):
        return run_id
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", run_id)[:NAME_CHARACTERS].strip("-") or "run"
    # the dot is in no id that is kept as it is, so that no such id means this folder
    return f"{safe}.{hashlib.sha256(run_id.encode(errors='surrogatepass')).hexdigest()[:8]}"
