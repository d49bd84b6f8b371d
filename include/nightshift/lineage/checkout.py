"""A commit's files in an empty folder, from wherever the commit can be had."""

from collections.abc import Sequence
from pathlib import Path

from nightshift.errors import ReturnToSenderError, UnavailableError
from nightshift.lineage.git import Answer, git

GIVE_ANY_COMMIT = "git -c uploadpack.allowAnySHA1InWant=true upload-pack"
"""How a repository of this machine is asked: a commit that no branch holds any more can still be had."""
MAY_HEAL = ("Could not resolve host", "Failed to connect", "Connection", "timed out", "Could not read from remote")
"""How git says that nobody answered."""


def check_out(commit: str, *, to: Path, sources: Sequence[str]) -> str:
    """Write the files of ``commit`` below ``to``, as a checkout of its own, and return where they came from.

    The objects are asked for by their digest and hashed again on the way; what
    the working copy of a source looks like does not matter. A folder that
    already stands at the commit is left alone.

    Parameters
    ----------
    sources
        Addresses to ask, one after the other: folders of this machine or what else git knows.

    Raises
    ------
    ReturnToSenderError
        If no source has the commit; each one's answer is named.
    UnavailableError
        If none has it and one of them did not answer.
    """
    to.mkdir(parents=True, exist_ok=True)
    _must(git("init", "--quiet", where=to), f"{to} cannot be made a checkout")
    complaints = []
    for source in sources:
        local = Path(source).is_dir()
        way = ("--upload-pack", GIVE_ANY_COMMIT) if local else ()
        # the address of a folder is a URL here, so that git hashes what it takes instead of linking the files
        address = Path(source).resolve().as_uri() if local else source
        answer = git("fetch", "--quiet", "--no-tags", "--depth=1", *way, "--", address, commit, where=to)
        if answer.ok:
            _must(git("checkout", "--quiet", "--force", "--detach", commit, where=to), f"{to}: {commit} is damaged")
            return source
        complaints.append(f"{source}: {_last_line(answer)}")
    if any(word in complaint for complaint in complaints for word in MAY_HEAL):
        raise UnavailableError(f"commit {commit} of the code cannot be had just now: {'; '.join(complaints)}")
    raise ReturnToSenderError([f"commit {commit} of the code is nowhere: {'; '.join(complaints) or 'no source known'}"])


def _must(answer: Answer, what: str) -> None:
    if not answer.ok:
        raise ReturnToSenderError([f"{what}: {_last_line(answer)}"])


def _last_line(answer: Answer) -> str:
    return (answer.complaint.splitlines() or ["git gave no reason"])[-1]
