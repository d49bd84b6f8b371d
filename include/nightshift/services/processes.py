"""Processes that outlive the command that started them, and are known again later."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from nightshift.errors import ServiceError

STOP_SECONDS = 25.0
_CHILDREN: dict[int, "subprocess.Popen[bytes]"] = {}
"""Handles of what this very process started: dropped while the child runs they complain, and none would reap it."""
CLOCK_SECONDS = 2.0
"""How far the kernel's idea of when a process began may move while clocks are set; pids come again much later."""
PORTS_TRIED = 100
PORT_MAX = 65_535
LOG_TAIL_BYTES = 64 * 1024


@dataclass(frozen=True)
class Process:
    """A started service. ``started`` tells it from a later process that got the same pid.

    ``said_before`` is how many bytes its log had when it began.
    """

    name: str
    pid: int
    started: float
    log: str
    url: str | None = None
    said_before: int = 0

    @classmethod
    def start(
        cls, name: str, command: list[str], *, log: Path, env: Mapping[str, str], cwd: Path, url: str | None
    ) -> Self:
        """Start ``command`` in a session of its own, its output appended to ``log``."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as output:
            before = output.tell()
            child = subprocess.Popen(  # noqa: S603 - the commands are our own lists, no shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        _CHILDREN[child.pid] = child
        return cls(name, child.pid, psutil.Process(child.pid).create_time(), str(log), url, before)

    @property
    def is_up(self) -> bool:
        """Whether this very process lives; a zombie does not."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.started) < CLOCK_SECONDS
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False

    @property
    def environment(self) -> dict[str, str]:
        """The variables it was started with; empty if it is gone."""
        try:
            return psutil.Process(self.pid).environ() if self.is_up else {}
        except psutil.Error:
            return {}

    def orphans(self) -> list[psutil.Process]:
        """Return what this process started and left behind when it was killed; empty as long as it lives.

        They are still in the session that it led, whose number no other process gets meanwhile; that they began
        after it, and that their log is its log, tells them from a later session with the same number.
        """
        if self.is_up or psutil.pid_exists(self.pid):
            return []
        return [member for member in psutil.process_iter() if self._is_mine(member)]

    def _is_mine(self, member: psutil.Process) -> bool:
        try:
            in_session = os.getsid(member.pid) == self.pid and member.create_time() >= self.started - CLOCK_SECONDS
            return in_session and Path(f"/proc/{member.pid}/fd/2").samefile(self.log)
        except (OSError, psutil.Error):
            return False

    def last_words(self, lines: int = 15) -> str:
        """Return the end of what it said, not of what another one said before it; empty if it said nothing."""
        try:
            with Path(self.log).open("rb") as log:
                log.seek(max(self.said_before, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
                return "\n".join(log.read().decode(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**content)


def stop(processes: Iterable[Process], *, seconds: float = STOP_SECONDS) -> None:
    """End the processes and all they started: asked first, killed if they do not listen.

    Only processes that are still the ones we started are touched, and what one
    that was killed has left behind. Returns when none of them is left.
    """
    processes = list(processes)
    groups = [process.pid for process in processes if process.is_up]
    orphans = [member.pid for process in processes for member in process.orphans()]
    families = [member for pid in (*groups, *orphans) for member in _family(pid)]
    for pid in (*groups, *orphans):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    _, stubborn = psutil.wait_procs(families, timeout=seconds)
    for member in stubborn:
        with suppress(psutil.NoSuchProcess):
            member.kill()
    psutil.wait_procs(stubborn, timeout=STOP_SECONDS)
    for pid in groups:
        with suppress(ProcessLookupError):  # what they started when they were asked to end; each had its own group
            os.killpg(pid, signal.SIGKILL)
    for process in processes:
        if (child := _CHILDREN.get(process.pid)) and child.poll() is not None:
            del _CHILDREN[process.pid]


def wait_until_ready(
    processes: Mapping[str, Process], *, ready: Callable[[str], bool], seconds: float, poll_seconds: float = 0.3
) -> None:
    """Return once ``ready(name)`` holds for each process.

    Raises
    ------
    ServiceError
        If one dies (with the end of its log) or is not ready in time.
    """
    deadline = time.monotonic() + seconds
    waiting = dict(processes)
    while waiting:
        for name, process in list(waiting.items()):
            if not process.is_up:
                raise ServiceError(f"{name} ended while starting. The end of {process.log}:\n{process.last_words()}")
            if ready(name):
                del waiting[name]
        if waiting and time.monotonic() > deadline:
            logs = "\n".join(f"  {name}: see {process.log}" for name, process in waiting.items())
            raise ServiceError(f"not ready after {seconds:.0f} s:\n{logs}\nRun `make down`, then `make up`.")
        if waiting:
            time.sleep(poll_seconds)


def free_port(preferred: int, *, taken: Iterable[int] = ()) -> int:
    """Return ``preferred`` if nobody listens there on the loopback, else the next free port.

    Raises
    ------
    ServiceError
        If a hundred ports in a row are taken.
    """
    avoid, last = set(taken), min(preferred + PORTS_TRIED - 1, PORT_MAX)
    for port in range(preferred, last + 1):
        if port not in avoid and _is_free(port):
            return port
    raise ServiceError(f"ports {preferred} to {last} are all taken; free one of them")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
