from pathlib import Path

import pytest

from factories.lineage import a_checkout, run_git, write_files
from nightshift.errors import ReturnToSenderError
from nightshift.lineage.code import CodeVersion, read_code


def test_a_clean_checkout_has_a_commit_and_no_problem(tmp_path: Path) -> None:
    project = a_checkout(tmp_path / "project")

    code = read_code(project)

    assert code.commit == run_git("rev-parse", "HEAD", where=project)
    assert (code.branch, code.changes, code.changes_digest, code.remote, code.pushed) == ("main", (), None, None, None)
    assert code.problems() == []


def test_every_kind_of_change_is_named_with_its_path(tmp_path: Path) -> None:
    project = a_checkout(tmp_path / "project", edited__py="1", gone__py="2", _="ignored.txt\n")
    (project / "_").rename(project / ".gitignore")
    run_git("add", "--all", where=project)
    run_git("commit", "--quiet", "--message=ignore", where=project)

    write_files(project, {"edited.py": "other", "new folder/é\n.py": "x", "staged.py": "y", "ignored.txt": "z"})
    (project / "gone.py").unlink()
    run_git("add", "staged.py", where=project)

    assert set(read_code(project).changes) == {
        "modified edited.py",
        "deleted gone.py",
        "added staged.py",
        "untracked new folder/é\n.py",
    }


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_a_change_that_git_was_told_to_overlook_is_seen(tmp_path: Path, flag: str) -> None:
    project = a_checkout(tmp_path / "project", a__py="a = 1\n", b__py="b = 1\n")
    run_git("update-index", flag, "a.py", "b.py", where=project)

    write_files(project, {"a.py": "a = 2\n"})

    assert read_code(project).changes == ("hidden a.py",)


def test_other_contents_of_the_same_changed_file_are_another_version(tmp_path: Path) -> None:
    project = a_checkout(tmp_path / "project")
    versions = []

    for text in ("a = 2\n", "a = 3\n", "a = 2\n"):
        write_files(project, {"a.py": text})
        versions.append(read_code(project).changes_digest)

    assert versions[0] == versions[2] != versions[1]


def test_an_untracked_file_counts_by_its_contents(tmp_path: Path) -> None:
    project = a_checkout(tmp_path / "project")
    write_files(project, {"new.py": "1"})
    before = read_code(project).changes_digest

    write_files(project, {"new.py": "2"})

    assert read_code(project).changes_digest not in (before, None)


def test_a_message_names_ten_paths_and_counts_the_rest() -> None:
    code = CodeVersion("c" * 40, "main", changes=tuple(f"modified {number:02}.py" for number in range(13)))

    (problem,) = code.problems()

    assert "13 paths" in problem
    assert "09.py and 3 more" in problem
    assert "10.py" not in problem


def test_a_folder_without_git_is_returned_to_sender(tmp_path: Path) -> None:
    with pytest.raises(ReturnToSenderError, match="is no git checkout"):
        read_code(tmp_path)


def test_a_repository_without_a_commit_is_returned_to_sender(tmp_path: Path) -> None:
    run_git("init", "--quiet", where=tmp_path)

    with pytest.raises(ReturnToSenderError, match="has no commit yet"):
        read_code(tmp_path)


def test_a_detached_head_has_no_branch_but_is_known(tmp_path: Path) -> None:
    project = a_checkout(tmp_path / "project")
    run_git("checkout", "--quiet", "--detach", where=project)

    code = read_code(project)

    assert code.branch is None
    assert code.problems() == []


def test_a_fresh_clone_is_pushed_and_a_commit_on_top_is_not(tmp_path: Path) -> None:
    origin = a_checkout(tmp_path / "origin")
    run_git("clone", "--quiet", str(origin), "clone", where=tmp_path)
    clone = tmp_path / "clone"

    fresh = read_code(clone)
    write_files(clone, {"a.py": "a = 2\n"})
    run_git("commit", "--quiet", "--all", "--message=mine", where=clone)
    ahead = read_code(clone)

    assert (fresh.pushed, fresh.problems()) == (True, [])
    assert ahead.pushed is False
    assert ahead.problems() == [
        f"commit {ahead.commit[:12]} is on no branch of {origin}, so nobody else can get it; push it"
    ]


def test_a_shallow_clone_is_as_good_as_a_deep_one(tmp_path: Path) -> None:
    origin = a_checkout(tmp_path / "origin")
    write_files(origin, {"a.py": "a = 2\n"})
    run_git("commit", "--quiet", "--all", "--message=second", where=origin)
    run_git("clone", "--quiet", "--depth=1", f"file://{origin}", "clone", where=tmp_path)

    code = read_code(tmp_path / "clone")

    assert code.commit == run_git("rev-parse", "HEAD", where=origin)
    assert (code.pushed, code.problems()) == (True, [])


def test_a_password_in_the_remotes_address_is_not_recorded(tmp_path: Path) -> None:
    project = a_checkout(tmp_path / "project")
    run_git("remote", "add", "origin", "https://me:secret@example.org/code.git", where=project)

    assert read_code(project).remote == "https://example.org/code.git"


def test_a_hook_of_another_repository_does_not_redirect_the_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, other = a_checkout(tmp_path / "project"), a_checkout(tmp_path / "other", b__py="b = 1\n")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))

    code = read_code(project)
    monkeypatch.undo()

    assert code.commit == run_git("rev-parse", "HEAD", where=project)
    assert code.changes == ()


def test_a_record_comes_back_from_json_as_it_was(tmp_path: Path) -> None:
    project = a_checkout(tmp_path / "project")
    write_files(project, {"new.py": "1"})

    code = read_code(project)

    assert CodeVersion.from_json(code.to_json()) == code
