"""What was started is known again and ended whole; what somebody else started is never touched."""

import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from nightshift.errors import ServiceError
from nightshift.services.processes import Process, free_port, stop, wait_until_ready

Start = Callable[[str], Process]

WAIT = "import signal\nprint('ready', flush=True)\nwhile True: signal.pause()"
STUBBORN = f"""
import signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if sys.argv[1:]:
    print("child", flush=True)
else:
    subprocess.Popen([*sys.orig_argv, "again"])
{WAIT}
"""
LAST_MINUTE = f"""
import signal, subprocess, sys
def leave(*_):
    heir = subprocess.Popen([sys.executable, "-c", "print(flush=True)\\n" "import signal; signal.pause()"], stdout=-1)
    heir.stdout.readline()
    print("heir", heir.pid, flush=True)
    sys.exit()
signal.signal(signal.SIGTERM, leave)
{WAIT}
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a small program and return once it said that it is ready; all are ended after the test."""
    started: list[Process] = []

    def begin(program: str) -> Process:
        command = [sys.executable, "-c", program]
        log = tmp_path / "logs" / f"{len(started)}.log"
        process = Process.start("small", command, log=log, env={"MARK": "7"}, cwd=tmp_path, url=None)
        started.append(process)
        wait_until_said(process, "ready")
        return process

    yield begin
    stop(started, seconds=0)


def wait_until_said(process: Process, *words: str) -> None:
    def ready(_: str) -> bool:
        return set(words) <= set(process.last_words().split())

    wait_until_ready({process.name: process}, ready=ready, seconds=30, poll_seconds=0.01)


def family(process: Process) -> list[psutil.Process]:
    own = psutil.Process(process.pid)
    return [own, *own.children(recursive=True)]


# ---------------------------------------------------------------- known again


def test_a_process_is_known_again_from_what_was_noted(start: Start) -> None:
    process = start(WAIT)

    again = Process.from_json(json.loads(json.dumps(process.to_json())))

    assert again == process
    assert again.is_up


def test_a_process_has_a_session_of_its_own_so_that_no_closed_terminal_ends_it(start: Start) -> None:
    process = start(WAIT)

    assert os.getsid(process.pid) == process.pid != os.getsid(0)


def test_a_process_gets_the_environment_and_folder_it_is_given_and_nothing_to_read(
    start: Start, tmp_path: Path
) -> None:
    process = start(f"import os, sys; print(os.environ['MARK'], os.getcwd(), repr(sys.stdin.read()))\n{WAIT}")

    assert f"7 {tmp_path} ''" in process.last_words()


def test_a_process_that_ended_is_not_up_even_while_nobody_reaped_it(start: Start) -> None:
    process = start("print('ready', flush=True); import time; time.sleep(2)")

    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE
    assert not process.is_up


def test_another_process_with_the_same_number_is_not_it(start: Start) -> None:
    process = start(WAIT)

    assert not replace(process, started=process.started - 60).is_up
    assert replace(process, started=process.started - 0.5).is_up, "the kernel's clock may have been set"


def test_a_number_that_nobody_has_is_not_up() -> None:
    assert not Process("gone", 2**22 + 1, 0.0, "/nowhere").is_up


# ---------------------------------------------------------------- ended


def test_a_process_that_listens_is_asked_and_ends(start: Start, tmp_path: Path) -> None:
    process = start(f"import signal, sys\nsignal.signal(signal.SIGTERM, lambda *_: (print('bye'), sys.exit()))\n{WAIT}")

    stop([process])

    assert not process.is_up
    assert process.last_words().endswith("bye")


def test_a_stubborn_process_is_killed_with_its_children(start: Start) -> None:
    process = start(STUBBORN)
    wait_until_said(process, "child")
    members = family(process)

    stop([process], seconds=0.2)

    assert len(members) == 2
    assert not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in members)


def test_a_child_that_is_started_at_the_last_moment_is_ended_too(start: Start) -> None:
    process = start(LAST_MINUTE)

    stop([process], seconds=20)

    heir = int(process.last_words().split("heir ")[1])
    psutil.wait_procs([psutil.Process(heir)] if psutil.pid_exists(heir) else [], timeout=10)
    assert not psutil.pid_exists(heir) or psutil.Process(heir).status() == psutil.STATUS_ZOMBIE


def killed(process: Process) -> psutil.Process:
    """Kill the first of two processes, and only it; return the other."""
    wait_until_said(process, "child")
    first, child = family(process)
    first.kill()
    psutil.wait_procs([first], timeout=10)
    return child


