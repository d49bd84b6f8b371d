"""Requests that come in one piece, answered without a task of their own.

Most predictions are asked for in one piece of a few hundred bytes. For these
uvicorn's way (an ASGI scope, a task, an event, two writes) costs more than the
model. What is not plain goes that way all the same: see :class:`WholeProtocol`.
"""

import re
from typing import Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from nightshift.serving.guard import GuardedProtocol
from nightshift.serving.wire import Headers, Reply

ANSWER = b"%bcontent-type: application/json\r\ncontent-length: %d\r\n%b\r\n%b"
"""Status line, length, more headers, body."""
CLOSE = b"connection: close\r\n"
PLAIN_URL = re.compile(rb"/[\w./-]*", re.ASCII)


class AnswersAtOnce(Protocol):
    """An ASGI app that also answers without ASGI."""

    def at_once(self, path: str, headers: Headers, body: bytes, answer: Reply) -> bool:
        """Return whether ``answer`` is or will be called for this ``POST``; if not, the app must be asked by ASGI."""
        ...


class NoEvent:
    """What uvicorn sets when a caller leaves; here nobody waits for it."""

    def set(self) -> None:
        pass


class Whole:
    """One request under way, as uvicorn's protocol looks at it: when may the connection be closed, or go on?"""

    __slots__ = ("_protocol", "disconnected", "headers", "keep_alive", "response_complete")
    message_event = NoEvent()
    more_body = False

    def __init__(self, protocol: "WholeProtocol", headers: Headers, *, keep_alive: bool) -> None:
        self._protocol = protocol
        self.headers = headers
        self.keep_alive = keep_alive
        self.disconnected = False
        self.response_complete = False

    def answer(self, status: int, body: bytes, headers: Headers) -> None:
        """Send the whole answer in one write."""
        self.response_complete = True
        transport = self._protocol.transport
        if self.disconnected or transport.is_closing():
            return
        more = b"".join([b"%b: %b\r\n" % header for header in headers.items()]) if headers else b""
        if not self.keep_alive:
            more += CLOSE
        transport.write(ANSWER % (STATUS_LINE[status], len(body), more, body))
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()


class WholeProtocol(GuardedProtocol):
    """Holds a ``POST`` back until the piece that brought its head is read; if that was all, asks for an answer at once.

    What did not come whole, follows one that is not answered yet, or is not
    answered at once by the app, is given to uvicorn as if it had not been held.
    """

    app: AnswersAtOnce
    _held: tuple[Whole, list[bytes]] | None = None

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._held is not None and not self.transport.is_closing():
            self._let_go()

    def on_headers_complete(self) -> None:
        if self._is_free() and self.parser.get_method() == b"POST" and PLAIN_URL.fullmatch(self.url):
            self.leave_head()
            keep_alive = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
            self._held = Whole(self, dict(self.headers), keep_alive=keep_alive), []
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._held is None:
            super().on_body(body)
        else:
            self._held[1].append(body)

    def on_message_complete(self) -> None:
        if self._held is not None:
            whole, pieces = self._held
            self.to_send_by = None
            if self.app.at_once(self.url.decode("ascii"), whole.headers, b"".join(pieces), whole.answer):
                self.cycle, self._held = whole, None
                return
            self._let_go()
        super().on_message_complete()

    def _is_free(self) -> bool:
        """Return whether nothing stands in the way of an answer at once."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.transport.is_closing()
            and not self.flow.write_paused
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and (self.limit_concurrency is None or len(self.connections) < self.limit_concurrency)
        )

    def _let_go(self) -> None:
        """Give uvicorn what was held."""
        assert self._held is not None
        (_, pieces), self._held = self._held, None
        super().on_headers_complete()
        for body in pieces:
            super().on_body(body)
