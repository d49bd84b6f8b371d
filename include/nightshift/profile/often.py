"""The values that come again and again, counted one by one."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

import numpy as np


@dataclass(frozen=True)
class Often:
    """Counts of the most frequent values, at most ``room`` of them.

    While ``floor`` is 0 every value is listed and every count exact. Else a
    value that is not listed came at most ``floor`` times, and a listed one at
    most ``floor`` times more often than it says.

    >>> Often.of({"a": 5, "b": 3, "c": 1}, room=2)
    Often(counts={'a': 5, 'b': 3}, floor=1, room=2)
    """

    counts: Mapping[str, int] = field(default_factory=dict)
    floor: int = 0
    room: int = 200

    @classmethod
    def of(cls, counts: Mapping[str, int], *, room: int) -> Self:
        """Return the ``room`` most frequent of ``counts``, ties in the order of names."""
        if len(counts) <= room:
            return cls(dict(sorted(counts.items())), 0, room)
        ordered = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        return cls(dict(sorted(ordered[:room])), ordered[room][1], room)

    @classmethod
    def of_runs(cls, values: np.ndarray, counts: np.ndarray, *, room: int) -> Self:
        """Return the same of different numbers and how often each came; once is not often, unless all find room."""
        if len(values) <= room:
            return cls.of(_named(values, counts), room=room)
        again = counts > 1
        found = cls.of(_named(*_largest(values[again], counts[again], room + 1)), room=room)
        return cls(found.counts, max(found.floor, 0 if again.all() else 1), room)

    def merge(self, other: Self) -> Self:
        """Return the counts of both; exact as long as all values find room."""
        both = type(self).of(Counter(self.counts) + Counter(other.counts), room=self.room)
        return type(self)(both.counts, both.floor + self.floor + other.floor, self.room)

    def without(self, part: Self) -> Self:
        """Return the counts without those of a part, which names what it has as well or not at all."""
        left = {name: max(count - part.counts.get(name, 0), 0) for name, count in self.counts.items()}
        return type(self)(left, self.floor, self.room)


def _largest(values: np.ndarray, counts: np.ndarray, room: int) -> tuple[np.ndarray, np.ndarray]:
    """Return at least the ``room`` most frequent, all that tie with the last of them included."""
    if len(values) <= room:
        return values, counts
    enough = counts >= np.partition(counts, len(counts) - room)[len(counts) - room]
    return values[enough], counts[enough]


def _named(values: np.ndarray, counts: np.ndarray) -> dict[str, int]:
    return {repr(float(value) + 0.0): int(count) for value, count in zip(values, counts, strict=True)}