def test_what_a_killed_process_left_behind_is_ended(start: Start) -> None:
    process = start(STUBBORN)
    child = killed(process)

    left = [orphan.pid for orphan in process.orphans()]
    stop([process], seconds=0.2)

    assert left == [child.pid]
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_the_session_of_somebody_else_is_left_alone(start: Start, tmp_path: Path) -> None:
    process = start(STUBBORN)
    child = killed(process)
    (tmp_path / "other.log").touch()

    assert replace(process, log=str(tmp_path / "other.log")).orphans() == []
    assert replace(process, started=process.started + 60).orphans() == []
    assert child.is_running()


def test_somebody_elses_process_with_a_recycled_number_is_left_alone(start: Start) -> None:
    foreign = start(WAIT)

    stop([replace(foreign, started=foreign.started - 3600)], seconds=0)

    assert foreign.is_up


def test_several_are_asked_together_and_not_one_after_the_other(start: Start) -> None:
    crowd = [start(WAIT) for _ in range(3)]

    stop(crowd)

    assert not any(process.is_up for process in crowd)


def test_ending_what_ended_changes_nothing(start: Start) -> None:
    process = start(WAIT)
    stop([process])

    stop([process])
    stop([])

    assert not process.is_up


# ---------------------------------------------------------------- waited for


def test_waiting_ends_when_each_is_ready(start: Start) -> None:
    asked: list[str] = []

    def ready(name: str) -> bool:
        asked.append(name)
        return asked.count(name) > (2 if name == "slow" else 0)

    wait_until_ready({"slow": start(WAIT), "quick": start(WAIT)}, ready=ready, seconds=30, poll_seconds=0)

    assert asked == ["slow", "quick", "slow", "slow"]


def test_a_process_that_dies_is_told_with_its_last_words(start: Start) -> None:
    many = "for number in range(40): print('line', number)"
    process = start(f"import signal, sys\n{many}\nsignal.signal(15, lambda *_: sys.exit('no port left'))\n{WAIT}")
    os.kill(process.pid, signal.SIGTERM)

    with pytest.raises(ServiceError) as caught:
        wait_until_ready({"mlflow": process}, ready=lambda _: False, seconds=30, poll_seconds=0.01)

    lines = str(caught.value).splitlines()
    assert lines[0] == f"mlflow ended while starting. The end of {process.log}:"
    assert lines[-1] == "no port left"
    assert len(lines) == 1 + 15


def test_a_process_that_never_gets_ready_is_told_with_its_log(start: Start) -> None:
    process = start(WAIT)

    with pytest.raises(ServiceError, match=rf"not ready after 0 s:\n  slow: see {process.log}\nRun `make down`"):
        wait_until_ready({"slow": process}, ready=lambda _: False, seconds=0, poll_seconds=0)


def test_the_last_words_of_a_huge_log_are_found_without_reading_it_all(tmp_path: Path) -> None:
    log = tmp_path / "huge.log"
    with log.open("wb") as file:
        file.truncate(4 * 1024**3)
        file.seek(0, os.SEEK_END)
        file.write("\nlast é\n".encode())

    assert Process("p", 1, 0.0, str(log)).last_words(lines=1) == "last é"


def test_a_process_without_a_log_said_nothing(tmp_path: Path) -> None:
    assert Process("p", 1, 0.0, str(tmp_path / "none")).last_words() == ""


# ---------------------------------------------------------------- ports


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_a_free_port_is_kept(taken: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = int(other.getsockname()[1])

    assert free_port(free) == free


def test_a_port_that_somebody_listens_on_is_passed_over(taken: int) -> None:
    found = free_port(taken)

    assert found > taken
    with socket.create_server(("127.0.0.1", found)):
        pass


def test_a_port_that_was_just_given_away_is_passed_over(taken: int) -> None:
    first = free_port(taken)

    assert free_port(taken, taken=[first]) > first


def test_a_listener_on_every_interface_counts_as_well() -> None:
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = int(server.getsockname()[1])

        assert free_port(port) != port


def test_a_port_whose_last_connection_is_still_fading_is_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)):
            server.accept()[0].close()  # the side that closes first keeps the port in TIME_WAIT

    assert free_port(port) == port


def test_when_all_are_taken_the_range_is_told() -> None:
    with pytest.raises(ServiceError, match="ports 65530 to 65535 are all taken; free one of them"):
        free_port(65_530, taken=range(65_530, 65_536))


def test_signals_reach_only_what_was_started(start: Start) -> None:
    bystander, process = start(WAIT), start(WAIT)

    stop([process], seconds=5)

    assert bystander.is_up
    os.kill(bystander.pid, signal.SIGKILL)
