"""Requests that come in one piece, answered without a task of their own.

Most predictions are asked for in one piece of a few hundred bytes. For these
uvicorn's way (an ASGI scope, a task, an event, two writes) costs more than the
model. What is not plain goes that way all the same: see :class:`WholeProtocol`.
"""

import re
from typing import ClassVar, NamedTuple, Protocol

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from nightshift.serving.guard import GuardedProtocol
from nightshift.serving.wire import JSON, Headers, Reply

ANSWER = b"%bcontent-type: " + JSON + b"\r\ncontent-length: %d\r\n%b\r\n%b"
"""Status line, length, more headers, body: what :func:`nightshift.serving.wire.head_of` lists, as bytes."""
CLOSE = b"connection: close\r\n"
END = b"\r\n\r\n"
HEADS_MAX, HEAD_BYTES_MAX = 512, 2048
"""So many heads are known, none of them longer."""
PLAIN_URL = re.compile(rb"/[\w./-]*", re.ASCII)


class AnswersAtOnce(Protocol):
    """An ASGI app that also answers without ASGI."""

    def at_once(self, path: str, headers: Headers, body: bytes, answer: Reply) -> bool:
        """Return whether ``answer`` is or will be called for this ``POST``; if not, the app must be asked by ASGI.

        To decline has no effect: the same request may be offered twice.
        """
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
        more = b"".join([b"%b: %b\r\n" % header for header in headers.items()])
        if not self.keep_alive:
            more += CLOSE
        transport.write(ANSWER % (STATUS_LINE[status], len(body), more, body))
        if not self.keep_alive:
            transport.close()
        self._protocol.on_response_complete()


class Known(NamedTuple):
    """What a head was parsed to."""

    path: str
    headers: Headers
    length: int


class WholeProtocol(GuardedProtocol):
    """Holds a ``POST`` back until the piece that brought its head is read; if that was all, asks for an answer at once.

    What did not come whole, follows one that is not answered yet, or is not
    answered at once by the app, is given to uvicorn as if it had not been held.

    Callers send the same head again and again. One that was parsed, and followed by
    just the body it told of, is known; what begins a request with the same bytes, and
    brings as long a body, is not parsed again.
    """

    app: AnswersAtOnce
    _heads: ClassVar[dict[bytes, Known]] = {}
    _held: tuple[Whole, list[bytes]] | None = None
    _piece: bytes | None = None
    """What is being parsed, if it began where a request begins."""

    def data_received(self, data: bytes) -> None:
        if self.to_send_by is None:
            if self._is_answered_unparsed(data):
                return
            self._piece = data
        super().data_received(data)
        self._piece = None
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
            (whole, pieces), path = self._held, self.url.decode("ascii")
            body = b"".join(pieces)
            if self._is_answered(whole, path, body):
                self._held = None
                self._learn(whole, path, body)
                return
            self._let_go()
        super().on_message_complete()

    def _is_answered(self, whole: Whole, path: str, body: bytes) -> bool:
        self.to_send_by = self.idle_by = None
        if not self.app.at_once(path, whole.headers, body, whole.answer):
            return False
        self.cycle = whole
        return True

    def _is_answered_unparsed(self, data: bytes) -> bool:
        """Say whether ``data`` was a whole request with a known head, and is answered."""
        end = _end_of_head(data)
        known = self._heads.get(data[:end])
        if known is None or len(data) - end != known.length or not self._is_free():
            return False
        return self._is_answered(Whole(self, known.headers, keep_alive=True), known.path, data[end:])

    def _learn(self, whole: Whole, path: str, body: bytes) -> None:
        """Remember the head of a request that was answered, if it was the whole piece and nothing was between."""
        data = self._piece or b""
        end = _end_of_head(data)
        if end and whole.keep_alive and len(data) - end == len(body):
            self._heads[data[:end]] = Known(path, whole.headers, len(body))
            if len(self._heads) > HEADS_MAX:
                del self._heads[next(iter(self._heads))]

    def _is_free(self) -> bool:
        """Return whether nothing stands in the way of an answer at once."""
        return (
            (self.cycle is None or self.cycle.response_complete)
            and not self.transport.is_closing()
            and not self.flow.write_paused
            and not self.expect_100_continue
            and not self.parser.should_upgrade()
            and not self.is_crowded()
        )

    def _let_go(self) -> None:
        """Give uvicorn what was held."""
        assert self._held is not None
        (_, pieces), self._held = self._held, None
        super().on_headers_complete()
        for body in pieces:
            super().on_body(body)


def _end_of_head(data: bytes) -> int:
    """Return how many bytes at the beginning are a head; none if it does not end, or is too long to be known."""
    found = data.find(END, 0, HEAD_BYTES_MAX)
    return found + len(END) if found >= 0 else 0
