"""A commit's files come from wherever the commit can be had, hashed on the way."""

from pathlib import Path

import pytest

from factories.lineage import a_checkout, flip_a_byte, run_git, write_files
from nightshift.errors import ReturnToSenderError, UnavailableError
from nightshift.lineage.checkout import check_out
from nightshift.lineage.code import read_code


def a_commit(folder: Path) -> str:
    return run_git("rev-parse", "HEAD", where=folder)


def test_the_files_are_those_of_the_commit_and_not_of_the_working_copy(tmp_path: Path) -> None:
    source = a_checkout(tmp_path / "source")
    commit = a_commit(source)
    write_files(source, {"a.py": "a = 2\n"})

    came_from = check_out(commit, to=tmp_path / "code", sources=[str(source)])

    assert came_from == str(source)
    assert (tmp_path / "code" / "a.py").read_text() == "a = 1\n"
    assert read_code(tmp_path / "code").commit == commit
    assert read_code(tmp_path / "code").changes == ()


def test_an_old_commit_that_no_branch_holds_any_more_is_had(tmp_path: Path) -> None:
    source = a_checkout(tmp_path / "source")
    commit = a_commit(source)
    run_git("commit", "--quiet", "--amend", "--message=another", where=source)
    assert a_commit(source) != commit

    check_out(commit, to=tmp_path / "code", sources=[str(source)])

    assert read_code(tmp_path / "code").commit == commit


def test_the_second_source_is_asked_if_the_first_lacks_the_commit(tmp_path: Path) -> None:
    empty, source = a_checkout(tmp_path / "empty", b__py="b = 1\n"), a_checkout(tmp_path / "source")

    came_from = check_out(a_commit(source), to=tmp_path / "code", sources=[str(empty), str(source)])

    assert came_from == str(source)


def test_twice_is_once(tmp_path: Path) -> None:
    source = a_checkout(tmp_path / "source")

    for _ in range(2):
        check_out(a_commit(source), to=tmp_path / "code", sources=[str(source)])

    assert (tmp_path / "code" / "a.py").read_text() == "a = 1\n"


def test_what_was_edited_in_the_checkout_is_put_back(tmp_path: Path) -> None:
    source = a_checkout(tmp_path / "source")
    check_out(a_commit(source), to=tmp_path / "code", sources=[str(source)])
    (tmp_path / "code" / "a.py").write_text("a = 3\n")

    check_out(a_commit(source), to=tmp_path / "code", sources=[str(source)])

    assert (tmp_path / "code" / "a.py").read_text() == "a = 1\n"


def test_a_commit_that_is_nowhere_is_returned_to_sender_with_every_answer(tmp_path: Path) -> None:
    source = a_checkout(tmp_path / "source")

    with pytest.raises(ReturnToSenderError, match=r"commit f{40} of the code is nowhere") as refused:
        check_out("f" * 40, to=tmp_path / "code", sources=[str(source), str(tmp_path / "gone")])

    assert str(source) in str(refused.value)
    assert str(tmp_path / "gone") in str(refused.value)


def test_a_remote_that_does_not_answer_may_answer_later(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="cannot be had just now"):
        check_out("f" * 40, to=tmp_path / "code", sources=["http://127.0.0.1:9/code.git"])


def test_damaged_objects_are_not_taken(tmp_path: Path) -> None:
    source = a_checkout(tmp_path / "source")
    blob = run_git("rev-parse", "HEAD:a.py", where=source)
    flip_a_byte(source / ".git" / "objects" / blob[:2] / blob[2:])

    with pytest.raises(ReturnToSenderError):
        check_out(a_commit(source), to=tmp_path / "code", sources=[str(source)])

    assert not (tmp_path / "code" / "a.py").exists()
