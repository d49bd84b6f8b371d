"""Verified local copies of packages: whole and proven, or not there."""

import shutil
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nightshift.errors import PackageError, ReleaseError
from nightshift.files import draft_beside, file_digest, read_json, write_bytes
from nightshift.registry.release import file_name

MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 8 * 1024 * 1024


def is_intact(folder: Path, package_digest: str) -> bool:
    """Whether ``folder`` holds the package of this digest: each file of its manifest as it was, and no other.

    A link or a special file is none: who opens packages refuses them, so such a copy must be made anew.
    """
    try:
        return (
            all(_is_plain(file) for file in folder.iterdir())
            and file_digest(folder / MANIFEST) == package_digest
            and {file.name for file in folder.iterdir()} == {MANIFEST, *_named_files(folder)}
            and not _changed_files(folder)
        )
    except (OSError, PackageError):
        return False


def check_manifest(folder: Path, package_digest: str, what: str) -> None:
    """Return if the manifest in ``folder`` has this digest.

    Raises
    ------
    PackageError
        If not; the message calls the package ``what`` and names both digests.
    """
    try:
        found = file_digest(folder / MANIFEST)
    except OSError as error:
        raise PackageError(f"{what} has no readable {MANIFEST} ({error}); write the package first") from None
    if found != package_digest:
        raise PackageError(
            f"{what} has a {MANIFEST} with digest {found}, expected {package_digest}; restore it, or build again"
        )


def make_copy(folder: Path, *, package_digest: str, read: Callable[[str, int], bytes], what: str) -> None:
    """Put a package at ``folder``, over a damaged one: the manifest first, then exactly the files that it names.

    Parameters
    ----------
    read
        Returns the bytes of one file of the package by its name; given how many they are at most.
    what
        What to call the package in messages.

    Raises
    ------
    PackageError
        If a file is not what it was registered as; nothing is left behind.
    """
    with draft_beside(folder) as draft:
        write_bytes(draft / MANIFEST, read(MANIFEST, MANIFEST_BYTES_MAX))
        check_manifest(draft, package_digest, what)
        for name, about in _named_files(draft).items():
            write_bytes(draft / name, read(name, about.size))
        changed = _changed_files(draft)
        if changed:
            raise PackageError(f"{what} was changed: {'; '.join(changed)}. Restore it, or build again")
        _put(draft, folder, package_digest)


def _put(draft: Path, folder: Path, package_digest: str) -> None:
    """Rename ``draft`` to ``folder``; a damaged copy in the way is removed, a good one of a twin is kept."""
    if not is_intact(folder, package_digest):
        away = draft.with_suffix(".old.tmp")
        with suppress(FileNotFoundError):  # there was none, or a twin was faster
            folder.rename(away)
            shutil.rmtree(away)
    try:
        draft.rename(folder)
    except OSError:
        if not is_intact(folder, package_digest):
            raise


def _is_plain(file: Path) -> bool:
    found = file.lstat()
    return stat.S_ISREG(found.st_mode) and found.st_nlink == 1


@dataclass(frozen=True)
class _Named:
    digest: str
    size: int


def _named_files(folder: Path) -> dict[str, _Named]:
    """Return what the manifest says of each file that it names."""
    try:
        files = read_json(folder / MANIFEST)["files"]
        return {file_name(name): _Named(str(about["sha256"]), int(about["size"])) for name, about in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError, ReleaseError) as error:
        raise PackageError(
            f"{folder / MANIFEST} does not name its files with their sha256 and size ({error})"
        ) from None


def _changed_files(folder: Path) -> list[str]:
    """Return a sentence for each file that is not what the manifest says."""
    found = {name: (file_digest(folder / name), about.digest) for name, about in _named_files(folder).items()}
    return [f"{name} has digest {now}, expected {then}" for name, (now, then) in found.items() if now != then]
