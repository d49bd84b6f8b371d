"""A Redis server of our own, on a free port of loopback."""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nightshift.errors import FeaturesUnavailableError
from nightshift.features.online import open_online


@contextmanager
def a_redis(folder: Path, *, program: str = "redis-server") -> Iterator[str]:
    """Yield the address of a server that keeps nothing, once it answers; it ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    address = f"redis://127.0.0.1:{port}/0"
    try:
        _wait_for(address)
        yield address
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + 20
    while True:
        try:
            open_online(address).read([])
            return
        except FeaturesUnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
