"""What came whole is answered at once; whatever else comes is uvicorn's, and callers cannot tell which it was."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from types import SimpleNamespace

import pytest
import uvicorn

from factories.callers import post
from nightshift.serving import guard
from nightshift.serving.guard import PIPELINE_MAX, GuardedProtocol, sweep
from nightshift.serving.run import listen
from nightshift.serving.whole import HEADS_MAX, WholeProtocol
from nightshift.serving.wire import Headers, Message, Receive, Reply, Send, respond

pytestmark = pytest.mark.anyio
SOON_SECONDS = 5.0
LITTLE = 12_000
"""Bytes that wait to be sent and are few enough for the transport to want more."""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Echo:
    """Answers what it was sent: ``/now`` at once, ``/held`` when told to, everything else by ASGI."""

    def __init__(self) -> None:
        self.held: list[tuple[bytes, Reply]] = []
        self.came = asyncio.Event()
        self.by_asgi: list[bytes] = []

    def at_once(self, path: str, headers: Headers, body: bytes, answer: Reply) -> bool:
        if path == "/now":
            answer(200, body, {b"x-kind": headers.get(b"x-kind", b"")})
        elif path == "/held":
            self.held.append((body, answer))
            self.came.set()
        return path in ("/now", "/held")

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.by_asgi.append(body)
        await respond(send, 200, body, {})


class Long(Echo):
    """Answers with so many bytes."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.answer = b"x" * size

    def at_once(self, path: str, headers: Headers, body: bytes, answer: Reply) -> bool:
        return super().at_once(path, headers, body, lambda *_: answer(200, self.answer, {}))

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        await respond(send, 200, self.answer, {})


@asynccontextmanager
async def serving(app: Echo, *, connections: int = 100, idle_seconds: int = 5) -> AsyncIterator[uvicorn.Server]:
    config = uvicorn.Config(
        app,
        http=WholeProtocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        proxy_headers=False,
        limit_concurrency=connections,
        timeout_keep_alive=idle_seconds,
    )
    server = uvicorn.Server(config)
    listening = listen("127.0.0.1", 0)
    config.port = listening.getsockname()[1]
    # not serve(), which would take the test runner's signals
    config.load()
    server.lifespan = config.lifespan_class(config)
    await server.startup(sockets=[listening])
    sweeping = asyncio.create_task(sweep(server))
    try:
        yield server
    finally:
        sweeping.cancel()
        await server.shutdown(sockets=[listening])


