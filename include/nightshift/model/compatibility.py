"""Whether this environment may open a package, and a table of the differences if not."""

import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from packaging.version import InvalidVersion, Version

from nightshift.errors import PackageError
from nightshift.model.manifest import Manifest

Policy = Literal["compatible", "exact"]
NEEDED = ("numpy", "onnxruntime", "xgboost")
MISSING, NOT_RECORDED = "missing", "not recorded"
Close = Callable[[str, str], bool]


@dataclass(frozen=True)
class Difference:
    """One thing that is not what the package was made with; ``allowed`` by the policy or not."""

    what: str
    recorded: str
    here: str
    allowed: bool


def running_python() -> str:
    """Return implementation and version of this Python: ``CPython 3.11.7``."""
    return f"{platform.python_implementation()} {platform.python_version()}"


def running_platform() -> str:
    """Return system and processor: ``linux-x86_64``."""
    return f"{sys.platform}-{platform.machine()}"


def installed(names: tuple[str, ...] = NEEDED) -> dict[str, str]:
    """Return the installed version of each package; ``missing`` for one that is not there."""
    return {name: _version(name) for name in names}


def differences(manifest: Manifest, policy: Policy) -> list[Difference]:
    """Return what differs between the package's environment and the running one.

    ``exact`` allows nothing. ``compatible`` allows another patch of the same
    Python minor, and packages of the same major version that are not older.
    """
    found = [
        _difference("python", manifest.python, running_python(), policy, _same_python),
        _difference("platform", manifest.platform, running_platform(), policy, lambda _a, _b: False),
    ]
    here = installed(tuple(manifest.requirements))
    found += [
        Difference(name, NOT_RECORDED, _version(name), allowed=False)
        for name in NEEDED
        if name not in manifest.requirements
    ]
    found += [
        _difference(name, recorded, here[name], policy, _not_older) for name, recorded in manifest.requirements.items()
    ]
    return [one for one in found if one is not None]


def check(manifest: Manifest, policy: Policy) -> None:
    """Refuse an environment the package cannot be trusted in.

    Raises
    ------
    PackageError
        With a table of every difference.
    """
    found = differences(manifest, policy)
    if all(one.allowed for one in found):
        return
    raise PackageError(
        f"this environment is not what the package of {manifest.model} was made with (policy {policy}):\n"
        f"{_table(found)}\n"
        "Install the package's requirements.txt on the recorded Python and platform, or build the model again here."
    )


def needed_versions() -> Mapping[str, str]:
    """Return the versions a new package records.

    Raises
    ------
    PackageError
        If one of them is not installed.
    """
    found = installed()
    gone = [name for name, number in found.items() if number == MISSING]
    if gone:
        raise PackageError(f"{', '.join(gone)} is not installed, but a package needs it; install the lock")
    return found


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return MISSING


def _difference(what: str, recorded: str, here: str, policy: Policy, close: Close) -> Difference | None:
    if recorded == here:
        return None
    return Difference(what, recorded, here, policy == "compatible" and close(recorded, here))


def _same_python(recorded: str, here: str) -> bool:
    return recorded.rpartition(".")[0] == here.rpartition(".")[0]


def _not_older(recorded: str, here: str) -> bool:
    try:
        made, now = Version(recorded), Version(here)
    except InvalidVersion:
        return False
    return made.major == now.major and now >= made


def _table(found: list[Difference]) -> str:
    rows = [("", "recorded", "here", "")]
    rows += [(one.what, one.recorded, one.here, "allowed" if one.allowed else "REFUSED") for one in found]
    widths = [max(len(row[place]) for row in rows) for place in range(4)]
    return "\n".join(
        "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )
