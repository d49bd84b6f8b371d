import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories.lineage import (
    a_registry,
    an_object_server,
    another_machine,
    flip_a_byte,
    object_at,
    run_git,
    write_files,
)
from nightshift.errors import DataRegistryBusyError, DataRegistryError, DigestMismatchError, UnavailableError
from nightshift.lineage.data import DataRegistry, DatasetVersion


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def commits(folder: Path) -> int:
    return int(run_git("rev-list", "--count", "main", where=folder / "registry.git"))


# ---------------------------------------------------------------- making it


def test_a_registry_that_was_never_made_has_no_head_and_no_versions(tmp_path: Path) -> None:
    registry = another_machine(tmp_path, "scratch")

    assert registry.head() is None
    assert registry.version("model") is None
    assert registry.problems() == [
        f"there is no data registry at {tmp_path}/registry.git yet; "
        "the first build makes it (`make demo`, or `nightshift build`)"
    ]


def test_making_it_twice_changes_nothing(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    head = registry.head()

    registry.create()

    assert registry.head() == head
    assert registry.problems() == []


def test_two_machines_that_make_it_at_once_make_one(tmp_path: Path) -> None:
    machines = [another_machine(tmp_path, f"scratch-{number}") for number in range(4)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(DataRegistry.create, machines))

    assert commits(tmp_path) == 1
    assert len({machine.head() for machine in machines}) == 1


def test_appending_to_a_registry_that_was_never_made_is_refused(tmp_path: Path) -> None:
    registry = another_machine(tmp_path, "scratch")

    with pytest.raises(DataRegistryError, match="make it first"):
        registry.append("model", write_files(tmp_path / "new", {"a": "1"}), "first")


# ---------------------------------------------------------------- appending


def test_a_folder_comes_back_as_it_was_put_in(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    files = {"flights/2013-01-01.parquet": "one", "planes.parquet": "two"}

    version = registry.append("model/tables", write_files(tmp_path / "new", files), "first")

    assert contents(registry.fetch(version, tmp_path / "out")) == files
    assert (version.files, version.bytes) == (2, 6)
    assert registry.version("model/tables") == version


def test_an_append_needs_none_of_the_earlier_files(tmp_path: Path) -> None:
    a_registry(tmp_path).append("model", write_files(tmp_path / "one", {"a": "1"}), "first")
    elsewhere = another_machine(tmp_path, "other scratch")

    version = elsewhere.append("model", write_files(tmp_path / "two", {"b": "22"}), "second")

    assert list(elsewhere.list_files(version)) == ["a", "b"]
    assert (version.files, version.bytes) == (2, 3)
    cached = {path.name for path in (tmp_path / "other scratch" / "cache").rglob("*") if path.is_file()}
    assert len(cached) == 3, "the new file and the two listings"


def test_the_same_bytes_are_the_same_version_without_a_commit(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    files = write_files(tmp_path / "new", {"a": "1", "b": "2"})
    first = registry.append("model", files, "first")
    registry.append("other", files, "something else in between")

    again = registry.append("model", write_files(tmp_path / "part", {"b": "2"}), "again")

    assert again == first
    assert commits(tmp_path) == 3


def test_an_empty_folder_adds_nothing_to_something_and_cannot_begin_anything(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    version = registry.append("model", write_files(tmp_path / "new", {"a": "1"}), "first")
    (tmp_path / "empty").mkdir()

    assert registry.append("model", tmp_path / "empty", "nothing") == version
    with pytest.raises(DataRegistryError, match="nothing to begin other with"):
        registry.append("other", tmp_path / "empty", "nothing")


def test_what_was_published_is_not_replaced_unless_allowed_by_name(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    registry.append("model", write_files(tmp_path / "one", {"a": "11", "b": "2"}), "first")
    other = write_files(tmp_path / "two", {"a": "333"})

    with pytest.raises(DataRegistryError, match="1 files are there with other bytes, the first is a "):
        registry.append("model", other, "changed")
    with pytest.raises(DataRegistryError, match="with other bytes"):
        registry.append("model", other, "changed", replace=["b"])
    version = registry.append("model", other, "changed", replace=["a"])

    assert contents(registry.fetch(version, tmp_path / "out")) == {"a": "333", "b": "2"}
    assert version.bytes == 4
    assert registry.append("model", write_files(tmp_path / "three", {"b": "5"}), "all", replace=True).files == 2


def test_a_file_that_leaves_is_still_in_the_earlier_version_and_may_come_back(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    files = write_files(tmp_path / "one", {"a": "1", "b": "22"})
    first = registry.append("model", files, "first")
    (tmp_path / "empty").mkdir()

    second = registry.append("model", tmp_path / "empty", "without b", without=["b", "never there"])
    again = registry.append("model", tmp_path / "empty", "without b", without=["b"])
    third = registry.append("model", files, "b is back")

    assert contents(registry.fetch(second, tmp_path / "out")) == {"a": "1"}
    assert (second.files, second.bytes) == (1, 1)
    assert again == second
    assert contents(registry.fetch(first, tmp_path / "before")) == {"a": "1", "b": "22"}
    assert (third.files, third.bytes, third.digest) == (2, 3, first.digest)


def test_an_old_version_can_still_be_read(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    first = registry.append("model", write_files(tmp_path / "one", {"a": "1"}), "first")
    second = registry.append("model", write_files(tmp_path / "two", {"a": "2"}), "second", replace=True)

    assert registry.version("model", first.commit) == first
    assert contents(registry.fetch(first, tmp_path / "out")) == {"a": "1"}
    assert registry.version("model", second.commit) == second


def test_an_unknown_commit_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataRegistryError, match="has no commit 0000"):
        a_registry(tmp_path).version("model", "0" * 40)


@pytest.mark.parametrize("path", ["", "../up", "/etc", "a//b", "-rf", ".dvc", "a/.git", "a b", "x" * 101, "a\nb"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(DataRegistryError, match="cannot name a folder"):
        a_registry(tmp_path).append(path, write_files(tmp_path / "new", {"a": "1"}), "first")


def test_links_are_refused_and_drafts_left_out(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    folder = write_files(tmp_path / "new", {"a": "1", ".a.123.tmp": "half"})

    version = registry.append("model", folder, "first")
    (folder / "b").symlink_to("/etc/hostname")

    assert list(registry.list_files(version)) == ["a"]
    with pytest.raises(DataRegistryError, match="is a link"):
        registry.append("model", folder, "second")


def test_folders_that_overlap_are_refused(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    new = write_files(tmp_path / "new", {"a": "1"})
    registry.append("model/tables", new, "first")

    for path in ("model", "model/tables/flights"):
        with pytest.raises(DataRegistryError, match="overlaps with model/tables"):
            registry.append(path, new, "second")


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(st.sampled_from("abcd"), st.text("xy", max_size=3), min_size=1), max_size=4))
def test_appending_is_merging(tmp_path_factory: pytest.TempPathFactory, changes: list[dict[str, str]]) -> None:
    folder = tmp_path_factory.mktemp("law")
    registry, expected = a_registry(folder), dict[str, str]()

    for number, files in enumerate(changes):
        version = registry.append("m", write_files(folder / str(number), files), "more", replace=True)
        expected |= files

        assert contents(registry.fetch(version, folder / f"out-{number}")) == expected
        assert (version.files, version.bytes) == (len(expected), sum(map(len, expected.values())))


# ---------------------------------------------------------------- what DVC itself makes of it


@pytest.mark.filterwarnings("ignore:_NoneStep.value will soon raise:DeprecationWarning")  # DVC's use of pygtrie
def test_dvc_itself_sees_nothing_to_change(tmp_path: Path) -> None:
    from dvc.repo import Repo

    registry = a_registry(tmp_path)
    registry.append("model/tables", write_files(tmp_path / "one", {"days/1": "one", "planes": "two"}), "first")
    version = registry.append("model/tables", write_files(tmp_path / "two", {"days/2": "three"}), "second")
    run_git("clone", "--quiet", "registry.git", "clone", where=tmp_path)
    clone = tmp_path / "clone"

    with Repo(str(clone), config={"core": {"site_cache_dir": str(tmp_path / "site")}}) as repository:
        repository.pull()
        pulled = contents(clone / "model" / "tables")
        repository.add([str(clone / "model" / "tables")])

    assert pulled == {"days/1": "one", "days/2": "three", "planes": "two"}
    assert run_git("status", "--short", where=clone) == ""
    assert version.digest in (clone / "model" / "tables.dvc").read_text()


def test_dvc_sends_no_telemetry_from_a_clone(tmp_path: Path) -> None:
    from dvc.config import Config

    a_registry(tmp_path)
    run_git("clone", "--quiet", "registry.git", "clone", where=tmp_path)

    core = Config(str(tmp_path / "clone" / ".dvc"))["core"]

    assert (core["analytics"], core["check_update"], core["remote"]) == (False, False, "storage")


# ---------------------------------------------------------------- other people's habits


def test_habits_of_the_users_git_do_not_reach_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = write_files(
        tmp_path / "home",
        {
            ".gitconfig": "[commit]\n gpgsign = true\n[core]\n hooksPath = ~/hooks\n autocrlf = true\n"
            "[init]\n templateDir = ~/template\n defaultBranch = trunk\n[push]\n gpgSign = true\n",
            "hooks/pre-push": "#!/bin/sh\nexit 1\n",
            "hooks/pre-receive": "#!/bin/sh\nexit 1\n",
            "template/hooks/update": "#!/bin/sh\nexit 1\n",
        },
    )
    for hook in [*home.glob("hooks/*"), *home.glob("template/hooks/*")]:
        hook.chmod(0o755)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "none"))

    registry = a_registry(tmp_path)
    version = registry.append("model", write_files(tmp_path / "new", {"a": "1\r\n"}), "first")

    assert (registry.fetch(version, tmp_path / "out") / "a").read_bytes() == b"1\r\n"
    author = run_git("log", "-1", "--format=%an %ae %cn %G?", "main", where=tmp_path / "registry.git")
    assert author == "Nightshift nightshift@localhost Nightshift N"


def test_history_cannot_be_replaced(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    registry.append("model", write_files(tmp_path / "new", {"a": "1"}), "first")
    run_git("clone", "--quiet", "registry.git", "clone", where=tmp_path)
    run_git("reset", "--quiet", "--hard", "HEAD~1", where=tmp_path / "clone")

    with pytest.raises(subprocess.CalledProcessError):
        run_git("push", "--quiet", "--force", where=tmp_path / "clone")

    assert registry.version("model") is not None


def test_a_registry_needs_no_name_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")

    assert a_registry(tmp_path).head()


# ---------------------------------------------------------------- damage


def a_published_file(folder: Path) -> tuple[DataRegistry, DatasetVersion, str]:
    registry = a_registry(folder)
    version = registry.append("model", write_files(folder / "new", {"day": "the truth", "other": "too"}), "first")
    return registry, version, registry.list_files(version)["day"]


def test_a_damaged_object_in_the_cache_is_fetched_again(tmp_path: Path) -> None:
    registry, version, digest = a_published_file(tmp_path)
    flip_a_byte(object_at(tmp_path / "scratch" / "cache", digest))

    out = registry.fetch(version, tmp_path / "out")

    assert (out / "day").read_text() == "the truth"


def test_a_damaged_object_in_the_cache_is_never_published(tmp_path: Path) -> None:
    registry, _, digest = a_published_file(tmp_path)
    flip_a_byte(object_at(tmp_path / "scratch" / "cache", digest))
    object_at(tmp_path / "remote", digest).unlink()

    registry.append("copy", tmp_path / "new", "the same bytes elsewhere")

    assert object_at(tmp_path / "remote", digest).read_text() == "the truth"


def test_a_damaged_object_in_the_remote_is_refused_naming_both_digests(tmp_path: Path) -> None:
    _, version, digest = a_published_file(tmp_path)
    flip_a_byte(object_at(tmp_path / "remote", digest))
    elsewhere = another_machine(tmp_path, "other scratch")

    with pytest.raises(DigestMismatchError, match=rf"model/day: its bytes have digest (?!{digest})\w+.*as {digest}"):
        elsewhere.fetch(version, tmp_path / "out")

    assert not (tmp_path / "out").exists()
    assert not object_at(tmp_path / "other scratch" / "cache", digest).exists()


def test_a_repaired_remote_serves_again(tmp_path: Path) -> None:
    _, version, digest = a_published_file(tmp_path)
    stored = object_at(tmp_path / "remote", digest)
    flip_a_byte(stored)
    elsewhere = another_machine(tmp_path, "other scratch")
    with pytest.raises(DigestMismatchError):
        elsewhere.fetch(version, tmp_path / "out")

    flip_a_byte(stored)

    assert (elsewhere.fetch(version, tmp_path / "out") / "day").read_text() == "the truth"


@pytest.mark.parametrize("damage", [flip_a_byte, Path.unlink])
def test_a_damaged_or_lost_listing_is_recovered_or_refused(tmp_path: Path, damage) -> None:  # type: ignore[no-untyped-def]
    registry, version, _ = a_published_file(tmp_path)
    damage(object_at(tmp_path / "scratch" / "cache", version.digest))

    assert len(registry.list_files(version)) == 2

    damage(object_at(tmp_path / "remote", version.digest))
    with pytest.raises(DataRegistryError, match="the listing of model"):
        another_machine(tmp_path, "other scratch").list_files(version)


def test_an_object_that_the_remote_lost_is_named_with_its_file(tmp_path: Path) -> None:
    registry, version, digest = a_published_file(tmp_path)
    object_at(tmp_path / "remote", digest).unlink()

    with pytest.raises(DataRegistryError, match=f"model/day: neither .* has its object {digest}"):
        another_machine(tmp_path, "other scratch").fetch(version, tmp_path / "out")
    (problem,) = registry.problems()

    assert "lacks 1 of 3 objects" in problem
    assert f"day ({digest})" in problem


def test_the_machine_that_still_has_a_lost_object_goes_on_and_can_put_it_back(tmp_path: Path) -> None:
    registry, version, digest = a_published_file(tmp_path)
    object_at(tmp_path / "remote", digest).unlink()

    registry.fetch(version, tmp_path / "out")
    registry.append("model", tmp_path / "out", "put back what was lost")

    assert registry.problems() == []


def test_a_dvc_file_changed_by_hand_is_refused(tmp_path: Path) -> None:
    registry, _, _ = a_published_file(tmp_path)
    run_git("clone", "--quiet", "registry.git", "clone", where=tmp_path)
    write_files(tmp_path / "clone", {"model.dvc": "outs: nothing\n"})
    run_git("commit", "--quiet", "--all", "--message=by hand", where=tmp_path / "clone")
    run_git("push", "--quiet", where=tmp_path / "clone")

    with pytest.raises(DataRegistryError, match="is not what DVC writes"):
        registry.version("model")
    assert "is not what DVC writes" in registry.problems()[0]


def test_a_registry_that_is_no_repository_says_so(tmp_path: Path) -> None:
    write_files(tmp_path / "registry.git", {"HEAD": "nonsense"})

    with pytest.raises(UnavailableError, match="cannot be read"):
        another_machine(tmp_path, "scratch").head()


def test_a_remote_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    write_files(tmp_path, {"remote": "a file where the folder should be"})

    with pytest.raises(UnavailableError, match=r"the remote .* cannot be used"):
        registry.append("model", write_files(tmp_path / "new", {"a": "1"}), "first")

    assert registry.version("model") is None


# ---------------------------------------------------------------- remotes that are no folder


def test_a_remote_may_be_a_server(tmp_path: Path) -> None:
    files = {f"day-{number}": f"content {number}" for number in range(12)}
    with an_object_server(tmp_path / "served") as address:
        registry = DataRegistry(str(tmp_path / "registry.git"), f"{address}/data", tmp_path / "scratch")
        registry.create()
        version = registry.append("model", write_files(tmp_path / "new", files), "first")
        elsewhere = DataRegistry(registry.url, f"{address}/data", tmp_path / "other scratch")

        fetched = contents(elsewhere.fetch(version, tmp_path / "out"))
        after = elsewhere.append("model", write_files(tmp_path / "more", {"day-0": "!"}), "second", replace=True)
        object_at(tmp_path / "served" / "data", registry.list_files(version)["day-7"]).unlink()
        (problem,) = registry.problems()

    assert fetched == files
    assert after.bytes == version.bytes - len("content 0") + 1
    assert "lacks 1 of 13 objects, the first is day-7" in problem


def test_a_server_that_is_down_says_so(tmp_path: Path) -> None:
    with an_object_server(tmp_path / "served") as address:
        registry = DataRegistry(str(tmp_path / "registry.git"), f"{address}/data", tmp_path / "scratch")
        registry.create()

    with pytest.raises(UnavailableError, match=f"the remote {address}/data cannot be used"):
        registry.append("model", write_files(tmp_path / "new", {"a": "1"}), "first")


def test_an_address_that_dvc_does_not_know_is_refused(tmp_path: Path) -> None:
    registry = DataRegistry(str(tmp_path / "registry.git"), "pigeon://roof", tmp_path / "scratch")
    registry.create()

    with pytest.raises(DataRegistryError, match="pigeon://roof: is no address that DVC can use"):
        registry.append("model", write_files(tmp_path / "new", {"a": "1"}), "first")


# ---------------------------------------------------------------- fetching


def test_fetching_twice_leaves_what_fetching_once_leaves(tmp_path: Path) -> None:
    registry, version, _ = a_published_file(tmp_path)
    registry.fetch(version, tmp_path / "out")

    assert contents(registry.fetch(version, tmp_path / "out")) == {"day": "the truth", "other": "too"}


def test_a_folder_with_other_files_is_not_touched(tmp_path: Path) -> None:
    registry, version, _ = a_published_file(tmp_path)
    write_files(tmp_path / "out", {"mine": "precious"})

    with pytest.raises(DataRegistryError, match="holds other files than asked for"):
        registry.fetch(version, tmp_path / "out")

    assert contents(tmp_path / "out") == {"mine": "precious"}


def test_fetched_files_are_copies_that_may_be_changed(tmp_path: Path) -> None:
    registry, version, _ = a_published_file(tmp_path)
    (registry.fetch(version, tmp_path / "out") / "day").write_text("another truth")

    again = registry.fetch(version, tmp_path / "again")

    assert (again / "day").read_text() == "the truth"


# ---------------------------------------------------------------- others at work


WRITER = """
import sys
from pathlib import Path
from nightshift.lineage.data import DataRegistry
folder, name, scratch = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
registry = DataRegistry(str(folder / "registry.git"), str(folder / "remote"), folder / scratch)
for number in range(3):
    new = folder / f"new-{name}-{number}"
    new.mkdir()
    (new / f"{name}-{number}").write_text(f"{name} {number}")
    (new / "shared").write_text("the same for all")
    registry.append("model", new, f"{name} {number}")
"""


def test_processes_that_append_at_once_lose_nothing(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    arguments = [("a", "scratch"), ("b", "scratch"), ("c", "other scratch"), ("d", "other scratch")]

    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), *each], stderr=subprocess.PIPE)
        for each in arguments
    ]
    complaints = [writer.communicate()[1].decode() for writer in writers]

    assert [writer.returncode for writer in writers] == [0, 0, 0, 0], complaints
    version = registry.version("model")
    assert version is not None
    expected = {f"{name}-{number}": f"{name} {number}" for name in "abcd" for number in range(3)}
    assert contents(registry.fetch(version, tmp_path / "out")) == expected | {"shared": "the same for all"}
    assert commits(tmp_path) == 13, "one for each append, none merged away"
    assert version.bytes == sum(len(text) for text in [*expected.values(), "the same for all"])


def test_a_writer_that_always_comes_second_gives_up_and_says_so(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    hook = tmp_path / "registry.git" / "hooks" / "update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho \"cannot lock ref 'refs/heads/main'\" >&2\nexit 1\n")
    hook.chmod(0o755)

    with pytest.raises(
        DataRegistryBusyError,
        match=r"were faster 20 times.*a killed one left its lock: git's last word was: .*cannot lock ref",
    ):
        registry.append("model", write_files(tmp_path / "new", {"a": "1"}), "first")

    hook.unlink()
    assert registry.append("model", tmp_path / "new", "first").files == 1


FIRST_FETCH_IS_OUTRUN = """#!/bin/sh
case " $* " in *" fetch "*)
  if mkdir {once} 2>/dev/null; then
    echo "error: cannot lock ref 'refs/heads/main': is at b but expected a" >&2
    exit 1
  fi
esac
exec {git} "$@"
"""


def test_the_git_of_a_killed_process_may_still_be_at_the_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, version, _ = a_published_file(tmp_path)
    once, outrun = tmp_path / "once", tmp_path / "bin" / "git"
    write_files(outrun.parent, {"git": FIRST_FETCH_IS_OUTRUN.format(once=once, git=shutil.which("git"))})
    outrun.chmod(0o755)
    monkeypatch.setenv("PATH", str(outrun.parent), prepend=os.pathsep)

    assert registry.version("model") == version
    assert once.exists(), "nobody was outrun"


def test_locks_that_a_killed_process_left_hold_nobody_up(tmp_path: Path) -> None:
    registry, version, _ = a_published_file(tmp_path)
    (mirror,) = (tmp_path / "scratch").glob("mirror-*.git")
    dead = json.dumps({"pid": 2**22 - 1})
    write_files(tmp_path / "scratch", {f"{mirror.name}.lock": dead, "index-dead/index.lock": dead})

    later = registry.append("model", write_files(tmp_path / "more", {"b": "2"}), "second")

    assert later.files == version.files + 1


ENDLESS = """
import sys
from itertools import count
from pathlib import Path
from nightshift.lineage.data import DataRegistry
folder = Path(sys.argv[1])
registry = DataRegistry(str(folder / "registry.git"), str(folder / "remote"), folder / "scratch")
(folder / "new").mkdir(exist_ok=True)
for number in count(int(sys.argv[2])):
    (folder / "new" / f"day-{number}").write_text(str(number))
    print(number, flush=True)
    registry.append("model", folder / "new", f"day {number}")
"""


def test_a_writer_killed_anywhere_leaves_a_whole_registry(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)

    for life in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(tmp_path), str(100 * life)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout is not None
            for _ in range(2 + life):
                writer.stdout.readline()
            writer.kill()

        assert registry.problems() == []
        version = registry.version("model")
        assert version is not None
        found = contents(registry.fetch(version, tmp_path / f"out-{life}"))
        assert found == {f"day-{text}": text for text in found.values()}
        assert len(found) >= 1 + life

    assert run_git("fsck", "--strict", where=tmp_path / "registry.git") == ""


def test_an_address_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    registry = DataRegistry("registry.git", "remote", Path("scratch"))
    registry.create()

    version = registry.append("model", write_files(tmp_path / "new", {"a": "1"}), "first")

    assert (registry.fetch(version, Path("out")) / "a").read_text() == "1"
    assert another_machine(tmp_path, "other scratch").version("model") is not None


def test_scratch_may_be_deleted_at_any_time(tmp_path: Path) -> None:
    import shutil

    registry, version, _ = a_published_file(tmp_path)
    shutil.rmtree(tmp_path / "scratch")

    assert registry.version("model") == version
    assert (registry.fetch(version, tmp_path / "out") / "day").read_text() == "the truth"


def test_looking_destroys_no_evidence(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    version = registry.append("model", write_files(tmp_path / "new", {"a.txt": "alpha"}), "first")
    damaged = object_at(tmp_path / "remote", registry.list_files(version)["a.txt"])
    flip_a_byte(damaged)
    damaged.chmod(0o644)  # as somebody's copy would leave it: DVC trusts read-only files and removes others

    problems = another_machine(tmp_path, "elsewhere").problems()

    assert damaged.exists()
    assert problems == []  # names are all that a look asks for; fetching hashes
    with pytest.raises(DigestMismatchError):
        another_machine(tmp_path, "elsewhere").fetch(version, tmp_path / "out")
    assert damaged.exists()
