"""Which environment: the running Python and packages, against the lock they should come from."""

import os
import platform
import re
import sys
from dataclasses import dataclass, fields
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, Self

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from nightshift import arithmetic
from nightshift.errors import ReturnToSenderError
from nightshift.files import file_digest

SHOWN = 10
"""Differences named in a message; the record holds all."""


@dataclass(frozen=True)
class Environment:
    """Python, platform and lock, in which packages what is installed differs from the lock, and what calculates.

    ``arithmetic`` is empty in what was recorded before it was told; ``unsettled`` says
    why another machine would calculate otherwise, and is empty if it would not.
    """

    python: str
    platform: str
    lock_digest: str
    differences: tuple[str, ...] = ()
    arithmetic: str = ""
    unsettled: str = ""

    def problems(self) -> list[str]:
        """Return why this environment could not be made again from its lock; empty if it could."""
        return [*self._other_packages(), *([self.unsettled] if self.unsettled else [])]

    def _other_packages(self) -> list[str]:
        if not self.differences:
            return []
        shown = "; ".join(self.differences[:SHOWN])
        more = f"; and {len(self.differences) - SHOWN} more" if len(self.differences) > SHOWN else ""
        return [
            f"the environment differs from the lock in {len(self.differences)} packages: {shown}{more}; "
            "install the lock again, or make a new lock"
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "python": self.python,
            "platform": self.platform,
            "lock_digest": self.lock_digest,
            "differences": list(self.differences),
            "arithmetic": self.arithmetic,
            "unsettled": self.unsettled,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Return what was recorded; what a later version recorded besides is passed over."""
        known = {field.name: content[field.name] for field in fields(cls) if field.name in content}
        return cls(**{**known, "differences": tuple(content["differences"])})


def read_environment(lock: Path) -> Environment:
    """Return the running environment, compared with the pins in ``lock`` (a requirements file).

    Packages that are installed but not in the lock are not looked at: nothing
    that the lock names may depend on them.

    Raises
    ------
    ReturnToSenderError
        If there is no lock, or it pins nothing.
    """
    if not lock.is_file():
        raise ReturnToSenderError([f"there is no lock at {lock}; make one from requirements.in"])
    pins = read_pins(lock)
    if not pins:
        raise ReturnToSenderError([f"{lock} pins no package (name==version); make it again from requirements.in"])
    installed, calculates = installed_packages(), running_arithmetic()
    return Environment(
        python=f"{platform.python_implementation()} {platform.python_version()}",
        platform=f"{sys.platform}-{platform.machine()}",
        lock_digest=file_digest(lock),
        differences=tuple(
            f"{name} {installed.get(name, 'is missing')}, the lock says {version}"
            for name, version in sorted(pins.items())
            if installed.get(name) != version
        ),
        arithmetic=calculates,
        unsettled=arithmetic.complaint(
            calculates, flags=arithmetic.processor_flags(), tunables=os.environ.get("GLIBC_TUNABLES", "")
        ),
    )


def read_pins(lock: Path) -> dict[str, str]:
    """Return package to version for every ``name==version`` of ``lock`` that applies to this machine."""
    lines = re.sub(r"\\\r?\n", " ", lock.read_text()).splitlines()
    pins: dict[str, str] = {}
    for line in lines:
        text = re.split(r"\s--|\s#", f" {line}", maxsplit=1)[0].strip()
        if not text or text.startswith("-"):
            continue
        try:
            wanted = Requirement(text)
        except InvalidRequirement as error:
            raise ReturnToSenderError([f"{lock.name}: {text!r} is no requirement: {error}"]) from error
        version = next((pin.version for pin in wanted.specifier if pin.operator in ("==", "===")), None)
        if version and (wanted.marker is None or wanted.marker.evaluate()):
            pins[canonicalize_name(wanted.name)] = version
    return pins


def running_arithmetic() -> str:
    """Return what calculates in this process: ``openblas Haswell, NumPy X86_V3, glibc 2.36``."""
    import numpy as np
    import scipy.linalg  # noqa: F401 - brings a library of its own
    from threadpoolctl import threadpool_info

    loaded = [one for one in threadpool_info() if one["user_api"] == "blas"]
    found = {f"{one['internal_api']} {one.get('architecture', 'of its own choice')}" for one in loaded}
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    c_library = " ".join(platform.libc_ver()).strip() or "another C library"
    return ", ".join([*sorted(found), f"NumPy {[*simd['baseline'], *simd['found']][-1]}", c_library])


def installed_packages() -> dict[str, str]:
    """Return package to version for everything this Python can import; the first on the path counts."""
    found: dict[str, str] = {}
    for package in distributions():
        name = package.metadata["Name"]
        if name:
            found.setdefault(canonicalize_name(name), package.version)
    return found
