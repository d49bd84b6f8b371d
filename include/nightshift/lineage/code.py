"""Which code: the commit a checkout stands at, and everything in it that is not in that commit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from nightshift.errors import ReturnToSenderError
from nightshift.files import digest_of, file_digest
from nightshift.lineage.git import Answer, git

SHOWN = 10
"""Changed paths named in a message; the record holds all."""


@dataclass(frozen=True)
class CodeVersion:
    """A commit, and how the checkout differs from it.

    ``branch`` is none on a detached head. ``changes`` are the paths that differ
    from the commit, as ``<what> <path>`` (modified, added, deleted, untracked,
    hidden); ``changes_digest`` tells two sets of changes apart, none if there are
    none. ``remote`` is the address of the first remote without its password,
    none if there is none; ``pushed`` says whether a branch of a remote holds the
    commit as far as this checkout knows, none without a remote.
    """

    commit: str
    branch: str | None
    changes: tuple[str, ...] = ()
    changes_digest: str | None = None
    remote: str | None = None
    pushed: bool | None = None

    def problems(self) -> list[str]:
        """Return why this code could not be checked out again from what is recorded; empty if it could."""
        problems = []
        if self.changes:
            shown = ", ".join(self.changes[:SHOWN])
            more = f" and {len(self.changes) - SHOWN} more" if len(self.changes) > SHOWN else ""
            problems.append(
                f"the code differs from commit {self.commit[:12]} in {len(self.changes)} paths: {shown}{more}; "
                "commit or discard them"
            )
        if self.pushed is False:
            problems.append(
                f"commit {self.commit[:12]} is on no branch of {self.remote}, so nobody else can get it; push it"
            )
        return problems

    def to_json(self) -> dict[str, Any]:
        return {
            "commit": self.commit,
            "branch": self.branch,
            "changes": list(self.changes),
            "changes_digest": self.changes_digest,
            "remote": self.remote,
            "pushed": self.pushed,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**{**content, "changes": tuple(content["changes"])})


def read_code(project: Path) -> CodeVersion:
    """Return the version of the code in the checkout that ``project`` is the root of.

    Raises
    ------
    ReturnToSenderError
        If there is no git, no repository, or no commit yet.
    """
    root = git("rev-parse", "--show-toplevel", where=project)
    if not root.ok:
        raise ReturnToSenderError(
            [f"{project} is no git checkout ({_first_line(root)}); clone the project instead of copying it"]
        )
    head = git("rev-parse", "--verify", "--quiet", "HEAD^{commit}", where=project)
    if not head.ok:
        raise ReturnToSenderError([f"{project} has no commit yet; make one, so that the code can be named"])
    found = _changes(Path(root.text))
    remote = _remote(project)
    return CodeVersion(
        commit=head.text,
        branch=git("symbolic-ref", "--short", "--quiet", "HEAD", where=project).text or None,
        changes=tuple(f"{what} {path}" for path, what in sorted(found.items())),
        changes_digest=_changes_digest(Path(root.text), found) if found else None,
        remote=remote,
        pushed=_is_pushed(project, head.text) if remote else None,
    )


def _changes(root: Path) -> dict[str, str]:
    """Return what differs from the commit, by path; ignored files are no part of the code."""
    status = git("status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames", where=root)
    if not status.ok:
        raise ReturnToSenderError([f"git cannot tell the state of {root}: {_first_line(status)}"])
    entries = [entry for entry in status.out.decode(errors="surrogateescape").split("\0") if entry]
    return {entry[3:]: _word(entry[:2]) for entry in entries} | _hidden(root)


def _word(mark: str) -> str:
    """Return the word for git's two letters (index, checkout)."""
    if mark == "??":
        return "untracked"
    if "U" in mark or mark in ("AA", "DD"):
        return "unmerged"
    return "deleted" if "D" in mark else "added" if "A" in mark else "modified"


def _hidden(root: Path) -> dict[str, str]:
    """Return changed files that git was told not to look at (assume-unchanged, skip-worktree)."""
    listed = git("ls-files", "-v", "-z", where=root).out.decode(errors="surrogateescape").split("\0")
    flagged = [entry[2:] for entry in listed if entry and (entry[0].islower() or entry[0] == "S")]
    return {path: "hidden" for path in flagged if _differs(root, path)}


def _differs(root: Path, path: str) -> bool:
    if not (root / path).is_file():
        return False  # a sparse checkout leaves out files on purpose; what is absent does not run
    recorded = git("rev-parse", "--verify", "--quiet", f"HEAD:{path}", where=root).text
    return git("hash-object", "--", path, where=root).text != recorded


def _changes_digest(root: Path, changes: dict[str, str]) -> str:
    return digest_of(
        [
            [path.encode(errors="surrogateescape").hex(), what, _content(root / path)]
            for path, what in sorted(changes.items())
        ]
    )


def _content(path: Path) -> str | None:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    return file_digest(path) if path.is_file() else None


def _remote(project: Path) -> str | None:
    names = git("remote", where=project).text.splitlines()
    return _without_password(git("remote", "get-url", "--", names[0], where=project).text) if names else None


def _without_password(address: str) -> str:
    """Return the address without what stands between ``//`` and ``@``.

    >>> _without_password("https://me:secret@example.org/code.git")
    'https://example.org/code.git'
    """
    scheme, found, rest = address.partition("://")
    host, slash, path = rest.partition("/")
    return scheme + found + host.rpartition("@")[2] + slash + path if found else address


def _is_pushed(project: Path, commit: str) -> bool:
    return bool(git("for-each-ref", "--contains", commit, "--count=1", "refs/remotes", where=project).text.strip())


def _first_line(answer: Answer) -> str:
    return (answer.complaint.splitlines() or ["git gave no reason"])[0]
