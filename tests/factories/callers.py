"""Callers in a closed loop: each sends its next request when it has the answer to the last."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np


def post(path: str, body: bytes, *, host: str = "127.0.0.1", headers: dict[str, str] | None = None) -> bytes:
    """Return a whole HTTP/1.1 request."""
    lines = {"host": host, "content-type": "application/json", "content-length": str(len(body)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body


@dataclass
class Heard:
    """What all callers together heard."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    broken: int = 0
    """Connections that ended before their answer."""
    elapsed: float = 0.0

    @property
    def per_second(self) -> float:
        return len(self.seconds) / self.elapsed if self.elapsed else 0.0

    def percentile(self, share: float) -> float:
        """Return the time within which ``share`` of 100 answers came, seconds."""
        return float(np.percentile(self.seconds, share)) if self.seconds else float("nan")


class Caller(asyncio.Protocol):
    """One connection; ``hear`` is given (request number, status, body) of each answer."""

    def __init__(
        self,
        heard: Heard,
        requests: Iterator[tuple[int, bytes]],
        hear: Callable[[int, int, bytes], None] | None,
    ) -> None:
        self._heard, self._requests, self._hear = heard, requests, hear
        self._buffer = b""
        self._number = -1
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        at = self._buffer.find(b"content-length: ")
        length = int(self._buffer[at + 16 : self._buffer.index(b"\r\n", at)])
        if len(self._buffer) < head + 4 + length:
            return
        self._heard.seconds.append(time.perf_counter() - self._sent)
        status = int(self._buffer[9:12])
        self._heard.statuses[status] += 1
        if self._hear is not None:
            self._hear(self._number, status, self._buffer[head + 4 :])
        self._buffer = b""
        self._send()

    def connection_lost(self, _error: Exception | None) -> None:
        if not self.done.done():
            self._heard.broken += 1
            self.done.set_result(None)

    def _send(self) -> None:
        following = next(self._requests, None)
        if following is None:
            if not self.done.done():
                self.done.set_result(None)
            self._transport.close()
            return
        self._number, request = following
        self._sent = time.perf_counter()
        self._transport.write(request)


async def call(
    host: str,
    port: int,
    requests: Iterator[tuple[int, bytes]],
    *,
    connections: int,
    hear: Callable[[int, int, bytes], None] | None = None,
) -> Heard:
    """Send numbered requests over ``connections`` until there are no more."""
    heard, began = Heard(), time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Caller(heard, requests, hear), host, port) for _ in range(connections)]
    await asyncio.gather(*(caller.done for _, caller in made))
    heard.elapsed = time.perf_counter() - began
    return heard


def round_and_round(requests: Sequence[bytes], *, seconds: float) -> Iterator[tuple[int, bytes]]:
    """Yield requests numbered, again and again, for ``seconds``."""
    end = time.perf_counter() + seconds
    for number in itertools.count():
        if time.perf_counter() >= end:
            return
        yield number, requests[number % len(requests)]
