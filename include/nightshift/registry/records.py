"""A release's evidence, as few files: pages that people look at as they are, all records in one.

A registry that takes seconds for a call is asked a dozen times less, and a
version carries three marks of evidence and not one for each record.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path

from nightshift.errors import ReleaseError
from nightshift.files import canonical_json, read_json, write_bytes
from nightshift.registry.release import file_name

RECORDS = "records.json"
PAGES = (".html", ".md")


def bundle(evidence: Mapping[str, Path]) -> dict[str, bytes]:
    """Return the files to keep by name: each page, and ``records.json`` with the text of every other file.

    Raises
    ------
    ReleaseError
        If a file has no plain name, the name of the bundle, or is no UTF-8 text.
    """
    named = {file_name(name): file.read_bytes() for name, file in evidence.items()}
    if RECORDS in named:
        raise ReleaseError(f"evidence may not be called {RECORDS}: the registry keeps the others' records there")
    pages = {name: content for name, content in named.items() if name.endswith(PAGES)}
    records = {name: _text(name, content) for name, content in named.items() if name not in pages}
    return {**pages, RECORDS: canonical_json({"format": 1, "files": records})}


def record_of(records: Path, name: str, *, others: Iterable[str]) -> Path:
    """Return a file beside ``records`` with one record's own bytes.

    ``records`` is verified by whoever fetched it; ``others`` are the names of
    the files beside it, for the error.

    Raises
    ------
    ReleaseError
        If there is no such record.
    """
    files = read_json(records)["files"]
    if name not in files:
        known = ", ".join(sorted({*files, *others} - {RECORDS}))
        raise ReleaseError(f"there is no evidence {name!r} in {records}; known are: {known}")
    file, content = records.with_name(name), files[name].encode()
    if not file.is_file() or file.read_bytes() != content:
        write_bytes(file, content)
    return file


def sha256_of(content: bytes) -> str:
    """Return the SHA-256 in hex.

    >>> sha256_of(b"")[:8]
    'e3b0c442'
    """
    return sha256(content).hexdigest()


def _text(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ReleaseError(
            f"evidence {name} is no UTF-8 text ({error}); records are text, attach it by itself"
        ) from None
