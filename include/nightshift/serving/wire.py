"""A few words of ASGI: the body of a request, within bounds, and one whole answer."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from nightshift.serving.answers import Headers, RefusalError, unavailable

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Reply = Callable[[int, bytes, Headers], None]
"""Sends a whole JSON answer: status, body, and more headers."""

JSON, ARROW = b"application/json", b"application/vnd.apache.arrow.stream"
BODY_BYTES_MAX = 16 * 1024 * 1024
BODIES_BYTES_MAX = 256 * 1024 * 1024
"""Of all bodies that are being received or worked on."""


class Bodies:
    """Reads bodies and bounds what all of them together take."""

    def __init__(self, *, bytes_max: int = BODY_BYTES_MAX, all_bytes_max: int = BODIES_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._all_bytes_max = all_bytes_max
        self._held = 0

    async def read(self, headers: Headers, receive: Receive) -> bytes:
        """Return the request's body; give it back with :meth:`release`.

        Raises
        ------
        RefusalError
            413 as soon as it is too large, 503 if too many large ones are here, 400 if the caller left.
        """
        declared = headers.get(b"content-length", b"")
        if len(declared.lstrip(b"0")) > 18 or (declared.isdigit() and int(declared) > self._bytes_max):
            raise _too_large(declared.decode("latin-1")[:20], self._bytes_max)
        message = await receive()
        body: bytes = message.get("body", b"")
        if message.get("more_body"):
            return await self._read_on(body, receive)
        if len(body) > self._bytes_max:
            raise _too_large(f"{len(body):,}", self._bytes_max)
        self._held += len(body)
        return body

    def release(self, body: bytes) -> None:
        """Tell that a body is done with."""
        self._held -= len(body)

    async def _read_on(self, body: bytes, receive: Receive) -> bytes:
        parts, size, held = [body], len(body), self._hold(len(body))
        try:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RefusalError(400, "the caller left before the request was whole")
                part: bytes = message.get("body", b"")
                parts.append(part)
                size += len(part)
                if size > self._bytes_max:
                    raise _too_large(f"{size:,} or more", self._bytes_max)
                held += self._hold(len(part))
                if not message.get("more_body"):
                    break
        except BaseException:
            self._held -= held
            raise
        return b"".join(parts)

    def _hold(self, size: int) -> int:
        if self._held + size > self._all_bytes_max:
            raise unavailable("too many large requests are being worked on; try again shortly")
        self._held += size
        return size


def read_already(body: bytes, receive: Receive) -> Receive:
    """Return what brings a body that was read, and then whatever ``receive`` brings."""
    pieces: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def bring() -> Message:
        return pieces.pop() if pieces else await receive()

    return bring


async def respond(send: Send, status: int, body: bytes, headers: Headers) -> None:
    """Send one whole JSON answer."""
    await send({"type": "http.response.start", "status": status, "headers": head_of(body, headers)})
    await send({"type": "http.response.body", "body": body})


def head_of(body: bytes, headers: Headers) -> list[tuple[bytes, bytes]]:
    """Return the headers of an answer in JSON, ``headers`` among them.

    >>> head_of(b"{}", {b"retry-after": b"1"})
    [(b'content-type', b'application/json'), (b'content-length', b'2'), (b'retry-after', b'1')]
    """
    return [(b"content-type", JSON), (b"content-length", b"%d" % len(body)), *headers.items()]


def is_arrow(headers: Headers) -> bool:
    """Return whether the body says it is an Arrow IPC stream; else it is JSON.

    Raises
    ------
    RefusalError
        415 if it says it is neither, or compressed.
    """
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise RefusalError(415, "the body is compressed; send it as it is")
    kind = headers.get(b"content-type")
    if kind is None or kind == JSON:
        return False
    name, _, parameters = kind.lower().partition(b";")
    if name.strip() == JSON and parameters.strip() in (b"", b"charset=utf-8"):
        return False
    if name.strip() == ARROW:
        return True
    shown = kind.decode("latin-1")[:80]
    arrow = f"a stream of Arrow IPC as {ARROW.decode()}"
    raise RefusalError(415, f"the content type is {shown!r}; send JSON as application/json (curl --json …), or {arrow}")


def _too_large(size: str, most: int) -> RefusalError:
    # the rest of the body is not read, so the connection cannot be used again
    close = {b"connection": b"close"}
    return RefusalError(413, f"the body has {size} bytes, at most {most:,} are taken; send it in parts", headers=close)
