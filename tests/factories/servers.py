"""The real server as a process of its own, to be asked, killed and started again."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pandas as pd

import nightshift
from factories.serving import some_settings
from nightshift.predictions.log import PredictionLog


@contextmanager
def served(folder: Path, package: Path, *, keys: Path | None = None, sync: str = "answer") -> Iterator["Server"]:
    """Run ``nightshift serve`` as a process of its own; its predictions go below ``folder``."""
    server = Server(folder, package, keys=keys, sync=sync)
    server.start()
    try:
        yield server
    finally:
        server.stop()


class Server:
    """The real server on a free loopback port, which it keeps when started again.

    Without a package it serves the champions of ``mlflow``.
    """

    def __init__(
        self,
        folder: Path,
        package: Path | None,
        *,
        keys: Path | None = None,
        sync: str = "answer",
        mlflow: str = "",
    ) -> None:
        self.settings = some_settings(folder)
        self.log = PredictionLog(self.settings.predictions / "rides")
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes]
        self._package = package
        self._says = folder / "server.txt"
        self._env = {
            **os.environ,
            "PYTHONPATH": str(Path(nightshift.__file__).parents[1]),
            "NIGHTSHIFT_PROJECT": str(folder),
            "NIGHTSHIFT_STATE": str(folder / "state"),
            "NIGHTSHIFT_SERVING_KEYS": str(keys or ""),
            "NIGHTSHIFT_LOG_FSYNC": sync,
            "NIGHTSHIFT_MLFLOW": mlflow,
            "NIGHTSHIFT_SERVING_POLL_SECONDS": "0.05",
        }

    @property
    def said(self) -> str:
        return self._says.read_text()

    def start(self, *, seconds: float = 20) -> float:
        """Start it and return how long it took until it was ready."""
        began = time.perf_counter()
        package = ["--package", str(self._package)] if self._package is not None else []
        serve = ["-m", "nightshift.cli", "serve", "--port", str(self.port), *package]
        with self._says.open("ab") as says:
            self.process = subprocess.Popen([sys.executable, *serve], env=self._env, stdout=says, stderr=says)
        while time.perf_counter() - began < seconds and self.process.poll() is None:
            with suppress(httpx.HTTPError):
                if httpx.get(f"{self.url}/v1/health/ready", timeout=1).is_success:
                    return time.perf_counter() - began
            time.sleep(0.02)
        raise AssertionError(f"the server was not ready: {self.said}")

    def kill(self) -> None:
        """End it as the kernel does."""
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        """Ask it to end and return its exit status."""
        self.process.terminate()
        return self.process.wait(20)

    def memory(self) -> int:
        """Return the bytes it holds in memory."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def remembered(self) -> pd.DataFrame:
        """Return all rows of its prediction log."""
        self.log.compact()
        return self.log.window(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))[0]


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
