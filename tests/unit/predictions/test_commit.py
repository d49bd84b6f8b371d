"""Whoever waits shares a sync; nobody is told yes before it; nothing waits without bound."""

import asyncio
import errno
import itertools
import resource
import threading
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from factories.predictions import answered, columns
from nightshift.errors import LogBusyError, PredictionLogError
from nightshift.predictions.commit import LARGE_BYTES, PATIENCE_SECONDS, PAUSE_SECONDS, Frame, GroupCommit
from nightshift.predictions.frames import frame, scan
from nightshift.predictions.record import Answered, decode, encode
from nightshift.predictions.segments import SegmentWriter, list_segments

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SlowWriter(SegmentWriter):
    """A real writer on a disk that waits until it is told to go on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, name="slow")
        self.go = threading.Event()
        self.writes = 0

    def write(self, frames: Sequence[Frame]) -> None:
        assert self.go.wait(10)
        super().write(frames)
        self.writes += 1


def data(name: str) -> bytes:
    return frame(encode(answered(name)))


def written(folder: Path) -> list[str]:
    entries = [decode(payload) for segment in list_segments(folder) for _, payload in scan(segment.read(0)).frames]
    return [entry.id for entry in entries if isinstance(entry, Answered)]


async def test_what_was_acknowledged_is_in_the_file(tmp_path: Path) -> None:
    commit = GroupCommit(SegmentWriter(tmp_path, name="w"))

    await asyncio.gather(*(commit.append(columns(), data(f"a{number}")) for number in range(20)))

    assert sorted(written(tmp_path)) == sorted(f"a{number}" for number in range(20))
    await commit.close()


async def test_those_who_wait_share_one_write(tmp_path: Path) -> None:
    writer = SlowWriter(tmp_path)
    commit = GroupCommit(writer)
    waiting = [asyncio.create_task(commit.append(columns(), data(f"a{number}"))) for number in range(50)]
    await asyncio.sleep(0)

    writer.go.set()
    await asyncio.gather(*waiting)

    assert writer.writes <= 2
    await commit.close()


async def test_callers_who_come_again_and_again_do_not_fall_into_groups_that_take_turns(tmp_path: Path) -> None:
    writer, rounds = SlowWriter(tmp_path), 20
    commit = GroupCommit(writer)

    async def call_again_and_again(name: str) -> None:
        for number in range(rounds):
            await commit.append(columns(), data(f"{name}{number}"))
            for _ in range(3):  # an answer has to leave, and the next request to come
                await asyncio.sleep(0)

    first = asyncio.create_task(call_again_and_again("a"))
    await asyncio.sleep(0.01)  # its write has begun, so the other is too late for it
    second = asyncio.create_task(call_again_and_again("b"))
    await asyncio.sleep(0.01)
    writer.go.set()
    await asyncio.gather(first, second)

    assert writer.writes <= rounds + 2  # taking turns, it would be twice as many
    assert len(written(tmp_path)) == 2 * rounds
    await commit.close()


async def test_one_who_fails_to_hear_keeps_nobody_else_from_hearing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    commit = GroupCommit(SegmentWriter(tmp_path, name="w"))

    def fail(_error: PredictionLogError | None) -> None:
        raise ValueError("the line is gone")

    commit.submit(columns(), data("a"), fail)
    await commit.append(columns(), data("b"))
    await commit.append(columns(), data("c"))

    assert written(tmp_path) == ["a", "b", "c"]
    assert commit.pending_bytes == 0
    assert "the line is gone" in caplog.text
    await commit.close()


async def test_a_writer_that_breaks_in_a_way_nobody_thought_of_is_a_disk_that_refuses(tmp_path: Path) -> None:
    class Broken(SegmentWriter):
        def write(self, frames: Sequence[Frame]) -> None:
            raise RuntimeError("nobody thought of this")

    commit = GroupCommit(Broken(tmp_path, name="w"))

    with pytest.raises(PredictionLogError, match="nobody thought of this"):
        await commit.append(columns(), data("a"))

    assert commit.pending_bytes == 0
    await commit.close()


async def test_nobody_is_told_yes_before_the_disk_has_it(tmp_path: Path) -> None:
    writer = SlowWriter(tmp_path)
    commit = GroupCommit(writer)

    waiting = asyncio.create_task(commit.append(columns(), data("a")))
    done, _ = await asyncio.wait([waiting], timeout=0.05)

    assert not done
    writer.go.set()
    await waiting
    await commit.close()


async def test_a_disk_about_as_quick_as_the_patience_with_it_tells_everybody_once(tmp_path: Path) -> None:
    class Wavering(SegmentWriter):
        seconds = itertools.cycle((0, 0.8, 0.95, 1, 1.05, 1.2, 3))

        def write(self, frames: Sequence[Frame]) -> None:
            super().write(frames)
            time.sleep(next(self.seconds) * PATIENCE_SECONDS)

    commit = GroupCommit(Wavering(tmp_path, name="w", sync="answer"))
    told: list[str] = []
    names = [f"a{number}" for number in range(300)]

    def hear(name: str, error: PredictionLogError | None) -> None:
        assert error is None
        assert data(name) in b"".join(segment.read(0) for segment in list_segments(tmp_path))
        told.append(name)

    for name in names:
        commit.submit(columns(), data(name), partial(hear, name))
        await asyncio.sleep(next(Wavering.seconds) * PATIENCE_SECONDS)
    await commit.close()

    assert told == names
    assert written(tmp_path) == names


async def test_a_disk_that_ends_just_when_the_patience_does_is_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class TooLate(SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            if timeout is None:
                return super().get(block)
            while self.empty():
                time.sleep(0.001)
            time.sleep(0.01)  # the thread has looked by now whether it is waited for, and it is
            raise Empty

    monkeypatch.setattr("nightshift.predictions.commit.SimpleQueue", TooLate)
    commit = GroupCommit(SegmentWriter(tmp_path, name="w"))

    for name in "ab":
        await asyncio.wait_for(commit.append(columns(), data(name)), 10)

    assert written(tmp_path) == ["a", "b"]
    await commit.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The patience with which the loop itself waited for the disk, each time that it did."""
    found = []

    class Watched(SimpleQueue[Any]):
        def get(self, block: bool = True, timeout: float | None = None) -> Any:
            if timeout is not None:
                found.append(timeout)
            return super().get(block, timeout)

    monkeypatch.setattr("nightshift.predictions.commit.SimpleQueue", Watched)
    return found


