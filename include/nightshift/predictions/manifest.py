"""What has been compacted of a log: the one truth about its days.

``<log>/compacted.json`` is replaced in one rename after the files it names are
on the disk.
"""

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Self

import msgspec

from nightshift.errors import PredictionLogError
from nightshift.files import read_json
from nightshift.predictions.record import Columns, encode

FORMAT = 1
MANIFEST = "compacted.json"


@dataclass(frozen=True)
class Place:
    """How far a segment has been read, and the columns of the versions met up to there."""

    offset: int = 0
    columns: dict[str, Columns] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        # as text: the order of the columns is the order of the values, and the manifest sorts its keys
        return {"offset": self.offset, "columns": [encode(columns).decode() for columns in self.columns.values()]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        columns = [msgspec.json.decode(text, type=Columns) for text in content["columns"]]
        return cls(content["offset"], {one.version: one for one in columns})


@dataclass(frozen=True)
class Lost:
    """Bytes of a segment that are no whole entry, and the event day of the entry before them."""

    segment: str
    offset: int
    bytes: int
    torn: bool
    day: date | None

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "day": self.day.isoformat() if self.day else None}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**{**content, "day": date.fromisoformat(content["day"]) if content["day"] else None})


@dataclass(frozen=True)
class Manifest:
    """What has been compacted: files and duplicates by day, places by segment, and what was lost."""

    number: int = 0
    parts: dict[date, tuple[str, ...]] = field(default_factory=dict)
    duplicates: dict[date, int] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    lost: tuple[Lost, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "number": self.number,
            "parts": {day.isoformat(): list(names) for day, names in self.parts.items()},
            "duplicates": {day.isoformat(): count for day, count in self.duplicates.items()},
            "places": {name: place.to_json() for name, place in self.places.items()},
            "lost": [lost.to_json() for lost in self.lost],
        }

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(
            content["number"],
            {date.fromisoformat(day): tuple(names) for day, names in content["parts"].items()},
            {date.fromisoformat(day): count for day, count in content["duplicates"].items()},
            {name: Place.from_json(place) for name, place in content["places"].items()},
            tuple(Lost.from_json(lost) for lost in content["lost"]),
        )

    @classmethod
    def read(cls, log: Path) -> Self:
        """Return the manifest of a log; an empty one if nothing was ever compacted.

        Raises
        ------
        PredictionLogError
            If it is of another format, or no manifest.
        """
        path = log / MANIFEST
        try:
            content = read_json(path)
            if content["format"] != FORMAT:
                raise PredictionLogError(f"{path} has format {content['format']}, expected {FORMAT}; use its version")
            return cls.from_json(content)
        except FileNotFoundError:
            return cls()
        except (ValueError, KeyError, TypeError, msgspec.MsgspecError) as error:
            raise PredictionLogError(f"{path} is no manifest of a prediction log: {error}; restore it") from error
