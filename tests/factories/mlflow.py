"""The real MLflow server on a free loopback port."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nightshift.registry import ModelRegistry

START_SECONDS = 120.0


@dataclass(frozen=True)
class Mlflow:
    """A running server and the folder it keeps artifacts in."""

    url: str
    artifacts: Path
    process: "subprocess.Popen[bytes]"

    def kept(self, name: str) -> list[Path]:
        """Return the artifacts of this name."""
        return sorted(self.artifacts.rglob(name))


@contextmanager
def mlflow_server(state: Path) -> Iterator[Mlflow]:
    """Run MLflow with everything it keeps below ``state``."""
    state.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    where = ["--backend-store-uri", f"sqlite:///{state / 'mlflow.db'}", "--artifacts-destination", str(state / "kept")]
    command = [sys.executable, "-m", "mlflow", "server", *where, "--serve-artifacts", "--host", "127.0.0.1"]
    with (state / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port), "--workers", "1"],
            env=os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        ModelRegistry(url, state, wait_seconds=START_SECONDS).ping()
        assert process.poll() is None, (state / "server.log").read_text()[-2000:]
        yield Mlflow(url, state / "kept", process)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
