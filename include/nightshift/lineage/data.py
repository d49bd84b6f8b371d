"""Which data: versions of folders in a registry of its own, made of git and DVC.

Any DVC command works on a clone of the registry; what is written here is what
``dvc add``, ``git commit``, ``dvc push`` and ``git push`` would have written.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Self

from nightshift.errors import DataRegistryBusyError, DataRegistryError
from nightshift.files import draft_beside
from nightshift.lineage.dvcfile import TrackedFolder, ignore_file, repository_files
from nightshift.lineage.history import History, absolute
from nightshift.lineage.objects import ObjectStore, md5_of

TRIES = 20
"""How often an append is redone on top of a faster one before it gives up."""
PATH = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_=-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_=-]{0,99}){0,4}")


@dataclass(frozen=True)
class DatasetVersion:
    """A folder's content at a moment of the registry's history.

    ``commit`` is the one that last changed the folder, so that equal content
    read at two later commits is one version. ``digest`` is DVC's: the MD5 of the
    listing, which holds the MD5 of every file.
    """

    registry: str
    commit: str
    path: str
    digest: str
    files: int
    bytes: int

    def to_json(self) -> dict[str, Any]:
        return dict(vars(self))

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**content)


class DataRegistry:
    """Versioned folders.

    Parameters
    ----------
    url
        The git repository; a folder of this machine is made by :meth:`create`.
    remote
        Where DVC keeps the files: a folder, ``s3://…``, or what else DVC knows;
        credentials and endpoints come from the environment (``AWS_…``).
    scratch
        Folder of this machine for a mirror and a cache; processes may share it,
        and it may be deleted when none runs.
    """

    def __init__(self, url: str, remote: str, scratch: Path) -> None:
        self._history = History(url, scratch)
        self._store = ObjectStore(absolute(remote), scratch / "cache")

    @property
    def url(self) -> str:
        """Where the registry is."""
        return self._history.url

    def create(self) -> None:
        """Make the registry, or leave it as it is if it is there."""
        self._history.create(repository_files(self._store.remote))

    def head(self) -> str | None:
        """Return the newest commit; none if the registry was not made."""
        return self._history.head()

    def version(self, path: str, commit: str | None = None) -> DatasetVersion | None:
        """Return the version of the folder ``path`` at a commit (the newest if none is given).

        None if the folder is not tracked there.
        """
        at = self._history.resolve(commit)
        return self._version(path, at) if at else None

    def list_files(self, version: DatasetVersion) -> dict[str, str]:
        """Return the MD5 of each file of a version by name, sorted by name."""
        return self._store.read_listing(version.digest, f"the listing of {version.path}")

    def append(
        self,
        path: str,
        folder: Path,
        message: str,
        replace: bool | Collection[str] = False,
        without: Collection[str] = (),
    ) -> DatasetVersion:
        """Add the files in ``folder`` to the tracked folder ``path``, commit and push.

        Files that are there with the same bytes change nothing; if none changes
        anything (or there are none), the present version is returned and nothing
        is committed. Hidden files are left out. Only new files are copied.

        Parameters
        ----------
        replace
            Whether a file that is there with other bytes may be replaced, or the
            names of those that may.
        without
            Names of files that leave the folder; earlier versions keep them.

        Raises
        ------
        DataRegistryError
            If the registry was not made, the first folder of a path is empty, there
            are links, or a file is there with other bytes and may not be replaced.
        DataRegistryBusyError
            If other writers were faster time and again.
        """
        if not PATH.fullmatch(path):
            raise DataRegistryError(f"{path!r} cannot name a folder of the registry; use names like model/tables")
        files = _files_in(folder)
        new = {name: md5_of(file) for name, file in files.items()}
        self._store.keep({new[name]: file for name, file in files.items()})
        self._store.push(new.values())
        for _ in range(TRIES):
            head = self._existing_head()
            before = self._version(path, head)
            old = self.list_files(before) if before else {}
            _refuse_changes(path, old, new, replace)
            stays = {name: digest for name, digest in old.items() if name not in without}
            if before and new.items() <= stays.items() and stays == old:
                return before
            if not new and not stays:
                raise DataRegistryError(f"{folder}: holds no files, so there is nothing to begin {path} with")
            gone = sum(self._store.size(old[name]) for name in old.keys() - stays.keys() - new.keys())
            after = self._propose(path, head, stays | new, self._size(before, old, new) - gone, message)
            if self._history.push(after.commit):
                return after
        raise DataRegistryBusyError(
            f"{path}: other writers of {self.url} were faster {TRIES} times; nothing was lost, try again later. "
            f"If there are none, a killed one left its lock: git's last word was: {self._history.last_refusal}"
        )

    def fetch(self, version: DatasetVersion, to: Path) -> Path:
        """Write the version's files below ``to``, each hashed again, and return ``to``.

        ``to`` appears whole or not at all. If it is there with exactly these
        files it is left alone.

        Raises
        ------
        DataRegistryError
            If an object is nowhere, or ``to`` holds something else.
        DigestMismatchError
            If bytes differ from their digest, and do so again after a second fetch.
        """
        files = self.list_files(version)
        if to.exists() and any(to.iterdir()):
            _expect_same(to, files)
            return to
        self._store.bring(files.values())
        with draft_beside(to) as draft:
            for name, digest in files.items():
                self._store.copy(digest, f"{version.path}/{name}", draft / name)
            draft.rename(to)
        return to

    def problems(self) -> list[str]:
        """Return what keeps the newest commit from being fetched by somebody else; empty if nothing does."""
        head = self._history.head()
        if head is None:
            return [
                f"there is no data registry at {self.url} yet; "
                "the first build makes it (`make demo`, or `nightshift build`)"
            ]
        tracked = [file.removesuffix(".dvc") for file in self._history.files(head) if file.endswith(".dvc")]
        return [problem for path in tracked for problem in self._absences(path, head)]

    def _absences(self, path: str, head: str) -> list[str]:
        try:
            version = self._version(path, head)
            assert version is not None
            files = self.list_files(version)
        except DataRegistryError as error:
            return [str(error)]
        absent = self._store.missing([version.digest, *files.values()])
        names = [name for name, digest in files.items() if digest in absent] or ["its listing"]
        if not absent:
            return []
        return [
            f"{path}: {self._store.remote} lacks {len(absent)} of {len(files) + 1} objects, the first is "
            f"{names[0]} ({files.get(names[0], version.digest)}); push them again from where they were made"
        ]

    def _existing_head(self) -> str:
        head = self._history.head()
        if head is None:
            raise DataRegistryError(f"there is no data registry at {self.url}; make it first")
        return head

    def _version(self, path: str, commit: str) -> DatasetVersion | None:
        text = self._history.read(f"{path}.dvc", commit)
        if text is None:
            return None
        folder = TrackedFolder.from_text(text, where=f"{path}.dvc at commit {commit} of {self.url}")
        changed = self._history.last_change(f"{path}.dvc", commit)
        return DatasetVersion(self.url, changed, path, folder.digest, folder.files, folder.size)

    def _size(self, before: DatasetVersion | None, old: dict[str, str], new: dict[str, str]) -> int:
        """Return the bytes of the folder with ``new`` in it, without looking at what stays."""
        added = {name: digest for name, digest in new.items() if old.get(name) != digest}
        gone = sum(self._store.size(old[name]) for name in added if name in old)
        return (before.bytes if before else 0) - gone + sum(self._store.size(each) for each in added.values())

    def _propose(self, path: str, head: str, files: dict[str, str], size: int, message: str) -> DatasetVersion:
        """Put the new listing where others can get it, and return the version that a push would make real."""
        digest = self._store.keep_listing(files)
        self._store.push([digest])
        folder = TrackedFolder(PurePosixPath(path).name, digest, files=len(files), size=size)
        texts = {f"{path}.dvc": folder.to_text()} | self._ignored(path, head)
        commit = self._history.commit(head, texts, message)
        return DatasetVersion(self.url, commit, path, digest, len(files), size)

    def _ignored(self, path: str, head: str) -> dict[str, str]:
        """Return the changed ``.gitignore`` if ``path`` is new, after making sure that it may be."""
        tracked = {file.removesuffix(".dvc") for file in self._history.files(head) if file.endswith(".dvc")}
        if path in tracked:
            return {}
        near = [other for other in tracked if f"{other}/".startswith(f"{path}/") or path.startswith(f"{other}/")]
        if near:
            raise DataRegistryError(
                f"{path}: overlaps with {near[0]}, which the registry tracks as a whole; use a path beside it"
            )
        name = ignore_file(path)
        return {name: (self._history.read(name, head) or "") + f"/{PurePosixPath(path).name}\n"}


def _files_in(folder: Path) -> dict[str, Path]:
    """Return the files below ``folder`` by name; hidden ones are drafts and left out."""
    files = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if any(part.startswith(".") for part in name.split("/")):
            continue
        if path.is_symlink():
            raise DataRegistryError(f"{path}: is a link; put the file itself into the folder")
        if path.is_file():
            files[name] = path
    return files


def _refuse_changes(path: str, old: dict[str, str], new: dict[str, str], replace: bool | Collection[str]) -> None:
    if replace is True:
        return
    allowed: Collection[str] = replace or ()
    changed = [name for name in new if name in old and old[name] != new[name] and name not in allowed]
    if changed:
        name = changed[0]
        raise DataRegistryError(
            f"{path}: {len(changed)} files are there with other bytes, the first is {name} (there {old[name]}, "
            f"given {new[name]}); what was published stays: give it another name, or allow the replacement"
        )


def _expect_same(folder: Path, files: dict[str, str]) -> None:
    found = {name: md5_of(path) for name, path in _files_in(folder).items()}
    if found != files:
        other = sorted(set(found.items()) ^ set(files.items()))[0][0]
        raise DataRegistryError(f"{folder}: holds other files than asked for, {other} is one; give an empty folder")
