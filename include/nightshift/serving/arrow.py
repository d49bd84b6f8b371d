"""Requests as Arrow IPC streams: for callers who have frames rather than objects.

A stream is foreign bytes that a C++ library looks into. So compression (which
may unfold into anything), nested and exotic types are refused before any value
is touched, and everything is validated before any value is believed.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from nightshift.predictions.record import Columns
from nightshift.serving.answers import RefusalError
from nightshift.serving.body import COLUMNS_MAX, check_count
from nightshift.serving.quick import Column, Columnar, Floats

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_BYTES_MAX = 4_096
UNFOLDED_BYTES_MAX = 16 * 1024 * 1024
UNKNOWN_MAX = 100
"""Columns of no model that a stream is told of."""
VALUES_MAX = 1_000_000
"""Of one stream, where each must be looked at on its own."""
MESSAGES_MAX = 10_000
FEW_MESSAGES = 64
LARGE_DICTIONARY_BYTES = 16 * 1024
"""From a body of this size on, nobody knows what a dictionary unfolds into before it is looked at."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
NANOS_IN = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
HEADER, DICTIONARY_DATA, LENGTH, COMPRESSION = 2, 1, 0, 3
"""Places of fields in Arrow's Message, DictionaryBatch and RecordBatch (format/Message.fbs)."""
OLD_COMPRESSION = b"ARROW:experimental_compression"
"""By this name in a message's metadata Arrow 0.16 told of compression, and later ones still read it."""


def read_table(body: bytes) -> "pa.Table":
    """Return the rows of an Arrow IPC stream, validated.

    Raises
    ------
    RefusalError
        400 if it is no such stream, 413 if it has too many rows, 415 if it
        cannot be read here, 422 if it holds what no row holds.
    """
    try:
        import pyarrow as pa  # heavy, and needed only by who is asked so
    except ImportError:
        raise RefusalError(415, "this server reads no Arrow; send JSON, or install pyarrow beside it") from None
    with _refusing():
        _refuse_bombs(body)
        reader = pa.ipc.open_stream(pa.BufferReader(body))
        _check_schema(reader.schema)
        table = reader.read_all()
        check_count(table.num_rows)
        table.validate(full=True)
        _check_unfolded(table)
        return table


def to_rows(table: "pa.Table", known: Columns) -> list[dict[str, Any]]:
    """Return the rows as they would have come as JSON; NaN is null.

    Columns that nobody knows are there to be told of: the first hundred, like
    those of any row. A column of nulls takes no bytes, and becomes a value in
    each row: that many are bounded.

    Raises
    ------
    RefusalError
        What :func:`read_table` raises, and 413 if there are too many values.
    """
    expected = {*known.kinds, known.key, known.time}
    strange = [name for name in table.column_names if name not in expected]
    table = table.drop_columns(strange[UNKNOWN_MAX:])
    if table.num_rows * table.num_columns > VALUES_MAX:
        raise RefusalError(
            413,
            f"{table.num_rows:,} rows of {table.num_columns:,} columns, not all of them as the model wants them, are "
            f"more than {VALUES_MAX:,} values; send fewer rows",
        )
    with _refusing():
        columns = [list(_values(column)) for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def to_columns(table: "pa.Table", known: Columns) -> Columnar | None:
    """Return the rows as the short way takes them, none if it takes them not. Raises what :func:`read_table` raises."""
    names, sent = known.kinds.keys(), set(table.column_names)
    if not names <= sent <= {*names, known.key, known.time}:
        return None
    with _refusing():
        numbers = _numbers(table.select([name for name in names if known.kinds[name] == "numeric"]))
        texts = [_texts(table[name]) for name in names if known.kinds[name] != "numeric"]
        keys = _keys(table[known.key]) if known.key in sent else ()
        times = _times(table[known.time]) if known.time in sent else ()
    if numbers is None or keys is None or times is None or None in texts:
        return None
    return Columnar(numbers, cast("list[Column]", texts), keys, times)


@contextmanager
def _refusing() -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, ValueError, TypeError, OverflowError, OSError, KeyError, struct.error) as error:
        raise RefusalError(400, f"the body is no Arrow IPC stream: {str(error)[:200]}") from None


