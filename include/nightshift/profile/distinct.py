"""How many different values a column has: a sketch that merges without loss.

The smallest hashes of all values are kept (a theta sketch, or KMV [1]). Which
they are depends on the set of values alone, so that parts merged in any order
give the very sketch of the whole.

[1] Z. Bar-Yossef et al., Counting distinct elements in a data stream, RANDOM 2002.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd

KEPT = 4096
SPACE = 2**32
_WORD = np.dtype(">u4")


@dataclass(frozen=True)
class Distinct:
    """The :data:`KEPT` smallest 32-bit hashes, ascending, packed big-endian; fewer if there are fewer values.

    >>> Distinct.of_numbers(np.array([1.0, 2.0, 2.0, 5.0])).estimate
    3
    """

    hashes: bytes = b""

    @classmethod
    def of_numbers(cls, values: np.ndarray) -> Self:
        """Return the sketch of finite numbers, float64; 0.0 and -0.0 are one."""
        return cls.of_words((values + 0.0).view(np.uint64))

    @classmethod
    def of_words(cls, words: np.ndarray) -> Self:
        """Return the sketch of 64-bit words, uint64, each of which stands for a value."""
        return cls._of(mixed(words))

    @classmethod
    def of_names(cls, names: Sequence[str]) -> Self:
        """Return the sketch of texts."""
        return cls._of(pd.util.hash_array(np.array(names, dtype=object), categorize=False))

    @classmethod
    def _of(cls, hashes: np.ndarray) -> Self:
        return cls(_smallest((hashes >> np.uint64(32)).astype(np.uint32)))

    @property
    def is_exact(self) -> bool:
        """Whether all values are there, not only those with the smallest hashes."""
        return len(self.hashes) < KEPT * _WORD.itemsize

    @property
    def estimate(self) -> int:
        """How many different values; exact up to :data:`KEPT`, beyond it within some 1.6 % (one standard error)."""
        kept = np.frombuffer(self.hashes, _WORD)
        return len(kept) if len(kept) < KEPT else round((KEPT - 1) / ((int(kept[-1]) + 0.5) / SPACE))

    def merge(self, other: Self) -> Self:
        """Return the sketch of both sets of values together."""
        return type(self)(_smallest(np.frombuffer(self.hashes + other.hashes, _WORD)))

    def to_json(self) -> str:
        return b64encode(self.hashes).decode()

    @classmethod
    def from_json(cls, content: Any) -> Self:
        return cls(b64decode(content))


def _smallest(hashes: np.ndarray) -> bytes:
    """Return the smallest different hashes, packed; most are put aside before anything is sorted."""
    if len(hashes) > 8 * KEPT:
        some = hashes[:: len(hashes) // KEPT]
        rank = 3 * KEPT * len(some) // len(hashes) + 8  # of some, so that about three times what is kept stays
        few = np.unique(hashes[hashes <= np.partition(some, rank)[rank]])
        if len(few) >= KEPT:
            return few[:KEPT].astype(_WORD).tobytes()
    return np.unique(hashes)[:KEPT].astype(_WORD).tobytes()


def mixed(words: np.ndarray) -> np.ndarray:
    """Return 64-bit words well mixed, each on its own (the finaliser of SplitMix64)."""
    mixed = words ^ (words >> np.uint64(30))
    mixed = mixed * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(27)
    mixed *= np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return mixed
