"""Bodies are bounded before they are whole, one by one and all together."""

from collections.abc import Iterable

import pytest

from nightshift.serving.answers import RefusalError
from nightshift.serving.wire import ARROW, Bodies, Message, Receive, is_arrow, respond

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def arriving(*parts: bytes, leaves: bool = False) -> Receive:
    """Return what gives the parts of a body one by one; the caller may leave after the last."""
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": leaves or number < len(parts)}
        for number, part in enumerate(parts, start=1)
    ]
    left: Iterable[Message] = iter([*messages, {"type": "http.disconnect"}])
    return lambda: _next(left)


async def _next(messages: Iterable[Message]) -> Message:
    return next(messages)  # type: ignore[call-overload]  # an iterator


async def test_a_body_is_put_together_from_its_parts() -> None:
    assert await Bodies().read({}, arriving(b"ab", b"", b"cd")) == b"abcd"


async def test_a_declared_size_is_refused_before_a_byte_is_read() -> None:
    with pytest.raises(RefusalError) as refused:
        await Bodies(bytes_max=10).read({b"content-length": b"11"}, arriving())

    assert refused.value.status == 413


@pytest.mark.parametrize("declared", [b"9" * 30, b"99999999999999999999"])
async def test_an_absurd_size_is_refused(declared: bytes) -> None:
    with pytest.raises(RefusalError) as refused:
        await Bodies().read({b"content-length": declared}, arriving())

    assert refused.value.status == 413


async def test_zeros_before_a_size_make_it_no_larger() -> None:
    assert await Bodies().read({b"content-length": b"0" * 30 + b"2"}, arriving(b"ab")) == b"ab"


async def test_an_undeclared_size_is_refused_as_soon_as_it_is_exceeded() -> None:
    with pytest.raises(RefusalError) as refused:
        await Bodies(bytes_max=10).read({}, arriving(b"123456", b"78901", b"never asked for"))

    assert refused.value.status == 413
    assert refused.value.headers[b"connection"] == b"close"


async def test_all_bodies_together_are_bounded_and_room_comes_back() -> None:
    bodies = Bodies(bytes_max=10, all_bytes_max=10)
    first = await bodies.read({}, arriving(b"1234", b"5678"))

    with pytest.raises(RefusalError) as refused:
        await bodies.read({}, arriving(b"12", b"34"))
    bodies.release(first)
    second = await bodies.read({}, arriving(b"12", b"34"))

    assert refused.value.status == 503
    assert b"retry-after" in refused.value.headers
    assert second == b"1234"


async def test_a_caller_who_leaves_gives_its_room_back() -> None:
    bodies = Bodies(bytes_max=10, all_bytes_max=10)

    with pytest.raises(RefusalError):
        await bodies.read({}, arriving(b"123456", leaves=True))

    assert await bodies.read({}, arriving(b"1234", b"5678")) == b"12345678"


@pytest.mark.parametrize("kind", [None, b"application/json", b"application/json; charset=utf-8", b"Application/JSON"])
def test_json_is_taken_and_so_is_what_does_not_say(kind: bytes | None) -> None:
    assert not is_arrow({b"content-type": kind} if kind else {})


def test_an_arrow_stream_is_known_by_its_name() -> None:
    assert is_arrow({b"content-type": ARROW})


@pytest.mark.parametrize(
    "headers",
    [
        {b"content-type": b"application/x-www-form-urlencoded"},
        {b"content-type": b"text/plain"},
        {b"content-type": b"application/json; charset=utf-16"},
        {b"content-type": b"\xff"},
        {b"content-encoding": b"gzip"},
    ],
)
def test_what_says_it_is_something_else_is_refused(headers: dict[bytes, bytes]) -> None:
    with pytest.raises(RefusalError) as refused:
        is_arrow(headers)

    assert refused.value.status == 415


async def test_an_answer_is_whole_json_of_a_declared_length() -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    await respond(send, 200, b"{}", {b"x": b"y"})

    head, body = sent
    assert dict(head["headers"]) == {b"content-type": b"application/json", b"content-length": b"2", b"x": b"y"}
    assert body["body"] == b"{}"
