"""What a card is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class CardContent:
    """What the card is made of: the JSON of a release's evidence, as the steps wrote it.

    What is not there (empty) is left out of the card, or named as missing where
    a reader would look for it.
    """

    spec: Mapping[str, Any]
    lineage: Mapping[str, Any]
    splits: Mapping[str, Any]
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    verdict: Mapping[str, Any]
    request: Mapping[str, Any]
    profile: Mapping[str, Any] | None = None
    quality: Mapping[str, Any] | None = None
    checklist: Mapping[str, Any] | None = None
    decisions: Sequence[Mapping[str, Any]] = ()
    certificate: Mapping[str, Any] | None = None
