from pathlib import Path

from factories.lineage import run_git
from nightshift.lineage.history import History


def a_history(folder: Path, scratch: str = "scratch") -> History:
    history = History(str(folder / "registry.git"), folder / scratch)
    history.create({"first": "text\n"})
    return history


def test_of_two_commits_on_the_same_parent_the_second_is_refused(tmp_path: Path) -> None:
    history = a_history(tmp_path)
    head = history.head()
    one, two = (history.commit(head, {"file": text}, text) for text in ("one", "two"))

    pushed = [history.push(one), history.push(two)]

    assert pushed == [True, False]
    assert history.head() == one


def test_a_commit_keeps_every_file_that_it_does_not_name(tmp_path: Path) -> None:
    history = a_history(tmp_path)

    commit = history.commit(history.head(), {"a/b/new": "x\r\n"}, "a message\n\nwith two parts")

    assert sorted(history.files(commit)) == ["a/b/new", "first"]
    assert history.read("first", commit) == "text\n"
    assert history.read("a/b/new", commit) == "x\r\n"
    assert history.read("nowhere", commit) is None


def test_a_commit_that_another_machine_made_is_fetched_when_asked_for(tmp_path: Path) -> None:
    here, there = a_history(tmp_path), a_history(tmp_path, "other scratch")
    commit = there.commit(there.head(), {"new": "x"}, "new")
    there.push(commit)

    assert here.resolve(commit) == commit
    assert here.read("new", commit) == "x"


def test_the_last_change_of_a_file_is_not_the_last_commit(tmp_path: Path) -> None:
    history = a_history(tmp_path)
    first = history.commit(history.head(), {"a": "1"}, "a")
    second = history.commit(first, {"b": "1"}, "b")

    assert history.last_change("a", second) == first


def test_a_registry_is_a_plain_repository_with_one_branch(tmp_path: Path) -> None:
    a_history(tmp_path)

    assert run_git("branch", "--all", where=tmp_path / "registry.git") == "* main"
    assert run_git("fsck", "--strict", where=tmp_path / "registry.git") == ""


def test_addresses_of_servers_are_not_taken_for_folders(tmp_path: Path) -> None:
    local = {"/data/registry.git": True, "registry.git": True, "a/b:c.git": True}
    remote = {"git@example.org:team/data.git": False, "https://example.org/data.git": False, "ssh://h/d": False}

    found = {url: History(url, tmp_path).is_local for url in local | remote}

    assert found == local | remote