async def test_the_loop_waits_for_a_quick_disk_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    commit = GroupCommit(SegmentWriter(tmp_path, name="w"))
    seen = []
    for patience in (10.0, 10.0, 0.0, 0.0, 0.0, 10.0, 10.0):  # to who has none, every disk is slow
        monkeypatch.setattr("nightshift.predictions.commit.PATIENCE_SECONDS", patience)
        before = len(waits)
        await commit.append(columns(), data("a"))
        seen.append(len(waits) - before)

    assert seen == [1, 1, 1, 0, 0, 0, 1]  # slow once, it is not waited for until it was quick once
    await commit.close()


async def test_the_loop_waits_for_no_disk_while_another_log_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    logs: list[GroupCommit] = []
    slow = SlowWriter(tmp_path / "slow")
    logs += [GroupCommit(slow, others=logs), GroupCommit(SegmentWriter(tmp_path / "quick", name="w"), others=logs)]
    held = asyncio.create_task(logs[0].append(columns(), data("a")))
    await asyncio.sleep(0.01)
    monkeypatch.setattr("nightshift.predictions.commit.PATIENCE_SECONDS", 10.0)
    before = len(waits)

    await logs[1].append(columns(), data("b"))
    beside = len(waits) - before
    slow.go.set()
    await held
    await logs[1].append(columns(), data("c"))

    assert (beside, len(waits) - before) == (0, 1)
    assert written(tmp_path / "quick") == ["b", "c"]
    for log in logs:
        await log.close()


@pytest.fixture
async def after_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[GroupCommit, SlowWriter]:
    """A log that two callers have just been told by; who waits for company waits for ten seconds."""
    monkeypatch.setattr("nightshift.predictions.commit.GATHER_SECONDS", 10.0)
    writer = SlowWriter(tmp_path)
    writer.go.set()
    commit = GroupCommit(writer)
    await asyncio.gather(*(commit.append(columns(), data(name)) for name in "ab"))
    return commit, writer


