"""Running the serving app on a port."""

import asyncio
import ipaddress
import resource
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn

from nightshift.errors import ServiceError, SettingsError
from nightshift.serving.guard import GuardedProtocol, sweep
from nightshift.settings import Settings

if TYPE_CHECKING:
    from nightshift.serving.app import App

CONNECTIONS_MAX = 4096
GRACE_SECONDS = 10
SPARE_FILES = 128
SWITCH_SECONDS = 0.0005
"""How long a thread with a large request may hold the interpreter while small ones and the disk's thread wait."""


def serve(settings: Settings, *, host: str, port: int, package: Path | None = None) -> None:
    """Serve until told to stop (SIGTERM, SIGINT); requests under way are answered first.

    Parameters
    ----------
    settings
        Folders, addresses, keys, how durable the log is.
    host, port
        Where to listen; anything but this machine's loopback takes keys.
    package
        Serve this package only, without a registry.

    Raises
    ------
    SettingsError
        If others could reach it and there are no keys, or the keys cannot be read.
    PackageError
        If the package to serve is not what it should be.
    ServiceError
        If the address cannot be listened on.
    """
    from nightshift.serving.app import create_app

    app = create_app(settings, package)
    check_is_guarded(app, host)
    app.open()
    sys.setswitchinterval(SWITCH_SECONDS)
    listening = listen(host, port)
    try:
        with suppress(KeyboardInterrupt):
            _run(app, listening)
    finally:
        listening.close()


def check_is_guarded(app: "App", host: str) -> None:
    """Refuse to be reached by others without keys.

    Raises
    ------
    SettingsError
        If ``host`` is not this machine's loopback and there are no keys.
    """
    if app.access.keys or is_loopback(host):
        return
    raise SettingsError(
        f"serving would listen on {host}, where others reach it, and has no keys; "
        "set NIGHTSHIFT_SERVING_KEYS to a file of keys, or listen on 127.0.0.1"
    )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach ``host``; a name that is not ``localhost`` is not believed.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("localhost.example.org")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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


def _run(app: "App", listening: socket.socket) -> None:
    config = uvicorn.Config(
        app,
        http=GuardedProtocol,
        ws="none",
        loop="uvloop",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        date_header=False,
        limit_concurrency=_connections(),
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    server = uvicorn.Server(config)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_serve(server, listening))


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
