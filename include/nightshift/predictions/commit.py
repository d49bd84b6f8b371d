"""Many requests, one write: whoever waits for the disk at the same time shares its one sync."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from nightshift.errors import LogBusyError, PredictionLogError
from nightshift.predictions.record import Columns
from nightshift.predictions.segments import SegmentWriter

PENDING_BYTES_MAX = 64 * 1024 * 1024
SYNC_SECONDS = 1.0
GATHER_SECONDS = 0.0003
"""How long nobody new must have come until a write no longer waits for who was here a moment ago."""
MOMENT_SECONDS = 0.002
"""Who comes this soon after others were told waits for them to come again."""
PATIENCE_SECONDS = 0.001
"""How long the event loop waits for the disk before it does something else."""
LARGE_BYTES = 32 * 1024
"""So much took longer to think than the disk takes: it waits for nobody, and the loop does not wait for it."""
PAUSE_SECONDS = 0.2
"""After a failed write the disk is left alone for this long; meanwhile the failure is the answer."""
Frame = tuple[Columns, bytes]
Then = Callable[[PredictionLogError | None], None]
"""Called once a frame is durable, with nothing, or with why it could not be made so."""
Waiting = tuple[Columns, bytes, Then]
Done = TypeVar("Done")
log = logging.getLogger(__name__)


class GroupCommit:
    """Makes frames durable before their answers leave.

    Used from one event loop. Where every write waits for the disk, a thread
    does it, so that a slow disk stops answers and not the door; a quick one is
    waited for (:class:`_Disk`). Where a write only reaches the kernel's memory,
    handing it to a thread would cost more than the write.

    Parameters
    ----------
    writer
        Where frames go; nobody else may use it. By its ``sync`` a frame is on
        the disk before :meth:`append` returns (``answer``), or survives the
        process at once and a power failure after :data:`SYNC_SECONDS` (``interval``).
    pending_bytes_max
        How much may wait for the disk; more is refused, since memory is bounded.
    others
        The logs of the same loop; this one may be among them. While the disk
        works for another, the loop waits for none.
    """

    def __init__(
        self,
        writer: SegmentWriter,
        *,
        pending_bytes_max: int = PENDING_BYTES_MAX,
        others: "Collection[GroupCommit]" = (),
    ) -> None:
        self._writer = writer
        self._others = others
        self._bytes_max = pending_bytes_max
        self._waiting: list[Waiting] = []
        self._pending_bytes = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._known = 0
        self._ended = 0.0
        self._failed_at = 0.0
        self._syncing: asyncio.TimerHandle | None = None
        self._disk = _Disk()
        self.failure: str | None = None
        """Why the last write failed; none if it did not."""

    @property
    def pending_bytes(self) -> int:
        """What waits for the disk now."""
        return self._pending_bytes

    @property
    def _is_busy(self) -> bool:
        return not self._idle.is_set()

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
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.submit(columns, data, partial(_settle, done))
        await done

    def submit(self, columns: Columns, data: bytes, then: Then) -> None:
        """Call ``then``, which must not raise, once the frame is durable or could not be made so; returns before.

        What :meth:`append` does for who can wait without a task of its own.

        Raises
        ------
        LogBusyError
            If too much waits for the disk already; ``then`` is not called.
        PredictionLogError
            If the disk refused a moment ago; ``then`` is not called.
        """
        self.check_room()
        self._waiting.append((columns, data, then))
        self._pending_bytes += len(data)
        if self._idle.is_set():
            self._idle.clear()
            now, loop = time.perf_counter(), asyncio.get_running_loop()
            known = self._known if now - self._ended < MOMENT_SECONDS else 0
            loop.call_soon(self._gather, loop, known, 1, now)  # everybody who is ready in this turn comes along

    async def close(self) -> None:
        """Wait for what is on its way, sync, and seal the segment."""
        await self._idle.wait()
        if self._syncing is not None:
            self._syncing.cancel()
        await asyncio.to_thread(self._disk.stop)
        try:
            await asyncio.to_thread(self._writer.flush)
        except PredictionLogError as error:
            log.error("the last second of predictions may not survive a power failure: %s", error)
        self._writer.close()

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        group, self._waiting = self._waiting, []
        if self._writer.sync == "answer":
            self._known = len(group)
            is_alone = not any(one._is_busy for one in self._others if one is not self)
            work, then = partial(self._store, group), partial(self._end, loop, group)
            self._disk.finish(loop, work, then, may_wait=is_alone and self._pending_bytes < LARGE_BYTES)
        else:
            self._end(loop, group, self._store(group))
            if self._syncing is None:
                self._syncing = loop.call_later(SYNC_SECONDS, self._sync_aside)

    def _store(self, group: Sequence[Waiting]) -> PredictionLogError | None:
        """Write a group; return why it could not be."""
        try:
            self._writer.write([(columns, data) for columns, data, _ in group])
        except PredictionLogError as error:
            return error
        except Exception as error:  # whatever it is, those who wait are told, and the next write may succeed
            log.exception("predictions cannot be written")
            return PredictionLogError(f"they cannot be written: {error!r}")
        return None

    def _end(self, loop: asyncio.AbstractEventLoop, group: Sequence[Waiting], error: PredictionLogError | None) -> None:
        if error is not None or self.failure is not None:
            self._note(error)
        for _, data, then in group:
            self._pending_bytes -= len(data)
            try:
                then(error)
            except Exception:  # one who fails to hear it keeps nobody else from hearing
                log.exception("an answer was lost on its way, its record was not")
        self._ended = time.perf_counter()
        if self._waiting:
            loop.call_soon(self._gather, loop, len(group) + len(self._waiting), len(self._waiting), self._ended)
        else:
            self._idle.set()

    def _gather(self, loop: asyncio.AbstractEventLoop, known: int, came: int, last: float) -> None:
        """Begin when as many wait as were ``known`` a moment ago, when nobody new has come for a blink, or with much.

        Without this, callers fall into two groups that take turns, and pay for
        twice as many syncs. ``came`` wait so far, the newest since ``last``.
        """
        now = time.perf_counter()
        if len(self._waiting) > came:
            came, last = len(self._waiting), now
        if came >= known or now - last >= GATHER_SECONDS or self._pending_bytes >= LARGE_BYTES:
            self._begin(loop)
        else:
            loop.call_soon(self._gather, loop, known, came, last)

    def _note(self, error: PredictionLogError | None) -> None:
        if error is None:
            log.warning("predictions are remembered again")
        elif self.failure is None:
            log.error("predictions cannot be remembered and are not given: %s", error)
        self._failed_at = time.monotonic()
        self.failure = str(error) if error else None

    def _sync_aside(self) -> None:
        self._syncing = None
        flush, loop = self._writer.flush_aside(), asyncio.get_running_loop()

        def sync() -> None:
            error = flush()
            if error is not None:
                loop.call_soon_threadsafe(self._leave, error)

        self._disk.do(sync)

    def _leave(self, error: PredictionLogError) -> None:
        """Begin a new segment: after a failed sync the kernel may hold the pages for clean, and a second would lie."""
        self._note(error)
        self._writer.close()


def _settle(done: "asyncio.Future[None]", error: PredictionLogError | None) -> None:
    if done.cancelled():
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)


class _Disk:
    """A thread that waits for the disk, so that the event loop need not.

    For a disk that was quick the last time the loop may wait all the same, and
    not longer than :data:`PATIENCE_SECONDS`: to be called back takes longer than a
    quick disk does, and while the loop stands still the thread need not wait for
    the interpreter.
    """

    def __init__(self) -> None:
        self._todo: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._done: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._is_quick = self._is_waited_for = True
        self._thread: Thread | None = None

    def do(self, work: Callable[[], object]) -> None:
        """Do ``work``, which must not raise, after all that was given before."""
        if self._thread is None:
            self._thread = Thread(target=self._run, name="prediction-log", daemon=True)
            self._thread.start()
        self._todo.put(work)

    def finish(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Callable[[], Done],
        then: Callable[[Done], object],
        *,
        may_wait: bool,
    ) -> None:
        """Do ``work``, which must not raise, and call ``then`` in the loop with what it returns, now or later.

        One at a time: not again before ``then`` was called. Now only if the loop may wait.
        """
        self._is_waited_for = may_wait and self._is_quick
        self.do(partial(self._finish, loop, work, then))
        if not self._is_waited_for:
            return
        try:
            tell = self._done.get(timeout=PATIENCE_SECONDS)
        except Empty:
            self._is_waited_for = False
            self._hear()  # it may have ended between the two lines above, and then nobody calls
        else:
            tell()

    def stop(self) -> None:
        """Do what is left and return when it is done."""
        if self._thread is not None:
            self._todo.put(None)
            self._thread.join()

    def _finish(
        self, loop: asyncio.AbstractEventLoop, work: Callable[[], Done], then: Callable[[Done], object]
    ) -> None:
        began = time.perf_counter()
        done = work()
        self._is_quick = time.perf_counter() - began < PATIENCE_SECONDS
        self._done.put(partial(then, done))
        if not self._is_waited_for:
            loop.call_soon_threadsafe(self._hear)

    def _hear(self) -> None:
        """Tell what was done; nothing if it was told already."""
        if not self._done.empty():
            self._done.get()()

    def _run(self) -> None:
        while (work := self._todo.get()) is not None:
            work()
