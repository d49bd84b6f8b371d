"""What was compared, what came of it, by whom and where."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

FORMAT = 1


@dataclass(frozen=True)
class Comparison:
    """One thing as it was recorded and as it was rebuilt; ``how`` says what differs, empty if nothing does."""

    what: str
    recorded: str
    rebuilt: str
    how: str = ""

    @property
    def is_same(self) -> bool:
        return self.recorded == self.rebuilt and not self.how

    @property
    def sentence(self) -> str:
        """The difference for people."""
        said = f"{self.what}: recorded {self.recorded}, rebuilt {self.rebuilt}"
        return f"{said}; {self.how}" if self.how else said


@dataclass(frozen=True)
class Certificate:
    """Proof, or disproof, that a release can be made again from what is recorded of it.

    ``compared`` goes from causes to effects: code, environment, declaration,
    data and splits before model, profile, contract and metrics; so the first
    difference is where to look. ``seconds`` tells what each step took.

    >>> moment = datetime.fromisoformat("2026-01-01T00:00:00+00:00")
    >>> same, other = Comparison("code commit", "1a2b", "1a2b"), Comparison("train rows", "77", "78")
    >>> made = Certificate("bikes", "3", "12ab", "34cd", moment, "ada", "audit", "CPython 3.11.7", {}, (same, other))
    >>> made.is_identical, made.first.sentence
    (False, 'train rows: recorded 77, rebuilt 78')
    """

    model: str
    version: str
    lineage_digest: str
    package_digest: str
    made_at: datetime
    made_by: str
    reason: str
    made_on: str
    seconds: Mapping[str, float]
    compared: tuple[Comparison, ...]

    @property
    def is_identical(self) -> bool:
        """Whether everything was compared and nothing differs; nothing compared proves nothing."""
        return bool(self.compared) and not self.differences

    @property
    def differences(self) -> tuple[Comparison, ...]:
        return tuple(one for one in self.compared if not one.is_same)

    @property
    def first(self) -> Comparison | None:
        """The first difference; the ones after it may follow from it."""
        return next(iter(self.differences), None)

    @property
    def sentence(self) -> str:
        """The result for people."""
        if self.is_identical:
            return f"identical: {self.model} version {self.version} was rebuilt byte for byte"
        if self.first is None:
            return f"not proven: nothing of {self.model} version {self.version} could be compared"
        return f"not identical: {self.model} version {self.version} differs first in {self.first.sentence}"

    def to_json(self) -> dict[str, Any]:
        compared = [{**asdict(one), "same": one.is_same} for one in self.compared]
        return {
            "format": FORMAT,
            **{name: getattr(self, name) for name in ("model", "version", "lineage_digest", "package_digest")},
            **{name: getattr(self, name) for name in ("made_by", "reason", "made_on")},
            "made_at": self.made_at.isoformat(),
            "seconds": dict(self.seconds),
            "identical": self.is_identical,
            "sentence": self.sentence,
            "differences": [one for one in compared if not one["same"]],
            "compared": compared,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        told = ("format", "identical", "sentence", "differences")
        values = {name: value for name, value in content.items() if name not in told}
        compared = tuple(
            Comparison(one["what"], one["recorded"], one["rebuilt"], one["how"]) for one in content["compared"]
        )
        return cls(**values | {"made_at": datetime.fromisoformat(content["made_at"]), "compared": compared})
