"""What a package says of itself: every file by digest, what it needs, what it answers."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError, model_validator

from nightshift.errors import PackageError
from nightshift.files import canonical_json
from nightshift.model.encoding import Encoding
from nightshift.spec import Column, Name, Task

FORMAT = 1
MANIFEST = "manifest.json"
NATIVE, ONNX, PICKLE = "booster.ubj", "model.onnx", "model.pkl"
GOLDEN, PROFILE, CONTRACT, REQUIREMENTS = "golden.json", "profile.json", "contract.json", "requirements.txt"
MLMODEL = "MLmodel"
REQUIRED = frozenset({NATIVE, PICKLE, GOLDEN, PROFILE, CONTRACT, REQUIREMENTS, MLMODEL})
FILES = REQUIRED | {ONNX}
"""The only names a package may hold besides its manifest; no other can be written down, nor any path."""
TOLERANCE = 1e-5
"""How far a format may answer from the native file: absolute below 1, relative above."""
BYTES_MAX = 512 * 1024 * 1024
MANIFEST_BYTES_MAX = 8 * 1024 * 1024

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Short = Annotated[str, Field(max_length=200)]


class Record(BaseModel):
    """A part of a manifest: fixed once read, nothing unknown in it, no type guessed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileRecord(Record):
    """Digest (SHA-256, hex) and size of one file."""

    sha256: Digest
    size: int = Field(ge=0, le=BYTES_MAX)

    @classmethod
    def of(cls, content: bytes) -> Self:
        return cls(sha256=sha256(content).hexdigest(), size=len(content))


class Parity(Record):
    """How far a format answers from the native file, asked ``rows`` rows: golden ones and all of the test split.

    The difference is absolute where answers are below 1 (probabilities are) and
    relative above. A format that is not ``faithful`` is left out, and ``why``
    says what went wrong.
    """

    faithful: bool
    rows: int = Field(ge=0)
    worst_difference: float | None
    tolerance: float = Field(ge=0, le=TOLERANCE)
    why: str = Field(default="", max_length=1000)


def _encoding(content: Any) -> Any:
    return content if isinstance(content, Encoding) else Encoding.from_json(content)


class Manifest(Record):
    """A package's table of contents.

    ``requirements`` are the packages that reading and asking the model needs,
    with the versions it was made with; ``trees`` and ``best_iteration``
    describe the booster. No moment, user or path is in it: the same lineage
    gives the same bytes.
    """

    format: Literal[1] = 1
    model: Name
    task: Annotated[Task, Field(strict=False)]
    key: Column
    time_column: Column
    classes: Annotated[tuple[Short, ...], Field(strict=False)]
    encoding: Annotated[Encoding, BeforeValidator(_encoding), PlainSerializer(Encoding.to_json)]
    lineage_digest: Digest
    python: Short
    platform: Short
    requirements: dict[Short, Short]
    lock_digest: Digest
    threads: int = Field(ge=1, le=64)
    trees: int = Field(ge=0)
    best_iteration: int = Field(ge=0)
    golden_rows: int = Field(ge=1)
    onnx: Parity
    pickle: Parity
    files: dict[str, FileRecord]

    @model_validator(mode="after")
    def _holds_what_packages_hold(self) -> Self:
        expected = FILES if self.onnx.faithful else REQUIRED
        strange, lacking = sorted(set(self.files) - expected), sorted(expected - set(self.files))
        if strange or lacking:
            raise ValueError(f"files: {_names(strange)} too many, {_names(lacking)} missing")
        return self

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
        """Whether the package holds an ONNX file, which then answers as the native one does."""
        return self.onnx.faithful

    def to_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the manifest in ``content``.

        Raises
        ------
        PackageError
            If it is of another format, incomplete, or names files that no package holds.
        """
        found = content.get("format") if isinstance(content, Mapping) else None
        if found != FORMAT:
            raise PackageError(
                f"the manifest has format {found!r}, expected {FORMAT}; open it with the Nightshift that wrote it"
            )
        try:
            return cls.model_validate(content)
        except (ValidationError, KeyError, TypeError, AttributeError) as error:
            raise PackageError(
                f"the manifest is not one of a package: {_said(error)}; do not use this package"
            ) from None


def _said(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return repr(error)[:300]
    problems = [f"{'.'.join(map(str, one['loc']))} {one['msg']}".strip() for one in error.errors(include_url=False)]
    return "; ".join(problem[:200] for problem in problems[:5])


def _names(names: list[str]) -> str:
    return ", ".join(repr(name[:80]) for name in names[:5]) or "none"