async def opened(server: uvicorn.Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", server.config.port)


async def hear(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """Return head and body of the next answer."""
    async with asyncio.timeout(SOON_SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split()[0])
        return head, await reader.readexactly(length)


async def ask(server: uvicorn.Server, *pieces: bytes) -> tuple[bytes, bytes]:
    reader, writer = await opened(server)
    for piece in pieces:
        writer.write(piece)
        await asyncio.sleep(0.02)
    heard = await hear(reader)
    writer.close()
    return heard


async def test_a_whole_request_is_answered_at_once_with_all_its_headers() -> None:
    app = Echo()
    async with serving(app) as server:
        head, body = await ask(server, post("/now", b"hello", headers={"X-Kind": "plain"}))

    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nx-kind: plain\r\n" in head
    assert body == b"hello"
    assert app.by_asgi == []


@pytest.mark.parametrize("cut", [1, 30, 74, 100, -1])
async def test_what_comes_in_pieces_loses_nothing(cut: int) -> None:
    app = Echo()
    request = post("/now", b"x" * 40)
    async with serving(app) as server:
        _, body = await ask(server, request[:cut], request[cut:])

    assert body == b"x" * 40


async def test_a_body_in_many_chunks_that_is_here_whole_is_put_together() -> None:
    request = b"POST /now HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    async with serving(Echo()) as server:
        _, body = await ask(server, request)

    assert body == b"abcdefg"


async def test_what_the_app_does_not_answer_at_once_goes_to_it_by_asgi() -> None:
    app = Echo()
    async with serving(app) as server:
        _, body = await ask(server, post("/other", b"hello"))

    assert (body, app.by_asgi) == (b"hello", [b"hello"])


async def test_requests_in_one_go_are_answered_in_their_order_whatever_their_way() -> None:
    app = Echo()
    async with serving(app) as server:
        reader, writer = await opened(server)
        writer.write(post("/held", b"1") + post("/now", b"2") + post("/other", b"3") + post("/held", b"4"))
        await asyncio.wait_for(app.came.wait(), SOON_SECONDS)
        app.held[0][1](200, b"1", {})
        bodies = [(await hear(reader))[1] for _ in range(3)]
        # what waited behind an answer is asked by ASGI, where "/held" is a path like any other
        bodies.append((await hear(reader))[1])
        writer.close()

    assert bodies == [b"1", b"2", b"3", b"4"]


async def test_an_answered_line_is_used_again() -> None:
    app = Echo()
    async with serving(app) as server:
        reader, writer = await opened(server)
        bodies = []
        for path in ("/now", "/other", "/now", "/now"):
            writer.write(post(path, path.encode()))
            bodies.append((await hear(reader))[1])
        writer.close()

    assert bodies == [b"/now", b"/other", b"/now", b"/now"]
    assert app.by_asgi == [b"/other"]
    assert server.server_state.total_requests == 4


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Know no head, and list what is parsed."""
    pieces: list[bytes] = []
    parse = GuardedProtocol.data_received

    def data_received(protocol: GuardedProtocol, data: bytes) -> None:
        pieces.append(data)
        parse(protocol, data)

    monkeypatch.setattr(WholeProtocol, "_heads", {})
    monkeypatch.setattr(GuardedProtocol, "data_received", data_received)
    return pieces


async def test_a_head_that_came_before_is_not_parsed_again_whoever_sends_it(parsed: list[bytes]) -> None:
    first, second = (post("/now", body, headers={"X-Kind": "plain"}) for body in (b"hello", b"\r\n\r\nx"))
    async with serving(Echo()) as server:
        heard = [await ask(server, request) for request in (first, second, first)]

    assert [body for _, body in heard] == [b"hello", b"\r\n\r\nx", b"hello"]
    assert all(b"\r\nx-kind: plain\r\n" in head for head, _ in heard)
    assert parsed == [first]


async def test_wherever_a_known_request_is_cut_it_is_answered_once_and_so_is_the_next(parsed: list[bytes]) -> None:
    both = post("/now", b"POST /now\r\n\r\n1") + post("/now", b"POST /now\r\n\r\n2")
    async with serving(Echo(), connections=1000) as server:
        await ask(server, both[: len(both) // 2])
        for cut in range(1, len(both)):
            reader, writer = await opened(server)
            writer.write(both[:cut])
            await asyncio.sleep(0.002)
            writer.write(both[cut:])
            assert [(await hear(reader))[1][-1:] for _ in range(2)] == [b"1", b"2"]
            writer.close()

    assert parsed


@pytest.mark.parametrize(
    "other",
    [
        post("/now", b"hello", headers={"connection": "close"}),
        post("/now", b"hello", headers={"expect": "100-continue"}),
        post("/now", b"hello", headers={"x": "y" * 3000}),
        post("/other", b"hello"),
        b"POST /now HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        post("/now", b"hello") + post("/now", b"hello"),
    ],
    ids=["to be closed", "a go-ahead", "long", "by ASGI", "in chunks", "two"],
)
async def test_only_plain_heads_are_known(parsed: list[bytes], other: bytes) -> None:
    async with serving(Echo()) as server:
        for _ in range(2):
            reader, writer = await opened(server)
            writer.write(other)
            if b"100-continue" in other:
                await reader.readuntil(b"\r\n\r\n")
            assert (await hear(reader))[1] == b"hello"
            writer.close()

    assert parsed == [other, other]


async def test_of_two_requests_in_one_piece_neither_is_taken_for_the_other(parsed: list[bytes]) -> None:
    hers, mine = (post("/now", kind, headers={"X-Kind": kind.decode()}) for kind in (b"hers", b"mine"))
    async with serving(Echo()) as server:
        reader, writer = await opened(server)
        heard = []
        for piece, answers in ((hers + mine, 2), (hers, 1), (mine, 1), (hers, 1)):
            writer.write(piece)
            heard += [await hear(reader) for _ in range(answers)]
        writer.close()

    assert [body for _, body in heard] == [b"hers", b"mine", b"hers", b"mine", b"hers"]
    assert all(b"\r\nx-kind: " + body + b"\r\n" in head for head, body in heard)


async def test_a_body_that_looks_like_a_known_request_is_a_body(parsed: list[bytes]) -> None:
    known = post("/now", b"hello")
    outer = post("/now", known)
    async with serving(Echo()) as server:
        await ask(server, known)
        _, body = await ask(server, outer[: -len(known)], known)

    assert body == known


async def test_a_head_whose_rest_looks_like_a_known_request_is_one_head(parsed: list[bytes]) -> None:
    app, known = Echo(), post("/now", b"hello")
    async with serving(app) as server:
        await ask(server, known)
        _, body = await ask(server, b"POST /other HTTP/1.1\r\nx: ", known)

    assert (body, app.by_asgi) == (b"hello", [b"hello"])


async def test_a_request_that_began_in_the_piece_of_another_teaches_nothing(parsed: list[bytes]) -> None:
    second = post("/now", b"as long as 1 and what came with it")
    begun = len(b"as long as 1 and what came with it") - 1
    async with serving(Echo()) as server:
        for _ in range(2):
            reader, writer = await opened(server)
            writer.write(post("/now", b"1") + second[:begun])
            bodies = [(await hear(reader))[1]]
            writer.write(second[begun:])
            bodies.append((await hear(reader))[1])
            writer.close()
            assert bodies == [b"1", b"as long as 1 and what came with it"]


async def test_a_known_request_waits_for_the_answer_before_it(parsed: list[bytes]) -> None:
    app = Echo()
    async with serving(app) as server:
        await ask(server, post("/now", b"2"))
        reader, writer = await opened(server)
        writer.write(post("/held", b"1"))
        await asyncio.wait_for(app.came.wait(), SOON_SECONDS)
        writer.write(post("/now", b"2"))
        await asyncio.sleep(0.1)
        app.held[0][1](200, b"1", {})
        bodies = [(await hear(reader))[1] for _ in range(2)]
        writer.close()

    assert bodies == [b"1", b"2"]


async def test_so_many_heads_are_known_and_no_more(parsed: list[bytes]) -> None:
    async with serving(Echo()) as server:
        reader, writer = await opened(server)
        for number in range(HEADS_MAX + 10):
            writer.write(post("/now", b"hello", headers={"x": str(number)}))
            await hear(reader)
        writer.close()

    assert len(WholeProtocol._heads) == HEADS_MAX
    assert len(parsed) == HEADS_MAX + 10


@pytest.mark.parametrize(
    "request_bytes",
    [
        post("/now", b"hello", headers={"connection": "close"}),
        b"POST /now HTTP/1.0\r\ncontent-length: 5\r\n\r\nhello",
        b"POST /now HTTP/1.0\r\nconnection: keep-alive\r\ncontent-length: 5\r\n\r\nhello",
    ],
)
async def test_who_wants_the_line_closed_has_it_closed(request_bytes: bytes) -> None:
    async with serving(Echo()) as server:
        reader, writer = await opened(server)
        writer.write(request_bytes)
        head, body = await hear(reader)
        rest = await asyncio.wait_for(reader.read(), SOON_SECONDS)
        writer.close()

    assert b"\r\nconnection: close\r\n" in head
    assert (body, rest) == (b"hello", b"")


async def test_who_asks_for_a_go_ahead_gets_one() -> None:
    app = Echo()
    async with serving(app) as server:
        reader, writer = await opened(server)
        writer.write(b"POST /now HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n")
        go_ahead = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), SOON_SECONDS)
        writer.write(b"hello")
        _, body = await hear(reader)
        writer.close()

    assert go_ahead.startswith(b"HTTP/1.1 100")
    assert body == b"hello"


async def test_an_answer_to_a_caller_who_left_is_dropped() -> None:
    app = Echo()
    async with serving(app) as server:
        _, writer = await opened(server)
        writer.write(post("/held", b"1"))
        await asyncio.wait_for(app.came.wait(), SOON_SECONDS)
        writer.close()
        await writer.wait_closed()
        await asyncio.sleep(0.05)

        app.held[0][1](200, b"1", {})
        _, body = await ask(server, post("/now", b"next"))

    assert body == b"next"


async def test_what_is_under_way_is_answered_before_the_server_ends() -> None:
    app = Echo()
    async with serving(app) as server:
        reader, writer = await opened(server)
        writer.write(post("/held", b"1"))
        await asyncio.wait_for(app.came.wait(), SOON_SECONDS)
        ending = asyncio.create_task(server.shutdown())
        await asyncio.sleep(0.2)
        still_open = not ending.done()

        app.held[0][1](200, b"1", {})
        head, body = await hear(reader)
        await asyncio.wait_for(ending, SOON_SECONDS)
        writer.close()

    assert still_open
    assert b"\r\nconnection: close\r\n" in head
    assert body == b"1"


async def test_one_connection_too_many_is_told_so() -> None:
    app = Echo()
    async with serving(app, connections=2) as server:
        _, first = await opened(server)
        first.write(post("/held", b"1"))
        await asyncio.wait_for(app.came.wait(), SOON_SECONDS)
        reader, second = await opened(server)
        second.write(post("/now", b"2"))
        head, body = await hear(reader)
        app.held[0][1](200, b"1", {})
        for writer in (first, second):
            writer.close()

    assert head.startswith(b"HTTP/1.1 503")
    assert b"\r\nretry-after: 1\r\n" in head
    assert b"too many connections" in body


async def test_a_broken_chunk_behind_a_head_is_refused_and_never_answered() -> None:
    app = Echo()
    async with serving(app) as server:
        reader, writer = await opened(server)
        writer.write(b"POST /now HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nZZ\r\n")
        answer = await asyncio.wait_for(reader.read(), SOON_SECONDS)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 400")
    assert app.by_asgi == []


@pytest.mark.parametrize("url", [b"http://x:99999/now", b"http://[::1/now", b"/n\xffw"])
@pytest.mark.parametrize("cut", [-5, None])
async def test_an_address_that_is_none_is_refused_in_one_piece_and_in_two(url: bytes, cut: int | None) -> None:
    app = Echo()
    request = b"POST " + url + b" HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello"
    async with serving(app) as server:
        reader, writer = await opened(server)
        for piece in (request,) if cut is None else (request[:cut], request[cut:]):
            writer.write(piece)
            await asyncio.sleep(0.02)
        answer = await asyncio.wait_for(reader.read(), SOON_SECONDS)
        writer.close()

    assert answer.startswith(b"HTTP/1.1 400")
    assert app.by_asgi == []


@pytest.mark.parametrize("cut", [None, 60, 80])
async def test_what_trails_a_body_is_no_header(cut: int | None) -> None:
    request = (
        b"POST /now HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\nx-kind: late\r\nconnection: close\r\n\r\n"
    )
    async with serving(Echo()) as server:
        head, body = await ask(server, *((request,) if cut is None else (request[:cut], request[cut:])))

    assert body == b"hello"
    assert b"late" not in head
    assert b"connection: close" not in head


async def test_a_line_is_not_idle_while_its_next_request_is_on_its_way() -> None:
    async with serving(Echo(), idle_seconds=1) as server:
        reader, writer = await opened(server)
        writer.write(post("/now", b"1") + post("/other", b"2")[:-1])
        first = await hear(reader)
        await asyncio.sleep(1.5)
        writer.write(b"2")
        second = await hear(reader)
        writer.close()

    assert (first[1], second[1]) == (b"1", b"2")


@pytest.mark.parametrize("path", ["/now", "/other"])
async def test_a_line_that_is_idle_is_closed(path: str) -> None:
    async with serving(Echo(), idle_seconds=1) as server:
        reader, writer = await opened(server)
        writer.write(post(path, b"hello"))
        await hear(reader)
        async with asyncio.timeout(SOON_SECONDS):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()


async def test_a_line_that_waits_for_its_answer_is_not_idle(parsed: list[bytes]) -> None:
    app = Echo()
    async with serving(app, idle_seconds=1) as server:
        reader, writer = await opened(server)
        bodies = []
        for number, seconds in enumerate((0, 2.5)):
            app.came.clear()
            writer.write(post("/held", b"hello"))
            await asyncio.wait_for(app.came.wait(), SOON_SECONDS)
            await asyncio.sleep(seconds)
            app.held[number][1](200, b"late", {})
            bodies.append((await hear(reader))[1])
        writer.close()

    assert bodies == [b"late", b"late"]
    assert len(parsed) == 1


@pytest.mark.parametrize("path", ["/now", "/other"])
async def test_a_long_answer_that_is_read_slowly_is_not_cut_when_its_line_would_be_idle(path: str) -> None:
    async with serving(Long(16_000_000), idle_seconds=1) as server:
        reader, writer = await opened(server)
        writer.write(post(path, b"hello"))
        await asyncio.sleep(3)
        _, body = await hear(reader)
        writer.close()

    assert len(body) == 16_000_000


@pytest.mark.parametrize("path", ["/now", "/other"])
@pytest.mark.parametrize("headers", [{}, {"connection": "close"}], ids=["kept", "to be closed"])
@pytest.mark.parametrize("size", [50_000, 500_000])
async def test_who_does_not_read_what_is_left_of_his_answer_loses_his_line(
    monkeypatch: pytest.MonkeyPatch, path: str, headers: dict[str, str], size: int
) -> None:
    monkeypatch.setattr(guard, "BODY_SECONDS", 1.0)
    async with serving(Long(size), idle_seconds=1) as server:
        with socket.socket() as caller:
            caller.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            caller.connect(("127.0.0.1", server.config.port))
            await asyncio.sleep(0.1)
            (connection,) = server.server_state.connections
            line = connection.transport.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            caller.sendall(post(path, b"hello", headers=headers))
            await asyncio.sleep(0.1)
            while (left := connection.transport.get_write_buffer_size()) > LITTLE:
                await asyncio.to_thread(caller.recv, 1024)
            async with asyncio.timeout(SOON_SECONDS + 2):
                while server.server_state.connections:
                    await asyncio.sleep(0.1)

    assert 0 < left <= LITTLE


@pytest.mark.parametrize("again", [True, False], ids=["and asks again", "and goes"])
async def test_who_was_answered_before_he_had_sent_it_all_may_end_it(again: bool) -> None:
    class Early(Echo):
        async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
            await respond(send, 200, b"early", {})

    async with serving(Early(), idle_seconds=1) as server:
        reader, writer = await opened(server)
        request = post("/other", b"12345")
        writer.write(request[:-5])
        answers = [(await hear(reader))[1]]
        for byte in b"12345":
            await asyncio.sleep(0.5)
            writer.write(bytes([byte]))
        if again:
            writer.write(request)
            answers.append((await hear(reader))[1])
        async with asyncio.timeout(SOON_SECONDS):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()

    assert answers == [b"early"] * (1 + again)


async def test_a_caller_who_has_no_more_to_say_gets_his_answer() -> None:
    app = Echo()
    async with serving(app) as server:
        reader, writer = await opened(server)
        writer.write(post("/held", b"1"))
        writer.write_eof()
        await asyncio.wait_for(app.came.wait(), SOON_SECONDS)
        await asyncio.sleep(0.05)
        app.held[0][1](200, b"1", {})
        _, body = await hear(reader)
        rest = await asyncio.wait_for(reader.read(), SOON_SECONDS)
        writer.close()

    assert (body, rest) == (b"1", b"")


async def test_a_caller_who_sends_on_and_on_is_read_no_further_than_a_piece() -> None:
    app, request = Echo(), post("/held", b"1" * 8000)
    async with serving(app) as server:
        _, writer = await opened(server)
        writer.write(request * (4 * 1024 * 1024 // len(request)))
        await asyncio.wait_for(app.came.wait(), SOON_SECONDS)
        await asyncio.sleep(0.2)
        (connection,) = server.server_state.connections
        waiting = [len(connection.pipeline)]
        app.held[0][1](200, b"1", {})  # those behind it are answered by ASGI, and the next piece is read
        await asyncio.sleep(0.5)
        waiting.append(len(connection.pipeline))
        writer.transport.abort()
        app.held[1][1](200, b"1", {})

    assert 0 < max(waiting) * len(request) <= 512 * 1024  # of four million bytes
    assert len(app.held) == 2


async def test_who_asks_too_much_ahead_loses_his_line_and_costs_nobody_anything() -> None:
    app = Echo()
    async with serving(app) as server:
        reader, writer = await opened(server)
        writer.write(post("/held", b"1") + b"GET / HTTP/1.1\r\n\r\n" * 5000)
        async with asyncio.timeout(SOON_SECONDS):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        _, other = await ask(server, post("/now", b"2"))
        writer.close()

    assert other == b"2"
    assert app.by_asgi == []


async def test_some_requests_may_be_sent_ahead() -> None:
    async with serving(Echo()) as server:
        reader, writer = await opened(server)
        writer.write(b"".join(post("/other", b"%d" % number) for number in range(PIPELINE_MAX)))
        heard = [(await hear(reader))[1] for _ in range(PIPELINE_MAX)]
        writer.close()

    assert heard == [b"%d" % number for number in range(PIPELINE_MAX)]


@pytest.mark.parametrize("path", ["/now", "/other"])
@pytest.mark.parametrize("cut", [None, 40])
@pytest.mark.parametrize("name", ["Upgrade", "upgrade", "UPGRADE"])
async def test_an_upgrade_that_is_offered_is_passed_over(path: str, cut: int | None, name: str) -> None:
    offer = {"Connection": "Upgrade, HTTP2-Settings", name: "h2c", "HTTP2-Settings": "AAMAAABkAAQCAAAAAAIAAAAA"}
    request = post(path, b"hello", headers=offer)
    async with serving(Echo()) as server:
        head, body = await ask(server, *([request] if cut is None else [request[:cut], request[cut:]]))

    assert head.startswith(b"HTTP/1.1 200")
    assert body == b"hello"


async def test_a_loop_that_stood_still_holds_nobody_for_idle_until_it_has_read() -> None:
    closed: list[bool] = []
    line = SimpleNamespace(idle_by=-1.0, transport=SimpleNamespace(close=lambda: closed.append(True)))
    state = SimpleNamespace(server_state=SimpleNamespace(connections=[line]))
    sweeping = asyncio.create_task(sweep(state))  # type: ignore[arg-type]  # all it looks at of a server
    await asyncio.sleep(0)
    time.sleep(2 * guard.SWEEP_SECONDS + 0.1)
    await asyncio.sleep(0.1)
    at_first = list(closed)
    await asyncio.sleep(guard.SWEEP_SECONDS + 0.1)
    sweeping.cancel()

    assert (at_first, closed) == ([], [True])