def _check_schema(schema: "pa.Schema") -> None:
    import pyarrow.types as kind

    names = schema.names
    if not 0 < len(names) <= COLUMNS_MAX or len(set(names)) < len(names):
        raise RefusalError(422, f"the columns must have different names and be 1 to {COLUMNS_MAX:,}")
    simple = _simple_types()
    for name, held in zip(names, schema.types, strict=True):
        if held.id not in simple and not (kind.is_dictionary(held) and kind.is_string(held.value_type)):
            shown = f"{name[:80]!r} has type {str(held)[:80]}"
            raise RefusalError(422, f"{shown}; send numbers, booleans, text, dictionaries of text or timestamps")


@cache
def _simple_types() -> frozenset[int]:
    """Return the ids of the types that a column may have as they are."""
    import pyarrow as pa

    whole = (pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())
    others = (pa.float16(), pa.float32(), pa.float64(), pa.bool_(), pa.null(), pa.timestamp("us"))
    return frozenset(one.id for one in (*whole, *others, pa.string(), pa.large_string()))


def _values(column: "pa.ChunkedArray") -> Iterable[Any]:
    """Return a column's values as JSON would have brought them."""
    import pyarrow as pa
    import pyarrow.types as kind

    texts = _texts(column)
    if texts is not None:
        return texts
    if kind.is_timestamp(column.type):
        unit, is_aware = NANOS_IN[column.type.unit], column.type.tz is not None
        whole = column.cast(pa.int64()).to_pylist()
        return (None if since is None else _iso(since * unit, is_aware=is_aware) for since in whole)
    if kind.is_floating(column.type):
        return (None if value is None or math.isnan(value) else value for value in column.to_pylist())
    values: list[Any] = column.to_pylist()
    return values


