"""What runs on one machine, with which command, at which address."""

import base64
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from filelock import FileLock, Timeout

from nightshift.errors import ServiceError
from nightshift.files import read_json, write_json, write_text
from nightshift.services.processes import Process, free_port, stop, wait_until_ready
from nightshift.settings import Settings

PORTS = {"airflow": 8080, "mlflow": 5000, "serving": 8000}
AIRFLOW_PARTS = {
    "airflow": ["api-server"],
    "airflow-scheduler": ["scheduler", "--skip-serve-logs"],
    "airflow-dag-processor": ["dag-processor"],
    "airflow-triggerer": ["triggerer", "--skip-serve-logs"],
}
HEALTH_PARTS = {
    "airflow": "metadatabase",
    "airflow-scheduler": "scheduler",
    "airflow-dag-processor": "dag_processor",
    "airflow-triggerer": "triggerer",
}
NAMES = ("mlflow", *AIRFLOW_PARTS, "serving")
READY_SECONDS = 240.0
STATUS_SECONDS = 2.0
"""How long somebody who asks how things are waits for a service that says nothing."""
TELEMETRY_OFF = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "GX_ANALYTICS_ENABLED": "false",
    "DVC_NO_ANALYTICS": "1",
    "FEAST_USAGE": "False",
}
Say = Callable[[str], None]


