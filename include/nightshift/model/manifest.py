"""What a package says of itself: every file by digest, what it needs, what it answers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from nightshift.errors import PackageError
from nightshift.files import canonical_json
from nightshift.model.encoding import Encoding
from nightshift.spec import Task

FORMAT = 1
MANIFEST = "manifest.json"
NATIVE, ONNX, PICKLE = "booster.ubj", "model.onnx", "model.pkl"
GOLDEN, PROFILE, CONTRACT, REQUIREMENTS = "golden.json", "profile.json", "contract.json", "requirements.txt"
REQUIRED = frozenset({NATIVE, PICKLE, GOLDEN, PROFILE, CONTRACT, REQUIREMENTS})
FILES = REQUIRED | {ONNX}
"""The only names a package may hold besides its manifest; no other can be written down, nor any path."""
TOLERANCE = 1e-5
"""How far a format may answer from the native file: absolute below 1, relative above."""
BYTES_MAX = 512 * 1024 * 1024
MANIFEST_BYTES_MAX = 8 * 1024 * 1024


@dataclass(frozen=True)
class FileRecord:
    """Digest (SHA-256, hex) and size of one file."""

    sha256: str
    size: int

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls(sha256(content).hexdigest(), len(content))


@dataclass(frozen=True)
class Parity:
    """How far a format answers from the native file, on the golden rows.

    The difference is absolute where answers are below 1 (probabilities are) and
    relative above. A format that is not ``faithful`` is left out, and ``why``
    says what went wrong.
    """

    faithful: bool
    worst_difference: float | None
    tolerance: float
    why: str = ""


@dataclass(frozen=True)
class Manifest:
    """A package's table of contents.

    ``requirements`` are the packages that reading and asking the model needs,
    with the versions it was made with; ``trees`` and ``best_iteration``
    describe the booster. No moment, user or path is in it: the same lineage
    gives the same bytes.
    """

    model: str
    task: Task
    key: str
    time_column: str
    classes: tuple[str, ...]
    encoding: Encoding
    lineage_digest: str
    python: str
    platform: str
    requirements: Mapping[str, str]
    lock_digest: str
    threads: int
    trees: int
    best_iteration: int
    golden_rows: int
    parity: Mapping[str, Parity]
    files: Mapping[str, FileRecord]

    @property
    def content(self) -> bytes:
        """The manifest's one form as bytes; their SHA-256 is the package's digest."""
        return canonical_json(self.to_json()) + b"\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the package: of the manifest, which holds the digests of all files."""
        return sha256(self.content).hexdigest()

    @property
    def has_onnx(self) -> bool:
        """Whether the package holds an ONNX file that answers as the native one does."""
        return self.parity["onnx"].faithful

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "model": self.model,
            "task": str(self.task),
            "key": self.key,
            "time_column": self.time_column,
            "classes": list(self.classes),
            "encoding": self.encoding.to_json(),
            "lineage_digest": self.lineage_digest,
            "python": self.python,
            "platform": self.platform,
            "requirements": dict(self.requirements),
            "lock_digest": self.lock_digest,
            "threads": self.threads,
            "trees": self.trees,
            "best_iteration": self.best_iteration,
            "golden_rows": self.golden_rows,
            "parity": {name: dict(parity.__dict__) for name, parity in self.parity.items()},
            "files": {name: dict(record.__dict__) for name, record in self.files.items()},
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        """Return the manifest in ``content``.

        Raises
        ------
        PackageError
            If it is of another format, incomplete, or names files that no package holds.
        """
        found = content.get("format") if isinstance(content, dict) else None
        if found != FORMAT:
            raise PackageError(
                f"the manifest has format {found!r}, expected {FORMAT}; open it with the Nightshift that wrote it"
            )
        try:
            fields = {name: value for name, value in content.items() if name != "format"}
            manifest = cls(
                **{
                    **fields,
                    "task": Task(content["task"]),
                    "classes": tuple(content["classes"]),
                    "encoding": Encoding.from_json(content["encoding"]),
                    "parity": {name: Parity(**parity) for name, parity in content["parity"].items()},
                    "files": {name: FileRecord(**record) for name, record in content["files"].items()},
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PackageError(
                f"the manifest is incomplete or of another kind: {error!r}; make the package again"
            ) from error
        manifest._check_files()
        return manifest

    def _check_files(self) -> None:
        expected = FILES if self.has_onnx else REQUIRED
        strange, lacking = sorted(set(self.files) - expected), sorted(expected - set(self.files))
        if strange or lacking:
            raise PackageError(
                f"the manifest names other files than a package has: {_names(strange)} too many, {_names(lacking)} "
                "missing; do not use this package"
            )
        for name, record in self.files.items():
            if not re.fullmatch(r"[0-9a-f]{64}", record.sha256) or not 0 <= record.size <= BYTES_MAX:
                raise PackageError(
                    f"the manifest's record of {name} is no digest and size: {record}; do not use this package"
                )


def _names(names: list[str]) -> str:
    return ", ".join(repr(name[:80]) for name in names[:5]) or "none"
