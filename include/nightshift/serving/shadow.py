"""The newest release that is newer than the champion answers a share of the requests too: remembered, never returned.

Its predictions have the ids of the champion's, in a log of their own below the
model's (``shadow/``), so that both can be joined and compared.
"""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from zlib import crc32

import msgspec

from nightshift.errors import LogBusyError, PredictionLogError
from nightshift.predictions.commit import GroupCommit
from nightshift.serving.loader import Live
from nightshift.serving.metrics import Metrics
from nightshift.serving.thinking import Asked, think

log = logging.getLogger(__name__)


class Shadow:
    """Lets a challenger answer, at bounded cost: one request at a time, the others are passed over and counted.

    Parameters
    ----------
    share
        Of requests, 0 to 1; by the request's id, so that a retry is treated like its first try.
    metrics
        Where it is counted.
    """

    def __init__(self, share: float, metrics: Metrics) -> None:
        self._share = share
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="shadow")
        self._at_work: asyncio.Task[None] | None = None
        self._is_closed = False

    def follow(self, asked: Asked, challenger: Live, written: GroupCommit, now: int) -> None:
        """Ask the challenger what the champion has just answered; returns at once and never fails."""
        if self._is_closed or crc32(asked.request_id.encode()) >= self._share * 2**32:
            return
        if self._at_work is not None and not self._at_work.done():
            self._metrics.count_shadow(asked.live.model, "passed over")
            return
        self._at_work = asyncio.create_task(self._answer(msgspec.structs.replace(asked, live=challenger), written, now))

    async def close(self) -> None:
        """Wait for what is under way; nothing is followed from now on."""
        self._is_closed = True
        if self._at_work is not None:
            await self._at_work
        self._thread.shutdown()

    async def _answer(self, asked: Asked, written: GroupCommit, now: int) -> None:
        outcome = "answered"
        try:
            thought = await asyncio.get_running_loop().run_in_executor(self._thread, think, asked, now)
            await written.append(asked.live.columns, thought.frame)
        except (PredictionLogError, LogBusyError) as error:
            outcome = "not remembered"
            log.warning("a shadow answer of %s was not remembered: %s", asked.live.model, error)
        except Exception:  # whatever a challenger does, nobody waits for it
            outcome = "failed"
            log.exception("the challenger of %s failed", asked.live.model)
        self._metrics.count_shadow(asked.live.model, outcome)