def _iso(nanos: int, *, is_aware: bool) -> str:
    """Return a moment as text, cut off at the microsecond; of one in no calendar what the door refuses."""
    try:
        moment = EPOCH + timedelta(microseconds=abs(nanos) // 1000) * (-1 if nanos < 0 else 1)
    except OverflowError:
        return f"{nanos} nanoseconds since 1970"
    return (moment if is_aware else moment.replace(tzinfo=None)).isoformat()


def _texts(column: "pa.ChunkedArray") -> list[str | None] | None:
    """Return a column of text; none if it is none."""
    import pyarrow as pa
    import pyarrow.types as kind

    if kind.is_dictionary(column.type):
        _check_texts(pa.chunked_array([chunk.dictionary for chunk in column.chunks], type=column.type.value_type))
        column = column.cast(pa.string())
    if not (kind.is_string(column.type) or kind.is_large_string(column.type)):
        return None
    _check_texts(column)
    texts: list[str | None] = column.to_pylist()
    return texts


def _numbers(table: "pa.Table") -> Floats | None:
    """Return columns of numbers as one matrix; none if one is none, or of whole numbers too large to be exact."""
    import pyarrow as pa
    import pyarrow.types as kind

    if not table.num_columns:
        return np.empty((table.num_rows, 0))
    double = pa.float64()
    if not all(kind.is_floating(one) or kind.is_integer(one) for one in table.schema.types):
        return None
    try:
        if any(one != double for one in table.schema.types):
            table = table.cast(pa.schema([(name, double) for name in table.column_names]))
    except pa.ArrowInvalid:
        return None
    (batch,) = table.combine_chunks().to_batches()
    numbers: Floats = batch.to_tensor(null_to_nan=True).to_numpy()
    return numbers


def _keys(column: "pa.ChunkedArray") -> Column | None:
    import pyarrow.types as kind

    return column.to_pylist() if kind.is_integer(column.type) else _texts(column)


def _times(column: "pa.ChunkedArray") -> Column | None:
    import pyarrow as pa
    import pyarrow.types as kind

    if not kind.is_timestamp(column.type):
        return _texts(column)
    if column.type.tz is None:
        return None
    try:
        times: Column = _moments(column).cast(pa.int64()).to_pylist()
    except pa.ArrowInvalid:
        return None  # one lies in no calendar, and is to be told of by name
    return times


def _moments(column: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Return moments in microseconds, what is finer cut off; in UTC whatever zone they would be shown in, if any."""
    import pyarrow as pa

    of = column.type
    return column.cast(pa.timestamp("us", of.tz and "UTC"), safe=of.unit != "ns")


def _check_unfolded(table: "pa.Table") -> None:
    """Refuse dictionaries that are few bytes and a great deal of text; several columns may share one."""
    import pyarrow.compute as pc
    import pyarrow.types as kind

    unfolded = 0
    for column in table.columns:
        if kind.is_dictionary(column.type):
            for chunk in column.chunks:
                unfolded += pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0
    if unfolded > UNFOLDED_BYTES_MAX:
        most = f"at most {UNFOLDED_BYTES_MAX:,} are taken; send fewer rows"
        raise RefusalError(413, f"the dictionaries unfold into {unfolded:,} bytes, {most}")


def _check_texts(texts: "pa.ChunkedArray") -> None:
    """Refuse long texts before they are copied out, which a dictionary may ask for any number of times."""
    import pyarrow.compute as pc

    if texts.nbytes <= TEXT_BYTES_MAX:
        return
    longest = pc.max(pc.binary_length(texts)).as_py()
    if longest is not None and longest > TEXT_BYTES_MAX:
        raise RefusalError(422, f"a text has {longest:,} bytes, at most {TEXT_BYTES_MAX:,} are taken")


def count_values(body: bytes, width: int) -> float:
    """Return how many values a stream says that it has, without a look at them; at least ``width`` in each row.

    Infinitely many if it is no stream, or one of so many batches that counting takes long.
    """
    import pyarrow as pa

    rows = 0
    try:
        with _refusing():
            columns = len(pa.ipc.read_schema(pa.BufferReader(body)))
            for number, (kind, message, batch) in enumerate(_batches(body)):
                length = 0 if kind == "dictionary" else _length(message, batch)
                unfolds = kind == "dictionary" and len(body) > LARGE_DICTIONARY_BYTES
                if length < 0 or number >= FEW_MESSAGES or unfolds:
                    return math.inf
                rows += length
    except RefusalError:
        return math.inf
    return rows * max(columns, width)


def _refuse_bombs(body: bytes) -> None:
    """Refuse what few bytes may unfold into, as long as nothing was: compression, and more rows than are taken."""
    rows = 0
    for kind, message, batch in _batches(body):
        if _field(message, batch, COMPRESSION) or OLD_COMPRESSION in message:
            raise RefusalError(415, "the stream is compressed; send it as it is")
        rows += _length(message, batch) if kind == "record batch" else 0
    if rows > 0:
        check_count(rows)


def _batches(body: bytes) -> Iterator[tuple[str, bytes, int]]:
    """Yield each batch's kind, its message, and where the Flatbuffer table that describes the batch begins in it."""
    import pyarrow as pa

    messages = pa.ipc.MessageReader.open_stream(pa.BufferReader(body))
    for _ in range(MESSAGES_MAX):
        try:
            message = messages.read_next_message()
        except StopIteration:
            return
        if message.type != "schema":
            described = message.metadata.to_pybytes()
            at = _table(described, struct.unpack_from("<I", described, 0)[0], HEADER)
            if message.type == "dictionary":
                at = _table(described, at, DICTIONARY_DATA)
            yield message.type, described, at
    raise RefusalError(413, f"the stream has more than {MESSAGES_MAX:,} messages; send fewer, larger batches")


def _length(message: bytes, batch: int) -> int:
    at = _field(message, batch, LENGTH)
    return int(struct.unpack_from("<q", message, at)[0]) if at else 0


def _field(message: bytes, table: int, number: int) -> int:
    """Return where a Flatbuffer table's field lies; 0 if it is not there."""
    layout = table - struct.unpack_from("<i", message, table)[0]
    size, place = struct.unpack_from("<H", message, layout)[0], 4 + 2 * number
    offset = struct.unpack_from("<H", message, layout + place)[0] if place < size else 0
    return table + offset if offset else 0


def _table(message: bytes, table: int, number: int) -> int:
    at = _field(message, table, number)
    if not at:
        raise ValueError("a message has no batch")
    return at + int(struct.unpack_from("<I", message, at)[0])