class House:
    """The services of one project folder. Starting what runs, or stopping what does not, changes nothing."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._file = settings.state / "services.json"
        self._lock = FileLock(settings.state / "services.lock", timeout=READY_SECONDS)

    @property
    def airflow_home(self) -> Path:
        return self.settings.state / "airflow"

    def processes(self) -> dict[str, Process]:
        """Return the services started earlier, alive or not, by name; empty on a fresh machine."""
        try:
            services = read_json(self._file)["services"]
            return {name: Process.from_json(process) for name, process in services.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ServiceError(
                f"{self._file} is damaged ({error}), so what runs is not known; end the services, then remove the file"
            ) from None

    def status(self) -> dict[str, dict[str, Any]]:
        """Return ``{name: {"up": …, "answers": …, "url": …}}`` for every service, started or not.

        One that is up and does not answer is starting, frozen or sick.
        """
        known = self.processes()
        urls = {name: str(process.url) for name, process in known.items() if process.url}
        up = {name: name in known and known[name].is_up for name in NAMES}
        with ThreadPoolExecutor(len(NAMES)) as pool:
            answers = pool.map(lambda name: up[name] and _is_ready(name, urls, seconds=STATUS_SECONDS), NAMES)
        return {
            name: {"up": up[name], "answers": answer, "url": urls.get(name)}
            for name, answer in zip(NAMES, answers, strict=True)
        }

    def up(self, *, say: Say = print) -> dict[str, Process]:
        """Start what is not running and return when all of it answers.

        Ports that somebody else has taken are replaced, and ``say`` is told.
        """
        with self._alone():
            return self._up(say)

    def down(self) -> list[str]:
        """Stop everything; return the names of what was running."""
        with self._alone():
            known = self.processes().values()
            running = [process.name for process in known if process.is_up or process.orphans()]
            stop(known)
            return running

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self.settings.state.mkdir(parents=True, exist_ok=True)
        try:
            with self._lock:
                yield
        except Timeout:
            raise ServiceError(f"another `make up` or `make down` holds {self._lock.lock_file}; wait for it") from None

    def _up(self, say: Say) -> dict[str, Process]:
        known = self.processes()
        running = {name: process for name, process in known.items() if process.is_up}
        stop(process for process in known.values() if not process.is_up)  # what a killed one left holds its port
        urls = self._addresses(running, say)
        if any(known[name].url != url for name, url in urls.items() if name in known):
            # one that died lost its port: whoever still lives with its old address would talk to nobody
            stop(running.values())
            running = {}
        for name, process in running.items():
            if others := _set_otherwise(process, self.settings):
                say(f"{name} runs already, with another {', '.join(others)}; for the new one `make down` first")
        env = self._environment(urls)
        started = dict(running)
        if "mlflow" not in running:
            started["mlflow"] = self._start("mlflow", self._mlflow(urls["mlflow"]), env, urls)
            self._remember(started)
        if not AIRFLOW_PARTS.keys() <= running.keys():
            prepare_airflow(self.airflow_home, env, cwd=self.settings.project)
        for name in NAMES:
            if name not in started:
                started[name] = self._start(name, self._command(name, urls), env, urls)
                self._remember(started)
        wait_until_ready(started, ready=lambda name: _is_ready(name, urls), seconds=READY_SECONDS)
        return started

    def _addresses(self, running: Mapping[str, Process], say: Say) -> dict[str, str]:
        earlier = {name: process.url for name, process in self.processes().items() if process.url}
        urls: dict[str, str] = {}
        for name, preferred in PORTS.items():
            if name in running:
                urls[name] = str(running[name].url)
                continue
            wanted = int(str(earlier.get(name, f":{preferred}")).rpartition(":")[2])
            port = free_port(wanted, taken=[int(url.rpartition(":")[2]) for url in urls.values()])
            if port != wanted:
                say(f"port {wanted} is taken by another program; {name} listens on {port} instead")
            urls[name] = f"http://127.0.0.1:{port}"
        return urls

    def _environment(self, urls: Mapping[str, str]) -> dict[str, str]:
        """Return what every service is told: one set of addresses, telemetry off, no writes to the checkout."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name != "PYTHONDONTWRITEBYTECODE"
            and (name.startswith("NIGHTSHIFT_CHANNEL_") or not name.startswith(("AIRFLOW__", "NIGHTSHIFT_")))
        }
        return {
            **inherited,
            **TELEMETRY_OFF,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
            "AIRFLOW_HOME": str(self.airflow_home),
            "AIRFLOW_CONFIG": str(self.settings.project / "airflow.cfg"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.settings.project / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(self.settings.project / "plugins"),
            "AIRFLOW__API__PORT": urls["airflow"].rpartition(":")[2],
            "AIRFLOW__API__BASE_URL": urls["airflow"],
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{urls['airflow']}/execution/",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "OMP_WAIT_POLICY": "PASSIVE",
            **{f"NIGHTSHIFT_{name.upper()}": urls[name] for name in PORTS},
            **_told(self.settings),
        }

    def _command(self, name: str, urls: Mapping[str, str]) -> list[str]:
        if name in AIRFLOW_PARTS:
            return [sys.executable, "-m", "airflow", *AIRFLOW_PARTS[name]]
        port = urls["serving"].rpartition(":")[2]
        return [sys.executable, "-m", "nightshift.cli", "serve", "--port", port]

    def _mlflow(self, url: str) -> list[str]:
        folder = self.settings.state / "mlflow"
        folder.mkdir(parents=True, exist_ok=True)
        where = ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
        artifacts = ["--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"]
        address = ["--host", "127.0.0.1", "--port", url.rpartition(":")[2], "--workers", "1"]
        return [sys.executable, "-m", "mlflow", "server", *where, *artifacts, *address]

    def _start(self, name: str, command: list[str], env: Mapping[str, str], urls: Mapping[str, str]) -> Process:
        log = self.settings.state / "logs" / f"{name}.log"
        return Process.start(name, command, log=log, env=env, cwd=self.settings.state, url=urls.get(name))

    def _remember(self, processes: Mapping[str, Process]) -> None:
        write_json(
            self._file, {"format": 1, "services": {name: process.to_json() for name, process in processes.items()}}
        )


def prepare_airflow(home: Path, env: Mapping[str, str], *, cwd: Path) -> None:
    """Make Airflow's secrets, sign-ins and database below ``home``; what exists is kept.

    Raises
    ------
    ServiceError
        If the database cannot be made; the message holds Airflow's own words.
    """
    folder = home / "secrets"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _once(folder / "fernet_key", base64.urlsafe_b64encode(os.urandom(32)).decode())
    _once(folder / "api_secret_key", secrets.token_urlsafe(48))
    _once(folder / "jwt_secret", secrets.token_urlsafe(48))
    words = {name: secrets.token_urlsafe(9) for name in ("admin", "operator", "viewer")}
    _once(folder / "passwords.json", json.dumps(words))
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        env=dict(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ServiceError(f"airflow db migrate failed in {home}:\n{(done.stdout + done.stderr)[-2000:]}")


def sign_in(settings: Settings) -> tuple[str, str]:
    """Return the administrator's name and password for Airflow.

    Raises
    ------
    ServiceError
        If Airflow was never started here.
    """
    path = settings.state / "airflow" / "secrets" / "passwords.json"
    try:
        return "admin", str(read_json(path)["admin"])
    except FileNotFoundError:
        raise ServiceError(f"{path} is missing: Airflow was never started here. Run `make up`.") from None


def _once(path: Path, content: str) -> None:
    if not path.exists():
        write_text(path, content)
        path.chmod(0o600)


def _told(settings: Settings) -> dict[str, str]:
    """Return the settings of this process for its children: all but the addresses, which were chosen anew."""
    return {
        f"NIGHTSHIFT_{name.upper()}": str(getattr(settings, name))
        for name in Settings.model_fields
        if name not in PORTS
    }


def _set_otherwise(process: Process, settings: Settings) -> list[str]:
    """Return the settings, as variables, that a running service was started with otherwise."""
    told = process.environment
    return [name for name, value in _told(settings).items() if told and told.get(name, "") != value]


def _is_ready(name: str, urls: Mapping[str, str], *, seconds: float = 5.0) -> bool:
    try:
        if name in HEALTH_PARTS:
            answer = httpx.get(f"{urls['airflow']}/api/v2/monitor/health", timeout=seconds)
            part = answer.json().get(HEALTH_PARTS[name]) if answer.status_code == httpx.codes.OK else None
            return part is not None and part["status"] == "healthy"
        path = {"mlflow": "/health", "serving": "/v1/health/live"}[name]
        return httpx.get(urls[name] + path, timeout=seconds).status_code == httpx.codes.OK
    except (httpx.HTTPError, ValueError, KeyError):
        return False
