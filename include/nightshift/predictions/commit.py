"""Many requests, one write: whoever waits for the disk at the same time shares its one sync."""

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Literal

from nightshift.errors import LogBusyError, PredictionLogError
from nightshift.predictions.record import Columns
from nightshift.predictions.segments import SegmentWriter

PENDING_BYTES_MAX = 64 * 1024 * 1024
SYNC_SECONDS = 1.0
PAUSE_SECONDS = 0.2
"""After a failed write the disk is left alone for this long; meanwhile the failure is the answer."""
Frame = tuple[Columns, bytes]
Waiting = tuple[Columns, bytes, asyncio.Future[None]]
log = logging.getLogger(__name__)


class GroupCommit:
    """Makes frames durable before their answers leave.

    Used from one event loop; the disk is touched by one thread of its own, so
    that a slow disk stops answers and not the door.

    Parameters
    ----------
    writer
        Where frames go; nobody else may use it.
    sync
        ``answer``: a frame is on the disk before :meth:`append` returns.
        ``interval``: it survives the process at once, and a power failure after
        at most :data:`SYNC_SECONDS` and one write.
    pending_bytes_max
        How much may wait for the disk; more is refused, since memory is bounded.
    """

    def __init__(
        self,
        writer: SegmentWriter,
        *,
        sync: Literal["answer", "interval"] = "answer",
        pending_bytes_max: int = PENDING_BYTES_MAX,
    ) -> None:
        self._writer = writer
        self._sync = sync
        self._bytes_max = pending_bytes_max
        self._waiting: list[Waiting] = []
        self._pending_bytes = 0
        self._busy = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="prediction-log")
        self._later: asyncio.TimerHandle | None = None
        self._failed_at = -PAUSE_SECONDS
        self.failure: str | None = None
        """Why the last write failed; none if it did not."""

    @property
    def pending_bytes(self) -> int:
        """What waits for the disk now."""
        return self._pending_bytes

    def check_room(self) -> None:
        """Refuse work that could not be remembered.

        Raises
        ------
        LogBusyError
            If too much waits for the disk already.
        PredictionLogError
            If the disk refused a moment ago.
        """
        if self._pending_bytes >= self._bytes_max:
            raise LogBusyError(
                f"{self._pending_bytes:,} bytes wait for the disk, at most {self._bytes_max:,} may; try again shortly"
            )
        if self.failure and time.monotonic() - self._failed_at < PAUSE_SECONDS:
            raise PredictionLogError(self.failure)

    async def append(self, columns: Columns, data: bytes) -> None:
        """Return when the frame is durable.

        Raises
        ------
        LogBusyError
            If too much waits for the disk already.
        PredictionLogError
            If it cannot be written. A later call may succeed.
        """
        self.check_room()
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        self._waiting.append((columns, data, done))
        self._pending_bytes += len(data)
        if not self._busy:
            self._busy = True
            self._idle.clear()
            loop.call_soon(self._begin, loop)  # everybody who is ready in this turn comes along
        await done

    async def close(self) -> None:
        """Wait for what is on its way, sync, and seal the segment."""
        await self._idle.wait()
        if self._later:
            self._later.cancel()
        await asyncio.get_running_loop().run_in_executor(self._thread, self._finish)
        self._thread.shutdown()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting, []
        stored = self._thread.submit(self._store, [(columns, data) for columns, data, _ in group])
        stored.add_done_callback(lambda stored: loop.call_soon_threadsafe(self._end, loop, group, stored))

    def _end(self, loop: asyncio.AbstractEventLoop, group: Sequence[Waiting], stored: Future[None]) -> None:
        error = stored.exception()
        self._note(error)
        for _, data, done in group:
            self._pending_bytes -= len(data)
            if done.cancelled():
                continue
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
        if self._sync == "interval" and self._later is None:
            self._later = loop.call_later(SYNC_SECONDS, self._sync_later)
        if self._waiting:
            loop.call_soon(self._begin, loop)
        else:
            self._busy = False
            self._idle.set()

    def _note(self, error: BaseException | None) -> None:
        if error is not None:
            self._failed_at = time.monotonic()
            if self.failure is None:
                log.error("predictions cannot be remembered and are not given: %s", error)
        elif self.failure is not None:
            log.warning("predictions are remembered again")
        self.failure = str(error) if error else None

    def _store(self, frames: Sequence[Frame]) -> None:
        self._writer.write(frames)
        if self._sync == "answer":
            self._writer.sync()

    def _sync_later(self) -> None:
        self._later = None
        self._thread.submit(self._sync_or_say)

    def _sync_or_say(self) -> None:
        try:
            self._writer.sync()
        except PredictionLogError as error:
            log.error("the last second of predictions may not survive a power failure: %s", error)

    def _finish(self) -> None:
        self._sync_or_say()
        self._writer.close()
