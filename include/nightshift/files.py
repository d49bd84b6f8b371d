"""Files that are either whole or absent, and the digests they are known by."""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec

DRAFT_SECONDS_MAX = 24 * 3600.0
"""Nobody works on a draft for longer: an older one belongs to a process that was killed."""


@contextmanager
def draft_beside(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside ``path``, for a folder or file to be renamed to ``path`` when it is whole.

    What is still there at the end is removed, and with it what killed processes
    left behind a day ago or earlier.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*.tmp"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > DRAFT_SECONDS_MAX:
                _remove(left)
    draft = path.parent / f".{path.name}.{uuid4().hex}.tmp"
    try:
        yield draft
    finally:
        _remove(draft)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` so that no reader ever sees half of it.

    Writes beside the target, syncs, renames, syncs the folder. Folders on the
    way are made. After a kill there is the old file or the new one, at worst
    with a hidden ``.<name>.*.tmp`` beside it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.parent / f".{path.name}.{uuid4().hex}.tmp"
    try:
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)


def append_json(path: Path, content: Any) -> None:
    """Add ``content`` to the file at ``path`` as one line of JSON that survives a power failure; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(canonical_json(content) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def write_text(path: Path, content: str) -> None:
    """Put text at ``path`` as UTF-8, whole or not at all."""
    write_bytes(path, content.encode())


def write_json(path: Path, content: Any) -> None:
    """Put ``content`` at ``path`` as JSON for people: indented, keys sorted, no NaN."""
    # the same bytes as json.dumps(indent=2), which walks through all of it in Python
    write_bytes(path, msgspec.json.format(canonical_json(content), indent=2) + b"\n")


def read_json(path: Path) -> Any:
    """Return what the JSON file at ``path`` holds."""
    return json.loads(path.read_text())


def canonical_json(content: Any) -> bytes:
    """Return the one way to write ``content`` as JSON: keys sorted, no spaces, no NaN.

    >>> canonical_json({"b": 1, "a": [None]})
    b'{"a":[null],"b":1}'
    """
    return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def digest_of(content: Any) -> str:
    """Return the SHA-256 of the canonical JSON of ``content``, in hex."""
    return hashlib.sha256(canonical_json(content)).hexdigest()


def file_digest(path: Path) -> str:
    """Return the SHA-256 of the bytes at ``path``, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def combined_digest(digests: Iterable[str]) -> str:
    """Return one SHA-256 for a sequence of digests; their order counts."""
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` survive a power failure."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
