"""A package folder, read once: what was hashed is what will be used."""

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightshift.errors import PackageError
from nightshift.model.manifest import MANIFEST, MANIFEST_BYTES_MAX, FileRecord, Manifest

ADVICE = "do not use this package; fetch it from the registry again"


def read_package(folder: Path) -> tuple[Manifest, dict[str, bytes]]:
    """Return the manifest in ``folder`` and the bytes of every file it names, verified.

    Nothing is interpreted but the manifest's JSON. Each file is opened once,
    without following links, and hashed from the bytes that are handed on: a
    file that is swapped afterwards changes nothing.

    Raises
    ------
    PackageError
        If there is no manifest, or a file is extra, missing, linked, special,
        or of other size or digest than recorded; with every such file.
    """
    with _opened(folder) as handle:
        manifest = _read_manifest(folder, handle)
        problems = _strangers(handle, manifest)
        contents = {}
        for name, record in manifest.files.items():
            try:
                contents[name] = _read(name, handle, record.size)
            except PackageError as error:
                problems.append(str(error))
            else:
                problems += _digest_problems(name, contents[name], manifest)
    if problems:
        raise PackageError(f"{folder} is not the package its manifest describes: {'; '.join(problems)}; {ADVICE}")
    return manifest, contents


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Hold the folder open: a name that is made to point elsewhere meanwhile is not followed."""
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        raise PackageError(
            f"{folder} is no package folder: {error.strerror}; give a folder with a {MANIFEST}"
        ) from error
    try:
        yield handle
    finally:
        os.close(handle)


def _read_manifest(folder: Path, handle: int) -> Manifest:
    try:
        written = _read(MANIFEST, handle, MANIFEST_BYTES_MAX, exact=False)
        manifest = Manifest.from_json(json.loads(written))
    except PackageError as error:
        raise PackageError(f"{folder}: {error}; {ADVICE}") from error
    except (ValueError, RecursionError) as error:
        raise PackageError(f"{folder / MANIFEST} is no JSON: {error}; {ADVICE}") from error
    if written != manifest.content:  # its digest is the package's: there is one way to write it
        raise PackageError(f"{folder / MANIFEST} is not written in its one canonical form; {ADVICE}")
    return manifest


def _strangers(handle: int, manifest: Manifest) -> list[str]:
    extra = sorted(set(os.listdir(handle)) - {MANIFEST, *manifest.files})
    return [f"{name[:80]!r} is not in the manifest" for name in extra[:10]]


def _read(name: str, handle: int, size: int, *, exact: bool = True) -> bytes:
    """Return a plain file's bytes; of a file of another size than ``size`` none are read."""
    try:
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=handle)
    except FileNotFoundError:
        raise PackageError(f"{name} is missing") from None
    except OSError as error:
        raise PackageError(f"{name} cannot be opened, or is a link: {error.strerror}") from None
    with os.fdopen(file, "rb") as opened:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode):
            raise PackageError(f"{name} is no plain file")
        if found.st_nlink > 1:
            raise PackageError(
                f"{name} is linked under {found.st_nlink} names, so others can change it; copy the folder"
            )
        if found.st_size > size or (exact and found.st_size != size):
            raise PackageError(f"{name} has {found.st_size:,} bytes, {'expected' if exact else 'at most'} {size:,}")
        return opened.read(size + 1)


def _digest_problems(name: str, content: bytes, manifest: Manifest) -> list[str]:
    found, recorded = FileRecord.of(content), manifest.files[name]
    if found == recorded:
        return []
    other = next((other for other, record in manifest.files.items() if record == found), None)
    swapped = f" (it is {other})" if other else ""
    return [f"{name} has digest {found.sha256}{swapped}, recorded is {recorded.sha256}"]
