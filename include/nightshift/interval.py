"""How sure one is of a number: where it lies with 95 % confidence."""

from dataclasses import dataclass
from typing import Self

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Interval:
    """A metric and where it lies with 95 % confidence; ``low`` and ``high`` are ``value`` if one cannot tell."""

    value: float
    low: float
    high: float

    def to_json(self) -> dict[str, float]:
        return dict(self.__dict__)

    @classmethod
    def from_json(cls, content: dict[str, float]) -> Self:
        return cls(**content)
