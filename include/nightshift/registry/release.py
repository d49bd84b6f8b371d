"""One version of a model, and what its parts may be called."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from nightshift.errors import ReleaseError
from nightshift.spec import NAME

OWN = "nightshift."
"""Begins the tags that only the registry writes."""
LINEAGE, PACKAGE, EVIDENCE = f"{OWN}lineage_digest", f"{OWN}package_digest", f"{OWN}evidence."
FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
VERSION = r"[1-9][0-9]{0,17}"
DIGEST = r"[0-9a-f]{64}"


@dataclass(frozen=True)
class Release:
    """One version of a model.

    ``tags`` are those of its maker and of its promotion; ``evidence`` holds the
    SHA-256 of each piece of evidence by file name; ``source`` is where the
    registry keeps the package. The digests are empty for a version that
    somebody else put into the registry.
    """

    model: str
    version: str
    lineage_digest: str
    package_digest: str
    run_id: str
    tags: dict[str, str]
    created: datetime
    evidence: dict[str, str]
    source: str

    def __str__(self) -> str:
        return f"{self.model} version {self.version}"

    @property
    def number(self) -> int:
        """The version as a number, for order."""
        return int(self.version)

    def to_json(self) -> dict[str, Any]:
        return {
            "format": 1,
            "model": self.model,
            "version": self.version,
            "lineage_digest": self.lineage_digest,
            "package_digest": self.package_digest,
            "run_id": self.run_id,
            "tags": self.tags,
            "created": self.created.isoformat(),
            "evidence": self.evidence,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        values = {name: value for name, value in content.items() if name != "format"}
        return cls(**values | {"created": datetime.fromisoformat(content["created"])})

    @classmethod
    def of_version(cls, content: Mapping[str, Any]) -> Self:
        """Return the release that MLflow describes as a model version."""
        tags = {pair["key"]: pair.get("value", "") for pair in content.get("tags", [])}
        return cls(
            model=content["name"],
            version=str(content["version"]),
            lineage_digest=tags.get(LINEAGE, ""),
            package_digest=tags.get(PACKAGE, ""),
            run_id=content.get("run_id", ""),
            tags={name: value for name, value in tags.items() if not name.startswith(OWN)},
            created=datetime.fromtimestamp(int(content["creation_timestamp"]) / 1000, UTC),
            evidence={n.removeprefix(EVIDENCE): value for n, value in tags.items() if n.startswith(EVIDENCE)},
            source=content.get("source", ""),
        )


def first_of_each_lineage(releases: Iterable[Release]) -> list[Release]:
    """Return the releases that count, oldest first: of twins made from one lineage the lowest number.

    So a reader never sees the second of two makers, not even in the moment
    before it is removed.
    """
    kept: dict[str, Release] = {}
    for release in sorted(releases, key=lambda release: release.number):
        kept.setdefault(release.lineage_digest or f"version {release.version}", release)
    return list(kept.values())


def own_tags_refused(tags: Mapping[str, str]) -> dict[str, str]:
    """Return ``tags`` if none of them pretends to be the registry's."""
    taken = sorted(key for key in tags if key.startswith(OWN))
    if taken:
        raise ReleaseError(f"tags {', '.join(taken)} begin with {OWN!r}, which is the registry's own; rename them")
    return dict(tags)


def model_name(name: str) -> str:
    """Return ``name`` if a model may be called so.

    >>> model_name("flights")
    'flights'
    """
    return _checked(name, NAME, "a model's name")


def version_number(version: str) -> str:
    """Return ``version`` if it can be one: digits, no leading zero."""
    return _checked(version, VERSION, "a version's number")


def file_name(name: str) -> str:
    """Return ``name`` if it is one plain file name: no slashes, nothing hidden, nothing above."""
    return _checked(name, FILE_NAME, "a plain file name")


def sha256(digest: str) -> str:
    """Return ``digest`` if it is a SHA-256 in hex."""
    return _checked(digest, DIGEST, "a SHA-256 in hex")


def _checked(value: str, pattern: str, what: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ReleaseError(f"{value[:100]!r} is not {what}; expected {pattern}")
    return value