async def test_who_comes_soon_after_others_were_told_waits_for_them(
    after_two: tuple[GroupCommit, SlowWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightshift.predictions.commit.MOMENT_SECONDS", 10.0)
    commit, writer = after_two

    early = asyncio.create_task(commit.append(columns(), data("c")))
    for _ in range(5):
        await asyncio.sleep(0)
    await commit.append(columns(), data("d"))
    await early

    assert writer.writes == 2
    await commit.close()


async def test_who_comes_later_waits_for_nobody(
    after_two: tuple[GroupCommit, SlowWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightshift.predictions.commit.MOMENT_SECONDS", 0.0)
    commit, writer = after_two

    await asyncio.wait_for(commit.append(columns(), data("c")), 5)

    assert writer.writes == 2
    await commit.close()


async def test_much_waits_for_nobody(
    after_two: tuple[GroupCommit, SlowWriter], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightshift.predictions.commit.MOMENT_SECONDS", 10.0)
    commit, writer = after_two

    await asyncio.wait_for(commit.append(columns(), bytes(LARGE_BYTES)), 5)

    assert writer.writes == 2
    await commit.close()


async def test_the_loop_does_not_wait_for_a_disk_that_has_much_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    monkeypatch.setattr("nightshift.predictions.commit.PATIENCE_SECONDS", 10.0)
    commit = GroupCommit(SegmentWriter(tmp_path, name="w"))
    seen = []
    for size in (LARGE_BYTES - 1, LARGE_BYTES, 1):
        before = len(waits)
        await commit.append(columns(), bytes(size))
        seen.append(len(waits) - before)

    assert seen == [1, 0, 1]
    await commit.close()


async def test_while_a_slow_disk_is_waited_for_the_loop_goes_on(tmp_path: Path) -> None:
    writer = SlowWriter(tmp_path)
    commit = GroupCommit(writer)

    for name in "abc":  # the first time it is taken for quick, later it is known to be slow, and quick again
        writer.go.clear()
        waiting = asyncio.create_task(commit.append(columns(), data(name)))
        await asyncio.sleep(3 * PATIENCE_SECONDS)
        assert not waiting.done()
        writer.go.set()
        await waiting
        await commit.append(columns(), data(name))

    assert written(tmp_path) == list("aabbcc")
    await commit.close()


async def test_a_slow_disk_makes_the_door_refuse_and_recover(tmp_path: Path) -> None:
    writer = SlowWriter(tmp_path)
    commit = GroupCommit(writer, pending_bytes_max=1)
    first = asyncio.create_task(commit.append(columns(), data("a")))
    await asyncio.sleep(0)

    with pytest.raises(LogBusyError, match="wait for the disk"):
        await commit.append(columns(), data("b"))
    writer.go.set()
    await first
    await commit.append(columns(), data("c"))

    assert commit.pending_bytes == 0
    assert written(tmp_path) == ["a", "c"]
    await commit.close()


async def test_a_full_disk_fails_everybody_in_the_group_and_recovers_by_itself(tmp_path: Path) -> None:
    commit = GroupCommit(SegmentWriter(tmp_path, name="w"))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        outcomes = await asyncio.gather(
            *(commit.append(columns(), data(name)) for name in "abc"), return_exceptions=True
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    said = commit.failure
    with pytest.raises(PredictionLogError):  # for a moment the disk is left alone
        commit.check_room()

    await asyncio.sleep(PAUSE_SECONDS)
    await commit.append(columns(), data("d"))

    assert all(isinstance(outcome, PredictionLogError) for outcome in outcomes)
    assert said
    assert commit.failure is None
    assert written(tmp_path) == ["d"]
    await commit.close()


async def test_a_caller_who_leaves_takes_nobody_along(tmp_path: Path) -> None:
    writer = SlowWriter(tmp_path)
    commit = GroupCommit(writer)
    leaves, stays = (asyncio.create_task(commit.append(columns(), data(name))) for name in "ab")
    await asyncio.sleep(0)

    leaves.cancel()
    writer.go.set()
    await stays

    assert "b" in written(tmp_path)
    assert commit.pending_bytes == 0
    await commit.close()


async def test_with_intervals_a_write_is_in_the_file_at_once_and_the_segment_sealed_at_the_end(tmp_path: Path) -> None:
    commit = GroupCommit(SegmentWriter(tmp_path, name="w", sync="interval"))

    await asyncio.gather(*(commit.append(columns(), data(name)) for name in "abc"))
    at_once = written(tmp_path)
    await commit.close()

    assert at_once == ["a", "b", "c"]
    assert [segment.is_sealed for segment in list_segments(tmp_path)] == [True]


async def test_with_intervals_a_sync_follows_although_nothing_more_comes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nightshift.predictions.commit.SYNC_SECONDS", 0.01)
    synced = threading.Event()
    monkeypatch.setattr("os.fdatasync", lambda _handle: synced.set())
    commit = GroupCommit(SegmentWriter(tmp_path, name="w", sync="interval"))

    await commit.append(columns(), data("a"))

    assert await asyncio.to_thread(synced.wait, 10)
    await commit.close()


async def test_with_intervals_a_sync_that_fails_is_told_and_ends_the_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel may hold the pages for clean afterwards, so that a second sync of them would lie."""
    monkeypatch.setattr("nightshift.predictions.commit.SYNC_SECONDS", 0.01)
    commit = GroupCommit(SegmentWriter(tmp_path, name="w", sync="interval"))

    def fail(_handle: int) -> None:
        raise OSError(errno.EIO, "the disk is hurt")

    with monkeypatch.context() as patch:
        patch.setattr("os.fdatasync", fail)
        await commit.append(columns(), data("a"))
        async with asyncio.timeout(10):
            while commit.failure is None:
                await asyncio.sleep(0.01)
    failure = commit.failure
    await asyncio.sleep(PAUSE_SECONDS)
    await commit.append(columns(), data("b"))
    after = commit.failure
    await commit.close()

    assert "the disk is hurt" in failure
    assert after is None
    assert [segment.path.name for segment in list_segments(tmp_path)] == ["w-000001.log", "w-000002.log"]
