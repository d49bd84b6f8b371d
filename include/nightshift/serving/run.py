"""Running an ASGI app on a port, guarded."""

import asyncio
import resource
import socket
import sys
from contextlib import closing, suppress
from typing import Any

import uvicorn

from nightshift.errors import ServiceError, SettingsError
from nightshift.serving.access import Access, is_loopback
from nightshift.serving.guard import sweep
from nightshift.serving.whole import WholeProtocol

ASGIApplication = Any
CONNECTIONS_MAX = 4096
GRACE_SECONDS = 10
SPARE_FILES = 128
SWITCH_SECONDS = 0.0005
"""How long a thread with a large request may hold the interpreter while small ones and the disk's thread wait."""


def run(app: ASGIApplication, *, host: str, port: int) -> None:
    """Run an app until told to stop (SIGTERM, SIGINT); requests under way are answered first.

    Raises
    ------
    ServiceError
        If the address cannot be listened on.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    config = _config(app)
    server = uvicorn.Server(config)
    with (
        closing(listen(host, port)) as listening,
        suppress(KeyboardInterrupt),
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
    ):
        runner.run(_serve(server, listening))


def check_is_guarded(access: Access, host: str) -> None:
    """Refuse to be reached by others without keys.

    Raises
    ------
    SettingsError
        If ``host`` is not this machine's loopback and there are no keys.
    """
    if access.keys or is_loopback(host):
        return
    raise SettingsError(
        f"serving would listen on {host}, where others reach it, and has no keys; "
        "set NIGHTSHIFT_SERVING_KEYS to a file of keys, or listen on 127.0.0.1"
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens there.

    Raises
    ------
    ServiceError
        If it cannot be had.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise ServiceError(
            f"cannot listen on {host}:{port}: {error}; choose another port or stop what holds it"
        ) from None


def _config(app: ASGIApplication) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=WholeProtocol,
        ws="none",
        loop="uvloop",
        log_level="warning",
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        limit_concurrency=_connections(),
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


async def _serve(server: uvicorn.Server, listening: socket.socket) -> None:
    sweeping = asyncio.create_task(sweep(server))
    try:
        await server.serve(sockets=[listening])
    finally:
        sweeping.cancel()


def _connections() -> int:
    """Return how many connections fit into the files this process may open, after asking for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS_MAX + SPARE_FILES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return max(16, min(CONNECTIONS_MAX, soft - SPARE_FILES))
