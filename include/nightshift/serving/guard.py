"""The socket's door: slow, silent and talkative callers are sent away before they cost others anything.

uvicorn has no time-out for a request's head or body, and no limit on the size
of a head.
"""

import asyncio
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

HEAD_SECONDS = 10.0
"""From the connection's, or the request's, first byte to the end of its head."""
BODY_SECONDS = 20.0
"""From the end of the head to the end of the body, and for a caller who stops reading the answer."""
HEAD_BYTES_MAX = 32 * 1024
SWEEP_SECONDS = 1.0


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 that knows how long its caller has kept it waiting."""

    deadline: float | None = None
    """When the caller must have sent, or read, what it owes; none while it owes nothing."""
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.deadline = self.loop.time() + HEAD_SECONDS

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # a request that came with its body in one piece has left the head by now
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self.transport.abort()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self.deadline = self.loop.time() + HEAD_SECONDS

    def on_headers_complete(self) -> None:
        self._in_head = False
        self.deadline = self.loop.time() + BODY_SECONDS
        super().on_headers_complete()
        if self.scope["method"] == "POST":  # an answer to HEAD has no second write
            self.cycle.transport = OneWrite(self.transport)

    def on_message_complete(self) -> None:
        self.deadline = None
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.deadline = self.loop.time() + BODY_SECONDS

    def resume_writing(self) -> None:
        super().resume_writing()
        self.deadline = None


class OneWrite:
    """A transport that holds an answer's head back until its body follows, so that both leave at once.

    Two writes are two system calls here, and wake the caller twice.
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head: bytes | None = b""

    def write(self, data: bytes) -> None:
        if self._head is None or data.startswith(b"HTTP/1.1 100 "):
            self._transport.write(data)
        elif self._head:
            self._flush(data)
        else:
            self._head = data

    def close(self) -> None:
        self._flush(b"")
        self._transport.close()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _flush(self, data: bytes) -> None:
        head, self._head = self._head, None
        if head or data:
            self._transport.write((head or b"") + data)


async def sweep(server: Server) -> None:
    """Close overdue connections of a server for ever, looking once a second; nothing is paid by a request."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(SWEEP_SECONDS)
        now = loop.time()
        for connection in list(server.server_state.connections):
            _close_if_overdue(connection, now)


def _close_if_overdue(connection: Any, now: float) -> None:
    deadline = getattr(connection, "deadline", None)
    if deadline is not None and now > deadline:
        with suppress(RuntimeError):  # it may be closing already
            connection.transport.abort()
