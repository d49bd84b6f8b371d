"""The socket's door: slow, silent and talkative callers are sent away before they cost others anything.

uvicorn has no time-out for a request's head or body, and no limit on the size
of a head.
"""

import asyncio
import math
import re
from collections.abc import Sized
from contextlib import suppress
from typing import Any

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import Server

from nightshift.serving.answers import unavailable
from nightshift.serving.wire import respond

HEAD_SECONDS = 10.0
"""From the connection's, or the request's, first byte to the end of its head."""
BODY_SECONDS = 20.0
"""From the end of the head to the end of the body, and for a caller who stops reading the answer."""
HEAD_BYTES_MAX = 32 * 1024
PIPELINE_MAX = 64
"""So many requests may be sent ahead of an answer; 18 bytes of each become more than a kilobyte of objects."""
UPGRADE = re.compile(rb"\r\nupgrade[ \t]*:", re.IGNORECASE)
SWEEP_SECONDS = 1.0


class PatientFlow(FlowControl):
    """Reads no more of a caller while requests of his wait for their turn; uvicorn reads on with every answer."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class GuardedProtocol(HttpToolsProtocol):
    """HTTP/1.1 that knows how long its caller has kept it waiting."""

    to_send_by: float | None = None
    """When the caller must have sent the request it began; none while it owes none, and the next byte begins one."""
    idle_by: float | None = None
    """When it must have begun one; none while it has, or waits for its answer."""
    to_read_by: float | None = None
    """When it must have read its answers, whatever it sends meanwhile; none while they flow."""
    app: Any
    limit_concurrency: int | None
    connections_max: int | None = None
    """The same; uvicorn's own refusal would not say when to come again."""
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.connections_max, self.limit_concurrency = self.limit_concurrency, None
        self.flow = PatientFlow(transport, self.pipeline)
        self.idle_by = self.loop.time() + HEAD_SECONDS

    def data_received(self, data: bytes) -> None:
        if self._in_head or self.to_send_by is None:
            data = without_upgrade(data)
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        # a request that came with its body in one piece has left the head by now
        if self._in_head and self._head_bytes > HEAD_BYTES_MAX:
            self.transport.abort()

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= PIPELINE_MAX:
            self.transport.abort()
            raise ConnectionAbortedError(f"more than {PIPELINE_MAX} requests ahead")
        super().on_message_begin()
        self._in_head, self._head_bytes = True, 0
        self.idle_by = None
        self.to_send_by = self.loop.time() + HEAD_SECONDS

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # what trails a body in chunks is no header: it came too late to be obeyed
            super().on_header(name, value)

    def eof_received(self) -> bool:
        """Keep the line of a caller who only has nothing more to say until he has his answer."""
        if self.cycle is None or self.cycle.response_complete or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def send_400_response(self, msg: str) -> None:
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def on_headers_complete(self) -> None:
        self.leave_head()
        app = self.app
        if self.is_crowded():
            self.app = refuse_crowd
        super().on_headers_complete()
        self.app = app

    def is_crowded(self) -> bool:
        """Return whether there are more connections than the server has files for."""
        return self.connections_max is not None and len(self.connections) >= self.connections_max

    def leave_head(self) -> None:
        """Take the head for whole; the body may be slow from now on."""
        self._in_head = False
        self.to_send_by = self.loop.time() + BODY_SECONDS

    def on_message_complete(self) -> None:
        self.to_send_by = None
        super().on_message_complete()
        if self.cycle.response_complete:  # answered before it was whole
            self._await_next()

    def on_response_complete(self) -> None:
        """Do what uvicorn does, but for the timer that it sets and clears with every answer; idle lines are swept."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self.to_read_by = self.to_read_by or self.loop.time() + BODY_SECONDS
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.to_send_by is None:  # it has not begun another request
            self._await_next()

    def _await_next(self) -> None:
        self.idle_by = self.loop.time() + self.timeout_keep_alive

    def pause_writing(self) -> None:
        super().pause_writing()
        self.to_read_by = self.loop.time() + BODY_SECONDS

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self.transport.is_closing():
            self.to_read_by = None


def without_upgrade(data: bytes) -> bytes:
    """Return the beginning of a request with its ``Upgrade`` under a name that nobody reads: a server may ignore it.

    The parser would take it for the end of HTTP and lose the body. Java's client and ``curl --http2`` send one.

    >>> without_upgrade(b"POST / HTTP/1.1\\r\\nUpgrade: h2c\\r\\n\\r\\n\\r\\nupgrade: kept")
    b'POST / HTTP/1.1\\r\\nignored: h2c\\r\\n\\r\\n\\r\\nupgrade: kept'
    """
    head, blank, body = data.partition(b"\r\n\r\n")
    return UPGRADE.sub(b"\r\nignored:", head) + blank + body


async def refuse_crowd(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer 503 to who comes when there are as many connections as can be."""
    refusal = unavailable("too many connections are open; close those that are not used and try again shortly")
    headers = {**refusal.headers, b"connection": b"close"}
    await respond(send, refusal.status, refusal.body, headers)


async def sweep(server: Server) -> None:
    """Close overdue connections of a server for ever, looking once a second; nothing is paid by a request."""
    loop = asyncio.get_running_loop()
    while True:
        asleep = loop.time()
        await asyncio.sleep(SWEEP_SECONDS)
        now = loop.time()
        if now - asleep > 2 * SWEEP_SECONDS:
            continue  # the loop stood still: what callers sent meanwhile has not been read yet
        for connection in list(server.server_state.connections):
            _close_if_overdue(connection, now)


def _close_if_overdue(connection: Any, now: float) -> None:
    by = {name: getattr(connection, name, None) or math.inf for name in ("to_send_by", "to_read_by", "idle_by")}
    with suppress(RuntimeError):  # it may be closing already
        if now > min(by["to_send_by"], by["to_read_by"]):
            connection.transport.abort()
        elif now > by["idle_by"]:
            connection.idle_by, connection.to_read_by = None, now + BODY_SECONDS  # it may not have read its answer yet
            connection.transport.close()
