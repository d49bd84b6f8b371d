"""Columns of Arrow tables, read as numbers or as names."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as is_a

from nightshift.errors import ProfileError
from nightshift.profile.cells import NAME_LENGTH_MAX, Cells
from nightshift.profile.runs import Runs
from nightshift.spec import Kind

DAY_MICROS = 86_400_000_000


def kind_of(name: str, kind: pa.DataType) -> Kind:
    """Return how a column of an Arrow type is read: text and bytes are names, all else are numbers.

    Raises
    ------
    ProfileError
        If its values hold others: lists, structs, maps, unions.

    Examples
    --------
    >>> kind_of("when", pa.timestamp("us")), kind_of("who", pa.string())
    (<Kind.NUMERIC: 'numeric'>, <Kind.CATEGORICAL: 'categorical'>)
    """
    own = kind.value_type if is_a.is_dictionary(kind) else kind
    if is_a.is_nested(own) or isinstance(own, pa.BaseExtensionType):
        raise ProfileError(
            f"column {name!r} is {own}; a profile reads numbers, flags, times and text: "
            f"flatten it, or leave it out with --without {name!r}"
        )
    texts = (is_a.is_string, is_a.is_large_string, is_a.is_string_view)
    bytes_ = (is_a.is_binary, is_a.is_large_binary, is_a.is_fixed_size_binary, is_a.is_binary_view)
    return Kind.CATEGORICAL if any(is_it(own) for is_it in (*texts, *bytes_)) else Kind.NUMERIC


def word_for(kind: pa.DataType) -> str:
    """Return what values of a type are, in the word that a profile's ``types`` has for them."""
    own = kind.value_type if is_a.is_dictionary(kind) else kind
    if is_a.is_boolean(own):
        return "bool"
    if is_a.is_timestamp(own) or is_a.is_date(own):
        return "time"
    if is_a.is_duration(own) or is_a.is_time(own):
        return "duration"
    if kind_of("", own) is Kind.NUMERIC:
        return "number"
    return "text" if is_a.is_string(own) or is_a.is_large_string(own) or is_a.is_string_view(own) else "bytes"


@dataclass(frozen=True)
class NumberPart:
    """Some rows of a column of numbers: their runs, and what else there was."""

    runs: Runs
    counted: Cells

    @classmethod
    def of(cls, column: pa.ChunkedArray) -> Self:
        """Return what a column of an Arrow table holds; NaN is missing, but told among the types."""
        runs = Runs.of(numbers_of(column))
        return cls(runs, _counted(column, runs.nan))

    def merge(self, other: Self) -> Self:
        """Return both parts together."""
        counted = Cells(
            self.counted.rows + other.counted.rows,
            self.counted.missing + other.counted.missing,
            0,
            dict(sorted((Counter(self.counted.types) + Counter(other.counted.types)).items())),
        )
        return type(self)(self.runs.merge(other.runs), counted)


def _counted(column: pa.ChunkedArray, nan: int) -> Cells:
    known = len(column) - column.null_count
    types = {"nan": nan, word_for(column.type): known - nan}
    return Cells(len(column), column.null_count + nan, 0, {word: types[word] for word in sorted(types) if types[word]})


def numbers_of(column: pa.ChunkedArray) -> np.ndarray:
    """Return what is known of a column of numbers, in order; times are microseconds since 1970, UTC."""
    known = column.drop_null() if column.null_count else column
    kind = known.type
    if is_a.is_dictionary(kind):
        return numbers_of(pa.chunked_array([chunk.dictionary_decode() for chunk in known.chunks], kind.value_type))
    if is_a.is_null(kind):
        return np.empty(0)
    if is_a.is_boolean(kind):
        known = known.cast(pa.uint8())
    elif is_a.is_decimal(kind) or is_a.is_float16(kind):
        known = known.cast(pa.float64())
    elif is_a.is_timestamp(kind):
        known = known.cast(pa.timestamp("us", kind.tz), safe=False).cast(pa.int64())
    elif is_a.is_date(kind):
        known = known.cast(pa.timestamp("us"), safe=False).cast(pa.int64())
    elif is_a.is_time(kind):
        known = known.cast(pa.time64("us"), safe=False).cast(pa.int64())
    elif is_a.is_duration(kind):
        known = known.cast(pa.duration("us"), safe=False).cast(pa.int64())
    return np.asarray(known.to_numpy())


def names_of(column: pa.ChunkedArray) -> Cells:
    """Return a column of text or bytes as names, cut at their greatest length, with their counts."""
    coded = column if is_a.is_dictionary(column.type) else column.dictionary_encode()
    if any(chunk.dictionary.null_count for chunk in coded.chunks):  # Arrow cannot join such dictionaries
        parts = [[chunk] for chunk in coded.chunks]
    else:
        parts = [coded.unify_dictionaries().chunks]
    counts: Counter[str] = Counter()
    for part in parts:
        counts.update(_named(part))
    return Cells(**{**_counted(column, 0).__dict__, "names": dict(counts)})


def _named(chunks: Sequence[pa.DictionaryArray]) -> Mapping[str, int]:
    """Return the counts of the names in chunks that have one dictionary."""
    if not chunks:
        return {}
    places = np.concatenate([chunk.indices.drop_null().to_numpy() for chunk in chunks])
    counts = np.bincount(places, minlength=len(chunks[0].dictionary)).tolist()
    names = _texts(chunks[0].dictionary)
    found = dict(zip(names, counts, strict=True))
    if len(found) < len(names):  # cut at their greatest length, some are the same
        found = Counter()
        for name, count in zip(names, counts, strict=True):
            found[name] += count
    return {name: count for name, count in found.items() if count}


def _texts(values: pa.Array) -> list[str]:
    """Return text as Python's; bytes in hex, and what is no UTF-8 with its bytes escaped."""
    if word_for(values.type) == "bytes":
        return [value.hex()[:NAME_LENGTH_MAX] if value is not None else "" for value in values.to_pylist()]
    try:
        found = values.to_pylist()
    except UnicodeDecodeError:
        found = [raw and raw.decode(errors="backslashreplace") for raw in values.cast(pa.binary()).to_pylist()]
    return [value[:NAME_LENGTH_MAX] if value else "" for value in found]


def sampled(column: pa.ChunkedArray, kind: Kind) -> Cells:
    """Return a few rows, each by itself: numbers with NaN for none, or the codes of sorted names."""
    if kind is Kind.NUMERIC:
        numbers = np.full(len(column), np.nan)
        numbers[pc.is_valid(column).to_numpy()] = numbers_of(column)
        return Cells(len(column), int(np.isnan(numbers).sum()), 0, {}, numbers=numbers)
    texts = column.cast(column.type.value_type) if is_a.is_dictionary(column.type) else column
    values = np.array([name for chunk in texts.chunks for name in _texts(chunk)], dtype=object)
    valid = pc.is_valid(column).to_numpy()
    names = sorted(set(values[valid]))
    places = {name: place for place, name in enumerate(names)}
    codes = np.array([places[value] if known else -1 for value, known in zip(values, valid, strict=True)], dtype=int)
    return Cells(len(column), int((~valid).sum()), 0, {}, codes=codes, names=dict.fromkeys(names, 1))
