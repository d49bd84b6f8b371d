"""The files a prediction log is written to: one writer for each process, each file held by a lock while written.

``<log>/segments/<writer>-<number>.log``. A segment whose lock can be had is
sealed: its writer has left it, or was killed. Zeros at its end, which no frame
holds, are room that its writer did not come to fill.
"""

import errno
import fcntl
import logging
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from nightshift.errors import PredictionLogError
from nightshift.files import sync_folder
from nightshift.predictions.frames import frame
from nightshift.predictions.record import Columns, encode

SEGMENT_BYTES = 64 * 1024 * 1024
AHEAD = bytes(1024 * 1024)
"""What is written where frames will be: a disk is sooner done with blocks that a file has than with blocks it gets."""
SMALL_BYTES = 32 * 1024
"""More at once is written straight on: to write it twice would cost more than the blocks."""
SPARE_BYTES = 64 * 1024 * 1024
"""A disk with less than this has no room for room."""
MODE = 0o600
"""Inputs may be personal: only the owner reads them."""


Sync = Literal["answer", "interval"]
log = logging.getLogger(__name__)


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
    sync
        ``answer``: what was written is on the disk when :meth:`write` returns.
        ``interval``: it survives the process, and a power failure after the next flush.
    segment_bytes
        Size from which on the next write begins a new segment.
    """

    def __init__(self, folder: Path, *, name: str, sync: Sync = "answer", segment_bytes: int = SEGMENT_BYTES) -> None:
        self.sync = sync
        self._folder = folder / "segments"
        self._name = name
        self._segment_bytes = segment_bytes
        self._number = 0
        self._file: int | None = None
        self._path = self._folder
        self._place = (0, 0)
        self._size = self._laid_out = 0
        self._told: set[str] = set()

    def write(self, frames: Sequence[tuple[Columns, bytes]]) -> None:
        """Append frames.

        Raises
        ------
        PredictionLogError
            If the disk is full, the folder cannot be written, …; none of the
            frames may be relied on, though some may be found in the log.
        """
        try:
            if self._size >= self._segment_bytes:
                self._seal()
            elif self._file is not None and os.fstat(self._file).st_size < max(self._size, self._laid_out):
                self._leave_cut()
            self._append(frames)
            if not self._is_in_place():
                # somebody removed the segment: what was just written went nowhere, what was written before is theirs
                self.close()
                self._append(frames)
        except OSError as error:
            self._abandon()
            raise PredictionLogError(
                f"{self._path} cannot be written: {error.strerror or error}; free space or mend the folder"
            ) from error

    def flush(self) -> None:
        """Return when everything written is on the disk.

        Raises
        ------
        PredictionLogError
            If it cannot be; nothing written since the last flush may be relied on.
        """
        if self._file is None or self.sync == "answer":
            return
        try:
            os.fdatasync(self._file)
        except OSError as error:
            # after a failed sync the kernel may hold the pages for clean: a second one would lie
            self._abandon()
            raise PredictionLogError(f"{self._path} cannot be synced: {error.strerror or error}") from error

    def flush_aside(self) -> Callable[[], PredictionLogError | None]:
        """Return a flush of what was written until now that another thread may do; it returns what failed."""
        handle, path = None if self._file is None else os.dup(self._file), self._path
        return lambda: None if handle is None else _flush_and_close(handle, path)

    def close(self) -> None:
        """Leave the segment that is being written, if there is one."""
        file, self._file = self._file, None
        size, self._size = self._size, 0
        is_longer, self._laid_out = self._laid_out > size, 0
        self._told.clear()
        if file is not None:
            with suppress(OSError):  # room that stays is nothing
                if is_longer:
                    os.ftruncate(file, size)
            os.close(file)

    def _append(self, frames: Sequence[tuple[Columns, bytes]]) -> None:
        handle = self._file if self._file is not None else self._open()
        data = b"".join(self._with_columns(frames))
        if self.sync == "answer" and len(data) <= SMALL_BYTES and self._size + len(data) > self._laid_out:
            self._lay_out(handle)
        written = os.write(handle, data)
        self._size += written
        if written < len(data):
            raise OSError(errno.ENOSPC, f"only {written:,} of {len(data):,} bytes fitted")

    def _lay_out(self, handle: int) -> None:
        """Write zeros where the next frames will be; not on a disk that is nearly full, whose rest is for frames."""
        disk = os.fstatvfs(handle)
        if disk.f_bavail * disk.f_frsize > SPARE_BYTES:
            with suppress(OSError):  # what cannot be laid out may still be written
                self._laid_out = self._size + os.pwrite(handle, AHEAD, self._size)

    def _with_columns(self, frames: Sequence[tuple[Columns, bytes]]) -> Iterator[bytes]:
        """Yield the frames, each version's columns before its first one in this segment."""
        for columns, data in frames:
            if columns.version not in self._told:
                yield frame(encode(columns))
                self._told.add(columns.version)
            yield data

    def _open(self) -> int:
        """Begin a segment; it gets its name only once it is locked, so that nobody takes it for sealed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._number += 1
        self._path = self._folder / f"{self._name}-{self._number:06d}.log"
        draft = self._folder / f".{self._path.name}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        # one call that writes and waits costs less than two, and takes the interpreter's lock once
        self._file = os.open(draft, flags | (os.O_DSYNC if self.sync == "answer" else 0), MODE)
        fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        draft.rename(self._path)
        sync_folder(self._folder)
        self._place = _place(os.fstat(self._file))
        return self._file

    def _is_in_place(self) -> bool:
        try:
            return _place(self._path.stat()) == self._place
        except FileNotFoundError:
            return False

    def _leave_cut(self) -> None:
        """Begin another segment: what is written behind the hole in one that was cut would not be found."""
        log.error("%s was cut by somebody else: it had %s bytes of records", self._path, f"{self._size:,}")
        self._laid_out = 0
        self.close()

    def _seal(self) -> None:
        self.flush()
        self.close()

    def _abandon(self) -> None:
        """Leave the segment; remove it if it holds nothing that anybody was told of."""
        is_empty = self._size == 0
        # whatever went wrong may go wrong again here: a disk that is read-only now does not remove files either
        with suppress(OSError):
            self.close()
        for path in (self._path, self._folder / f".{self._path.name}.tmp") if is_empty else ():
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _place(stat: os.stat_result) -> tuple[int, int]:
    return stat.st_dev, stat.st_ino


def _flush_and_close(handle: int, path: Path) -> PredictionLogError | None:
    try:
        os.fdatasync(handle)
    except OSError as error:
        return PredictionLogError(
            f"{path} cannot be synced: {error.strerror or error}; its last second may not survive a power failure"
        )
    finally:
        os.close(handle)
    return None


@dataclass(frozen=True)
class Segment:
    """One file of a log and whether its writer has left it."""

    path: Path
    is_sealed: bool

    def read(self, start: int) -> bytes:
        """Return what was written from ``start`` on; room that its writer laid out ahead of itself is nothing.

        Of a living segment that is up to the first zero: its writer may have filled room behind what was
        read as room, and what lies before is read again.
        """
        with self.path.open("rb") as file:
            file.seek(start)
            found = file.read()
        return found.rstrip(b"\0") if self.is_sealed else found.partition(b"\0")[0]


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
