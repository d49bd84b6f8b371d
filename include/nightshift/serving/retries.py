"""Answers that may be asked for again: the same request id and bytes get the same answer."""

import asyncio
from collections import OrderedDict

BYTES_MAX = 64 * 1024 * 1024
BESIDE = 200
"""Bytes that an answer takes beside its own: its name, and its place in the memory."""


class Retries:
    """Remembers recent answers by name, the newest up to a number of bytes, and those under way.

    After a restart the memory is empty; then the log, where both tries have the
    same prediction ids, counts them once.
    """

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._answers: OrderedDict[str, bytes] = OrderedDict()
        self._under_way: dict[str, asyncio.Future[None]] = {}

    async def find(self, name: str) -> bytes | None:
        """Return the answer given before, once it is there; none if this is the first try, which must then end it."""
        while name in self._under_way:
            await asyncio.shield(self._under_way[name])  # who stops waiting stops nobody else
        if name in self._answers:
            return self._answers[name]
        self._under_way[name] = asyncio.get_running_loop().create_future()
        return None

    def end(self, name: str, answer: bytes | None) -> None:
        """Tell how the first try ended; without an answer the next try is a first one again."""
        self._under_way.pop(name).set_result(None)
        if answer is None or len(answer) + BESIDE > self._bytes_max:
            return
        self._answers[name] = answer
        self._bytes += len(answer) + BESIDE
        while self._bytes > self._bytes_max:
            _, oldest = self._answers.popitem(last=False)
            self._bytes -= len(oldest) + BESIDE
