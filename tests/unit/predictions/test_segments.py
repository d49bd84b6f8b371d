"""A writer's files: locked while written, left for ever once something failed."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest

from factories.predictions import answered, columns
from nightshift.errors import PredictionLogError
from nightshift.predictions import segments
from nightshift.predictions.frames import frame, scan
from nightshift.predictions.record import Answered, Columns, decode, encode
from nightshift.predictions.segments import AHEAD, SegmentWriter, Sync, list_segments, writer_name


def write(writer: SegmentWriter, *names: str, of: Columns | None = None) -> None:
    of = of or columns()
    writer.write([(of, frame(encode(answered(name, version=of.version)))) for name in names])


def names_in(path: Path) -> list[str]:
    entries = [decode(payload) for _, payload in scan(path.read_bytes()).frames]
    return [entry.id if isinstance(entry, Answered) else f"columns {entry.version}" for entry in entries]


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let the kernel refuse to grow files, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_nothing_is_made_before_the_first_write(tmp_path: Path) -> None:
    SegmentWriter(tmp_path / "log", name="w")

    assert not (tmp_path / "log").exists()
    assert list_segments(tmp_path / "log") == []


def test_each_version_is_introduced_once_in_each_segment(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, name="w")

    write(writer, "a", "b")
    write(writer, "c", of=columns("2"))
    write(writer, "d")
    writer.close()
    write(writer, "e")

    first, second = [segment.path for segment in list_segments(tmp_path)]
    assert names_in(first) == ["columns 1", "a", "b", "columns 2", "c", "d"]
    assert names_in(second) == ["columns 1", "e"]


def test_a_segment_is_sealed_once_its_writer_left_it(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, name="w")
    write(writer, "a")
    before = [segment.is_sealed for segment in list_segments(tmp_path)]

    writer.close()

    assert before == [False]
    assert [segment.is_sealed for segment in list_segments(tmp_path)] == [True]


@pytest.mark.parametrize("names", [("a",), tuple(f"many-{number}" for number in range(9000))], ids=["few", "many"])
def test_a_segment_that_was_left_holds_its_frames_and_nothing_else(tmp_path: Path, names: tuple[str, ...]) -> None:
    writer, flat = SegmentWriter(tmp_path, name="w"), columns()
    for start in range(0, len(names), 50):
        write(writer, *names[start : start + 50])
    living = list_segments(tmp_path)[0].read(0)
    writer.close()

    expected = b"".join(frame(encode(one)) for one in (flat, *map(answered, names)))
    path = list_segments(tmp_path)[0].path
    assert living == path.read_bytes() == expected


def test_each_segment_is_laid_out_ahead_of_its_frames(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, name="w")
    sizes = []
    for name in ("a", "b"):
        write(writer, name)
        sizes.append(list_segments(tmp_path)[-1].path.stat().st_size)
        writer.close()

    assert sizes == [len(AHEAD), len(AHEAD)]


@pytest.mark.parametrize("why", ["interval", "much at once", "a disk that is nearly full", "a disk that refuses"])
def test_where_room_would_cost_more_than_it_spares_none_is_laid_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    writer = SegmentWriter(tmp_path, name="w", sync="interval" if why == "interval" else "answer")
    if why == "a disk that is nearly full":
        monkeypatch.setattr(segments, "SPARE_BYTES", 2**62)
    names = [f"r{number}" for number in range(500 if why == "much at once" else 2)]
    with files_no_larger_than(10_000) if why == "a disk that refuses" else nullcontext():
        write(writer, *names)

    path = list_segments(tmp_path)[0].path
    assert names_in(path) == ["columns 1", *names]
    if why != "a disk that refuses":  # which takes as much as it may
        assert not path.read_bytes().endswith(b"\0")


def test_a_full_segment_is_followed_by_the_next(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, name="w", segment_bytes=1)

    write(writer, "a")
    write(writer, "b")

    assert [names_in(segment.path)[-1] for segment in list_segments(tmp_path)] == ["a", "b"]


def test_a_folder_removed_meanwhile_is_made_again_and_what_follows_is_kept(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "log", name="w")
    write(writer, "a")
    for path in sorted((tmp_path / "log").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()

    write(writer, "b")

    assert [names_in(segment.path) for segment in list_segments(tmp_path / "log")] == [["columns 1", "b"]]


def test_a_segment_whose_folder_was_moved_away_is_followed_by_one_in_the_old_place(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path / "log", name="w")
    write(writer, "a")
    (tmp_path / "log").rename(tmp_path / "moved")

    write(writer, "b")

    assert names_in(list_segments(tmp_path / "log")[0].path) == ["columns 1", "b"]


@pytest.mark.parametrize("sync", ["answer", "interval"])
@pytest.mark.parametrize("left", [0, 10])
def test_a_segment_that_somebody_cut_costs_nothing_that_comes_after(
    tmp_path: Path, sync: Sync, left: int, caplog: pytest.LogCaptureFixture
) -> None:
    writer = SegmentWriter(tmp_path, name="w", sync=sync)
    write(writer, "a")
    (cut,) = [segment.path for segment in list_segments(tmp_path)]
    os.truncate(cut, left)

    write(writer, "b")
    write(writer, "c")
    writer.close()

    first, second = [segment.path for segment in list_segments(tmp_path)]
    assert first == cut
    assert first.stat().st_size == left
    assert names_in(second) == ["columns 1", "b", "c"]
    assert f"{cut} was cut by somebody else" in caplog.text


@pytest.mark.parametrize("sync", ["answer", "interval"])
def test_what_is_flushed_by_another_thread_outlives_the_segments_end(tmp_path: Path, sync: Sync) -> None:
    writer = SegmentWriter(tmp_path, name="w", sync=sync)
    write(writer, "a")
    flush = writer.flush_aside()
    writer.close()

    flush()

    assert names_in(list_segments(tmp_path)[0].path) == ["columns 1", "a"]


def test_a_full_disk_is_said_and_a_write_succeeds_once_there_is_room(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, name="w")
    write(writer, "a")

    with files_no_larger_than(600), pytest.raises(PredictionLogError, match="free space"):
        write(writer, "b", "c", "d", "e")
    write(writer, "f")

    first, second = [segment.path for segment in list_segments(tmp_path)]
    assert names_in(first)[:2] == ["columns 1", "a"]
    assert names_in(second) == ["columns 1", "f"]


def test_a_disk_too_full_for_anything_leaves_no_empty_files_behind(tmp_path: Path) -> None:
    writer = SegmentWriter(tmp_path, name="w")

    with files_no_larger_than(0):
        for _ in range(3):
            with pytest.raises(PredictionLogError):
                write(writer, "a")

    assert list((tmp_path / "segments").iterdir()) == []


def test_only_the_owner_may_read_what_was_asked(tmp_path: Path) -> None:
    write(SegmentWriter(tmp_path, name="w"), "a")

    assert list_segments(tmp_path)[0].path.stat().st_mode & 0o777 == 0o600


def test_two_writers_never_share_a_name() -> None:
    now = datetime(2013, 5, 1, tzinfo=UTC)

    assert writer_name(now) != writer_name(now)
    assert writer_name(now).startswith("20130501T000000-")
