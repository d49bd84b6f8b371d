"""A file is whole or absent, whoever is killed when; equal content has one digest, other content another."""

import json
import os
import random
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.files import (
    canonical_json,
    combined_digest,
    digest_of,
    draft_beside,
    file_digest,
    read_json,
    write_bytes,
    write_json,
    write_text,
)

OLD = b"old" * 1000
NEW = b"new!" * 100_000

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
contents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)


def die_while_writing(path: Path, sabotage: str) -> int:
    """Write NEW over ``path`` in a process that is sabotaged first; return how it ended."""
    program = f"""
import os, resource, sys
from pathlib import Path
from nightshift.files import write_bytes
{sabotage}
write_bytes(Path(sys.argv[1]), b"new!" * 100_000)
"""
    return subprocess.run([sys.executable, "-c", program, path], capture_output=True, check=False).returncode


def write_again_and_again(path: Path, versions: list[bytes]) -> None:
    for version in versions * 20:
        write_bytes(path, version)


def in_folder(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


# ---------------------------------------------------------------- whole or absent


@pytest.mark.parametrize("before", [None, OLD], ids=["new", "replaced"])
def test_what_is_written_is_there_and_nothing_else(tmp_path: Path, before: bytes | None) -> None:
    path = tmp_path / "deep" / "er" / "file.bin"
    if before:
        write_bytes(path, before)

    write_bytes(path, NEW)

    assert path.read_bytes() == NEW
    assert in_folder(path) == ["file.bin"]


@pytest.mark.parametrize(
    "moment",
    ["os.fsync = lambda _: os._exit(9)", "Path.replace = lambda *_: os._exit(9)", "os.rename = os.replace = None"],
    ids=["before the bytes are safe", "before the rename", "when renaming fails"],
)
@pytest.mark.parametrize("before", [None, OLD], ids=["new", "replaced"])
def test_a_writer_that_dies_leaves_the_old_file(tmp_path: Path, before: bytes | None, moment: str) -> None:
    path = tmp_path / "file.bin"
    if before:
        write_bytes(path, before)

    died = die_while_writing(path, moment)

    assert died != 0
    assert (path.read_bytes() if path.exists() else None) == before
    assert [name for name in in_folder(path) if not name.startswith(".")] == (["file.bin"] if before else [])


@pytest.mark.parametrize("bytes_left", [0, 1, 4096, 65_536, len(NEW) - 1])
def test_a_disk_that_fills_up_leaves_the_old_file_and_no_draft(tmp_path: Path, bytes_left: int) -> None:
    path = tmp_path / "file.bin"
    write_bytes(path, OLD)

    died = die_while_writing(path, f"resource.setrlimit(resource.RLIMIT_FSIZE, ({bytes_left}, {bytes_left}))")

    assert died == 1
    assert path.read_bytes() == OLD
    assert in_folder(path) == ["file.bin"]


def test_a_disk_with_just_enough_room_takes_the_new_file(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"

    died = die_while_writing(path, f"resource.setrlimit(resource.RLIMIT_FSIZE, ({len(NEW)}, {len(NEW)}))")

    assert died == 0
    assert path.read_bytes() == NEW


def test_a_killed_writer_does_not_stand_in_the_way_of_the_next(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    assert die_while_writing(path, f"os.fsync = lambda _: os.kill(os.getpid(), {signal.SIGKILL})") == -signal.SIGKILL

    write_bytes(path, NEW)

    assert path.read_bytes() == NEW


def test_no_reader_ever_sees_half_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    versions = [letter * 300_000 for letter in (b"a", b"b")]
    write_bytes(path, versions[0])

    with ThreadPoolExecutor(2) as threads:
        writers = [threads.submit(write_again_and_again, path, versions) for _ in range(2)]
        seen = set()
        while not all(writer.done() for writer in writers):
            seen.add(path.read_bytes())

    assert seen <= set(versions)
    assert in_folder(path) == ["file.bin"]


def test_a_folder_in_the_way_is_an_error_and_leaves_no_draft(tmp_path: Path) -> None:
    (tmp_path / "file.bin").mkdir()

    with pytest.raises(OSError, match=r"file\.bin"):
        write_bytes(tmp_path / "file.bin", NEW)

    assert in_folder(tmp_path / "file.bin") == ["file.bin"]


def test_a_link_is_replaced_and_what_it_points_to_is_left_alone(tmp_path: Path) -> None:
    write_bytes(tmp_path / "elsewhere.bin", OLD)
    (tmp_path / "file.bin").symlink_to(tmp_path / "elsewhere.bin")

    write_bytes(tmp_path / "file.bin", NEW)

    assert (tmp_path / "elsewhere.bin").read_bytes() == OLD
    assert stat.S_ISREG(os.lstat(tmp_path / "file.bin").st_mode)


# ---------------------------------------------------------------- JSON


@given(contents)
def test_json_comes_back_as_it_was_written(tmp_path_factory: pytest.TempPathFactory, content: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "content.json"

    write_json(path, content)

    assert read_json(path) == content


def test_json_for_people_is_indented_sorted_and_ends_in_a_newline(tmp_path: Path) -> None:
    write_json(tmp_path / "x.json", {"b": 1, "a": "é"})

    assert (tmp_path / "x.json").read_text() == '{\n  "a": "\\u00e9",\n  "b": 1\n}\n'


@given(contents)
def test_json_for_people_has_the_bytes_that_the_standard_library_gives_it(
    tmp_path_factory: pytest.TempPathFactory, content: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "content.json"

    write_json(path, content)

    assert path.read_text() == json.dumps(content, indent=2, sort_keys=True) + "\n"


def test_text_is_utf_8_on_every_machine(tmp_path: Path) -> None:
    write_text(tmp_path / "x.txt", "naïve ☾")

    assert (tmp_path / "x.txt").read_bytes() == "naïve ☾".encode()


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_json_cannot_say_is_refused_and_nothing_is_written(tmp_path: Path, number: float) -> None:
    for write in (lambda: write_json(tmp_path / "x.json", {"deep": [number]}), lambda: canonical_json([number])):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write()

    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- digests


def shuffled(content: Any, chance: random.Random) -> Any:
    """Return equal content whose mappings were filled in another order."""
    if isinstance(content, dict):
        keys = list(content)
        chance.shuffle(keys)
        return {key: shuffled(content[key], chance) for key in keys}
    return [shuffled(item, chance) for item in content] if isinstance(content, list) else content


@given(contents, st.randoms(use_true_random=False))
def test_the_order_of_keys_changes_no_digest(content: Any, chance: random.Random) -> None:
    assert digest_of(shuffled(content, chance)) == digest_of(content)


@given(contents, contents)
def test_equal_digests_mean_equal_json(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)

    assert (digest_of(one) == digest_of(other)) == same


@given(contents)
def test_canonical_json_is_a_fixed_point(content: Any) -> None:
    once = canonical_json(content)

    assert canonical_json(json.loads(once)) == once
    assert once.isascii()
    assert b"\n" not in once


def test_the_digest_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")

    assert file_digest(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@given(st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), min_size=2, max_size=4, unique=True))
def test_a_combined_digest_depends_on_every_digest_and_on_their_order(digests: list[str]) -> None:
    whole = combined_digest(digests)

    assert combined_digest(digests[::-1]) != whole
    assert all(combined_digest(digests[:place] + digests[place + 1 :]) != whole for place in range(len(digests)))


def test_a_draft_that_was_not_renamed_is_removed_with_what_killed_processes_left_long_ago(tmp_path: Path) -> None:
    for name, hours in ((".out.dead.tmp", 25), (".out.alive.tmp", 1), (".other.dead.tmp", 25)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part").touch()
        os.utime(tmp_path / name, times=(time.time() - hours * 3600,) * 2)

    with draft_beside(tmp_path / "out") as draft:
        draft.mkdir()

    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.dead.tmp", ".out.alive.tmp"]


def test_a_draft_that_was_renamed_stays(tmp_path: Path) -> None:
    with draft_beside(tmp_path / "deep" / "out") as draft:
        draft.mkdir()
        draft.rename(tmp_path / "deep" / "out")

    assert (tmp_path / "deep" / "out").is_dir()
