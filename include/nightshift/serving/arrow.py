"""Requests as Arrow IPC streams: for callers who have frames rather than objects.

A stream is foreign bytes that a C++ library looks into. So compression (which
may unfold into anything), nested and exotic types are refused before any value
is touched, and everything is validated before any value is believed.
"""

import math
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nightshift.predictions.record import Columns
from nightshift.serving.answers import RefusalError
from nightshift.serving.body import COLUMNS_MAX, check_count
from nightshift.serving.quick import Column, Floats

if TYPE_CHECKING:
    import pyarrow as pa

TEXT_BYTES_MAX = 4_096
MESSAGES_MAX = 10_000
HEADER, DICTIONARY_DATA, COMPRESSION = 2, 1, 3
"""Places of fields in Arrow's Message, DictionaryBatch and RecordBatch (format/Message.fbs)."""


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
        _refuse_compressed(body)
        reader = pa.ipc.open_stream(pa.BufferReader(body))
        _check_schema(reader.schema)
        table = reader.read_all()
        check_count(table.num_rows)
        table.validate(full=True)
        return table


def to_rows(table: "pa.Table") -> list[dict[str, Any]]:
    """Return the rows as they would have come as JSON; NaN is null. Raises what :func:`read_table` raises."""
    with _refusing():
        columns = [list(_values(column)) for column in table.columns]
    return [dict(zip(table.column_names, row, strict=True)) for row in zip(*columns, strict=True)]


def to_columns(table: "pa.Table", known: Columns) -> dict[str, Any] | None:
    """Return the columns as the short way takes them, none if it takes them not. Raises what :func:`read_table` raises.

    Numbers are float64 with NaN for null, categories text, times microseconds since 1970.
    """
    readers: dict[str, Any] = {name: _numbers if kind == "numeric" else _texts for name, kind in known.kinds.items()}
    readers |= {name: read for name, read in ((known.key, _keys), (known.time, _times)) if name}
    if not known.kinds.keys() <= set(table.column_names) <= readers.keys():
        return None
    with _refusing():
        columns = {name: readers[name](table[name]) for name in table.column_names}
    return None if any(column is None for column in columns.values()) else columns


@contextmanager
def _refusing() -> Iterator[None]:
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, ValueError, TypeError, OverflowError, OSError, KeyError, struct.error) as error:
        raise RefusalError(400, f"the body is no Arrow IPC stream: {str(error)[:200]}") from None


def _check_schema(schema: "pa.Schema") -> None:
    import pyarrow.types as kind

    if len(schema.names) > COLUMNS_MAX or len(set(schema.names)) < len(schema.names):
        raise RefusalError(422, f"the columns must have different names and be at most {COLUMNS_MAX:,}")
    simple = (kind.is_integer, kind.is_floating, kind.is_boolean, kind.is_string, kind.is_large_string, kind.is_null)
    for field in schema:
        is_category = kind.is_dictionary(field.type) and kind.is_string(field.type.value_type)
        if not (is_category or kind.is_timestamp(field.type) or any(is_it(field.type) for is_it in simple)):
            shown = f"{field.name[:80]!r} has type {str(field.type)[:80]}"
            raise RefusalError(422, f"{shown}; send numbers, booleans, text, dictionaries of text or timestamps")


def _values(column: "pa.ChunkedArray") -> Iterable[Any]:
    """Return a column's values as JSON would have brought them."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.types as kind

    texts = _texts(column)
    if texts is not None:
        return texts
    if kind.is_timestamp(column.type):
        moments = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False).to_pylist()
        return (None if moment is None else moment.isoformat() for moment in moments)
    if kind.is_floating(column.type):
        return (None if value is None or math.isnan(value) else value for value in column.to_pylist())
    values: list[Any] = column.to_pylist()
    return values


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


def _numbers(column: "pa.ChunkedArray") -> Floats | None:
    """Return a column of numbers; none if it is none, or of whole numbers that are too large to be exact."""
    import pyarrow as pa
    import pyarrow.types as kind

    if not (kind.is_floating(column.type) or kind.is_integer(column.type)):
        return None
    try:
        numbers: Floats = column.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
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
    times: Column = column.cast(pa.timestamp("us", column.type.tz), safe=False).cast(pa.int64()).to_pylist()
    return times


def _check_texts(texts: "pa.ChunkedArray") -> None:
    """Refuse long texts before they are copied out, which a dictionary may ask for any number of times."""
    import pyarrow.compute as pc

    longest = pc.max(pc.binary_length(texts)).as_py()
    if longest is not None and longest > TEXT_BYTES_MAX:
        raise RefusalError(422, f"a text has {longest:,} bytes, at most {TEXT_BYTES_MAX:,} are taken")


def _refuse_compressed(body: bytes) -> None:
    import pyarrow as pa

    messages = pa.ipc.MessageReader.open_stream(pa.BufferReader(body))
    for _ in range(MESSAGES_MAX):
        try:
            message = messages.read_next_message()
        except StopIteration:
            return
        if message.type != "schema" and _is_compressed(message.metadata.to_pybytes(), message.type == "dictionary"):
            raise RefusalError(415, "the stream is compressed; send it as it is")
    raise RefusalError(413, f"the stream has more than {MESSAGES_MAX:,} messages; send fewer, larger batches")


def _is_compressed(message: bytes, is_dictionary: bool) -> bool:
    """Return whether the batch that a message's Flatbuffer describes names a compression."""
    at = _table(message, struct.unpack_from("<I", message, 0)[0], HEADER)
    if is_dictionary:
        at = _table(message, at, DICTIONARY_DATA)
    return bool(_field(message, at, COMPRESSION))


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
