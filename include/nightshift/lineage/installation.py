"""The environment of a lock, made by uv and kept: the same lock and Python are the same folder."""

import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from uv import find_uv_bin

from nightshift.errors import ReturnToSenderError, UnavailableError
from nightshift.files import combined_digest, draft_beside, file_digest

KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NETRC")
KEPT_BEGINNINGS = ("UV_", "PIP_", "HTTP_", "HTTPS_", "NO_", "ALL_", "http_", "https_", "no_", "all_")
"""What tells where packages come from, and through which proxy."""
BUILDS_THE_REST = "setuptools"
"""Packages that come as source are built by the lock's own setuptools, so that nothing unhashed runs."""

MAY_HEAL = ("error sending request", "timed out", "dns error", "Connection", "Temporary failure")
"""How uv says that nobody answered."""


def install_lock(lock: Path, *, python: str, below: Path) -> Path:
    """Return the interpreter of an environment that holds what ``lock`` pins and nothing else.

    The folder is made beside its name and renamed, so that it is whole or not
    there; made before, it is returned as it is. Packages are taken from uv's
    cache if that holds them all, without asking any index.

    Parameters
    ----------
    lock
        A requirements file with hashes.
    python
        Version of the interpreter, to the last number: ``3.11.7``; one of this machine is taken.
    below
        Folder of environments, one for each lock and Python.

    Raises
    ------
    ReturnToSenderError
        If this machine has no such Python, or a package cannot be had.
    UnavailableError
        If no package index answers.
    """
    name = combined_digest([file_digest(lock), python])[:16]
    home = below / name
    if not home.is_dir():
        with draft_beside(home) as draft:
            _make(draft, lock, python)
            _take_name(draft, home)
    return home / "bin" / "python"


def _make(folder: Path, lock: Path, python: str) -> None:
    # of two interpreters of one version the one that runs here is the safe choice
    interpreter = str(Path(sys.executable).resolve()) if python == platform.python_version() else python
    made = _uv("venv", "--quiet", "--relocatable", "--python", interpreter, str(folder))
    if made.returncode:
        raise ReturnToSenderError(
            [f"there is no Python {python} here ({_complaint(made)}); install it, the release was made by it"]
        )
    first = folder / "first.txt"
    first.write_text(_pin(lock, BUILDS_THE_REST))
    for wanted, way in ((first, ()), (lock, ("--no-build-isolation",))):
        arguments = ("pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), "--require-hashes", *way)
        done = _uv(*arguments, "--offline", "-r", str(wanted))
        if done.returncode:
            done = _uv(*arguments, "-r", str(wanted))
        if done.returncode and any(word in done.stderr for word in MAY_HEAL):
            raise UnavailableError(f"the package index did not answer: {_complaint(done)}")
        if done.returncode:
            raise ReturnToSenderError([f"the locked packages cannot be installed: {_complaint(done)}"])


def _pin(lock: Path, package: str) -> str:
    """Return the lines of a lock that pin one package, hashes and all; empty if it is not there."""
    lines: list[str] = []
    for line in lock.read_text().splitlines():
        if line.startswith(f"{package}=="):
            lines = [line]
        elif lines and lines[-1].endswith("\\"):
            lines.append(line)
    return "\n".join([*lines, ""])


def _take_name(draft: Path, home: Path) -> None:
    try:
        draft.rename(home)
    except OSError:
        if not home.is_dir():  # else a twin was faster, and made the same
            raise


def _uv(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603 - arguments are ours
        [find_uv_bin(), *arguments],
        env=package_variables() | {"UV_CACHE_DIR": str(_cache()), "UV_PYTHON_DOWNLOADS": "never", "UV_NO_CONFIG": "1"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def package_variables(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return what of the environment a package index is reached by; nothing that changes what runs."""
    return {
        name: value for name, value in environment.items() if name in KEPT_VARIABLES or name.startswith(KEPT_BEGINNINGS)
    }


def _cache() -> Path:
    """Return uv's cache: the one that this environment was installed from, if it is there."""
    own = Path(sys.prefix) / "cache"
    return own if own.is_dir() else Path(os.environ.get("UV_CACHE_DIR") or Path.home() / ".cache" / "uv")


def _complaint(done: "subprocess.CompletedProcess[str]") -> str:
    return " ".join(done.stderr.split())[-600:] or f"uv ended with {done.returncode}"
