"""Git, run as a process: the one place that knows how it is called."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nightshift.errors import ReturnToSenderError, UnavailableError

SECONDS_MAX = 120.0
REPOSITORY_VARIABLES = frozenset(
    f"GIT_{name}"
    for name in (
        "DIR", "WORK_TREE", "INDEX_FILE", "COMMON_DIR", "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES",
        "PREFIX", "NAMESPACE", "SHALLOW_FILE", "GRAFT_FILE", "REPLACE_REF_BASE",
        "CONFIG", "CONFIG_PARAMETERS", "CONFIG_COUNT",
    )
)  # fmt: skip
"""What points git at another repository: set, for example, while a commit hook runs our tests."""
NO_SURPRISES = (
    "-c", "core.hooksPath=/dev/null",
    "-c", "core.fsmonitor=false",
    "-c", "core.quotePath=false",
    "-c", "commit.gpgSign=false",
    "-c", "push.gpgSign=false",
    "-c", "push.followTags=false",
    "-c", "push.recurseSubmodules=no",
    "-c", "gc.auto=0",
    "-c", "maintenance.auto=false",
)  # fmt: skip
"""Habits of a user's configuration that must not reach into ours; credentials and proxies of it are wanted."""


@dataclass(frozen=True)
class Answer:
    """How a git command ended, and what it said."""

    code: int
    out: bytes
    complaint: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def text(self) -> str:
        """What it said, without the last line break."""
        return self.out.decode(errors="replace").rstrip("\n")


def git(
    *arguments: str, where: Path, stdin: bytes | None = None, environment: Mapping[str, str] | None = None
) -> Answer:
    """Run git in the folder ``where`` and return its answer, good or bad.

    Never asks for a password, runs no hook, signs nothing.

    Raises
    ------
    UnavailableError
        If it does not end within two minutes.
    ReturnToSenderError
        If there is no git on this machine.
    """
    clean = {name: value for name, value in os.environ.items() if name not in REPOSITORY_VARIABLES}
    own = {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
    command = ["git", *NO_SURPRISES, *arguments]
    try:
        done = subprocess.run(  # noqa: S603 - arguments are ours; user values never come first
            command,
            cwd=where,
            env=clean | own | dict(environment or {}),
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(
            f"git {arguments[0]} did not end within {SECONDS_MAX:.0f} s in {where}; is its remote reachable?"
        ) from error
    except FileNotFoundError as error:
        if error.filename == "git":
            raise ReturnToSenderError(["git is not installed; no version of code or data can be told"]) from error
        raise
    return Answer(done.returncode, done.stdout, done.stderr.decode(errors="replace").strip())
