"""Everything that determines a model, and one digest for all of it."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from nightshift.files import digest_of
from nightshift.lineage.code import CodeVersion
from nightshift.lineage.data import DatasetVersion
from nightshift.lineage.environment import Environment

FORMAT = 1
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Lineage:
    """Code, environment, declaration, data and splits of one model.

    ``data`` is the version of the raw tables, ``table`` that of the assembled
    rows and splits; both none until they are made. ``splits`` holds each split's
    content digest by name; ``features`` is the digest of the feature service that
    made the rows, empty without one. ``as_of`` is when the model was to be built from what
    was known; what followed from it is in the digests.
    """

    code: CodeVersion
    environment: Environment
    spec_digest: str
    as_of: datetime
    data: DatasetVersion | None = None
    table: DatasetVersion | None = None
    splits: dict[str, str] = field(default_factory=dict)
    features: str = ""

    @property
    def digest(self) -> str:
        """SHA-256 of what determines the model; not of moments, addresses or folder names."""
        return digest_of(
            {
                "commit": self.code.commit,
                "changes": self.code.changes_digest,
                "lock": self.environment.lock_digest,
                "python": self.environment.python,
                "platform": self.environment.platform,
                "differences": list(self.environment.differences),
                "spec": self.spec_digest,
                "data": self.data.digest if self.data else None,
                "splits": self.splits,
                # what was recorded before there was any of it keeps its digest
                **({"features": self.features} if self.features else {}),
                **({"arithmetic": self.environment.arithmetic} if self.environment.arithmetic else {}),
            }
        )

    @property
    def reproducible(self) -> bool:
        """Whether the model could be made again from what is recorded."""
        return not self.problems()

    def problems(self) -> list[str]:
        """Return every box that is not ticked; empty if all are."""
        problems = [*self.code.problems(), *self.environment.problems()]
        if self.data is None:
            problems.append("no data version is recorded; take a snapshot first")
        missing = [name for name in SPLITS if not self.splits.get(name)]
        if missing:
            problems.append(f"the splits {', '.join(missing)} are not pinned by digest; split first")
        return problems

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "digest": self.digest,
            "reproducible": self.reproducible,
            "code": self.code.to_json(),
            "environment": self.environment.to_json(),
            "spec_digest": self.spec_digest,
            "as_of": self.as_of.isoformat(),
            "data": self.data.to_json() if self.data else None,
            "table": self.table.to_json() if self.table else None,
            "splits": self.splits,
            "features": self.features,
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        data, table = (DatasetVersion.from_json(content[name]) if content[name] else None for name in ("data", "table"))
        return cls(
            code=CodeVersion.from_json(content["code"]),
            environment=Environment.from_json(content["environment"]),
            spec_digest=content["spec_digest"],
            as_of=datetime.fromisoformat(content["as_of"]),
            data=data,
            table=table,
            splits=content["splits"],
            features=content.get("features", ""),
        )
