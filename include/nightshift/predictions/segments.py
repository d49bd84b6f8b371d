"""The files a prediction log is written to: one writer for each process, each file held by a lock while written.

``<log>/segments/<writer>-<number>.log``. A segment whose lock can be had is
sealed: its writer has left it, or was killed.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from nightshift.errors import PredictionLogError
from nightshift.files import sync_folder
from nightshift.predictions.frames import frame
from nightshift.predictions.record import Columns, encode

SEGMENT_BYTES = 64 * 1024 * 1024
MODE = 0o600
"""Inputs may be personal: only the owner reads them."""


def writer_name(now: datetime) -> str:
    """Return a name no other writer has: when it began, its process, and chance."""
    return f"{now:%Y%m%dT%H%M%S}-{os.getpid()}-{secrets.token_hex(4)}"


class SegmentWriter:
    """Appends frames to segments of one log; used by one thread at a time.

    A segment that fails in any way is left for ever and the next write begins
    a new one: what it holds up to there is whole, and what follows would not be.

    Parameters
    ----------
    folder
        The log's folder; made when first needed, and again when somebody removed it.
    name
        See :func:`writer_name`.
    segment_bytes
        Size from which on the next write begins a new segment.
    """

    def __init__(self, folder: Path, *, name: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        self._folder = folder / "segments"
        self._name = name
        self._segment_bytes = segment_bytes
        self._number = 0
        self._file: int | None = None
        self._path = self._folder
        self._size = 0
        self._told: set[str] = set()

    def write(self, frames: Sequence[tuple[Columns, bytes]]) -> None:
        """Append frames; they survive this process, and after :meth:`sync` a power failure.

        Raises
        ------
        PredictionLogError
            If the disk is full, the folder cannot be written, …; none of the
            frames may be relied on, though some may be found in the log.
        """
        try:
            if self._file is not None and (self._size >= self._segment_bytes or not self._is_in_place()):
                self.close()
            if self._file is None:
                self._open()
            self._append(b"".join(self._with_columns(frames)))
        except OSError as error:
            self._abandon()
            raise PredictionLogError(
                f"{self._path} cannot be written: {error.strerror or error}; free space or mend the folder"
            ) from error

    def sync(self) -> None:
        """Return when everything written is on the disk.

        Raises
        ------
        PredictionLogError
            If it cannot be, or the segment was removed meanwhile; nothing
            written since the last sync may be relied on.
        """
        if self._file is None:
            return
        try:
            os.fdatasync(self._file)
            if not self._is_in_place():
                raise FileNotFoundError(2, "the segment was removed while written to")
        except OSError as error:
            # after a failed sync the kernel may hold the pages for clean: a second one would lie
            self._abandon()
            raise PredictionLogError(f"{self._path} cannot be synced: {error.strerror or error}") from error

    def close(self) -> None:
        """Seal the segment that is being written, if there is one."""
        if self._file is not None:
            os.close(self._file)
        self._file = None
        self._told.clear()

    def _with_columns(self, frames: Sequence[tuple[Columns, bytes]]) -> Iterator[bytes]:
        """Yield the frames, each version's columns before its first one in this segment."""
        for columns, data in frames:
            if columns.version not in self._told:
                yield frame(encode(columns))
                self._told.add(columns.version)
            yield data

    def _append(self, data: bytes) -> None:
        if self._file is None:
            raise PredictionLogError("a segment must be open before it is written to")
        written = os.write(self._file, data)
        self._size += written
        if written < len(data):
            raise OSError(28, f"only {written} of {len(data)} bytes could be written")

    def _open(self) -> None:
        """Begin a segment; it gets its name only once it is locked, so that nobody takes it for sealed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        self._path = self._folder / f"{self._name}-{self._number:06d}.log"
        draft = self._folder / f".{self._path.name}.tmp"
        self._file = os.open(draft, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
        self._size = 0
        self._told.clear()
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(self._path)
        sync_folder(self._folder)

    def _is_in_place(self) -> bool:
        if self._file is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._file), self._path.stat())
        except FileNotFoundError:
            return False

    def _abandon(self) -> None:
        """Leave the segment; remove it if it holds nothing that anybody was told of."""
        self.close()
        if self._size == 0:
            self._path.unlink(missing_ok=True)
            (self._folder / f".{self._path.name}.tmp").unlink(missing_ok=True)


@dataclass(frozen=True)
class Segment:
    """One file of a log and whether its writer has left it."""

    path: Path
    is_sealed: bool

    def read(self, start: int) -> bytes:
        """Return what the file holds from ``start`` on."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read()


def list_segments(folder: Path) -> list[Segment]:
    """Return the segments of a log, oldest writer first; empty if nothing was ever written.

    Whether one is sealed is asked before it is read: what a sealed one lacks
    will never come.
    """
    return [Segment(path, _is_sealed(path)) for path in sorted((folder / "segments").glob("*.log"))]


def _is_sealed(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Wait for the lock ``path`` and hold it for the block; it ends with the process at the latest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
