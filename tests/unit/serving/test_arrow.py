"""An Arrow stream brings the same rows as JSON; what may unfold into anything is refused unseen."""

import json
import math
import random
import struct
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from factories.serving import ROW, a_door, callers_rows, stream
from nightshift.predictions.record import Turned, micros
from nightshift.serving import arrow
from nightshift.serving.answers import RefusalError
from nightshift.serving.arrow import FEW_MESSAGES, TEXT_BYTES_MAX, count_values, read_table, to_rows
from nightshift.serving.body import ROWS_MAX
from nightshift.serving.thinking import admit_arrow
from nightshift.serving.validation import Admitted, TurnedAwayError

if TYPE_CHECKING:
    from nightshift.serving.loader import Live

NOW = micros(datetime(2026, 5, 1, tzinfo=UTC))


def read_arrow(body: bytes) -> list[dict[str, Any]]:
    return to_rows(read_table(body), a_door().columns)


def status(body: bytes) -> int:
    try:
        read_arrow(body)
    except RefusalError as refusal:
        return refusal.status
    return 200


def test_a_stream_brings_the_rows_that_json_would_have_brought() -> None:
    rows = callers_rows(50)

    from_arrow = a_door().admit_rows(read_arrow(stream(pa.Table.from_pylist(rows))), NOW)
    from_json = a_door().admit(json.dumps({"rows": rows}).encode(), NOW)

    assert from_arrow.rows == from_json.rows
    assert (from_arrow.keys, from_arrow.times, from_arrow.flaws) == (from_json.keys, from_json.times, from_json.flaws)


def test_timestamps_categories_and_nan_come_as_moments_text_and_null() -> None:
    table = pa.table(
        {
            "at": pa.array([datetime(2013, 5, 1, 10, tzinfo=UTC), None], pa.timestamp("ns", "America/New_York")),
            "zone": pa.array(["east", None]).dictionary_encode(),
            "distance": pa.array([float("nan"), 2.5], pa.float32()),
            "speed": pa.array([3, None], pa.uint8()),
        }
    )

    first, second = read_arrow(stream(table))

    assert datetime.fromisoformat(first["at"]) == datetime(2013, 5, 1, 10, tzinfo=UTC)
    assert (first["zone"], first["distance"], first["speed"]) == ("east", None, 3)
    assert second == {"at": None, "zone": None, "distance": 2.5, "speed": None}


def admitted(body: bytes) -> Any:
    """Return what the door says of a stream: rows, or why not."""
    door = a_door()
    return said(lambda: admit_arrow(cast("Live", SimpleNamespace(door=door, columns=door.columns)), body, NOW))


def the_long_way(body: bytes) -> Any:
    return said(lambda: a_door().admit_rows(read_arrow(body), NOW))


def said(ask: Callable[[], Admitted]) -> Any:
    try:
        found = ask()
    except TurnedAwayError as turned:
        return turned.rows
    except RefusalError as refusal:
        return refusal.status
    rows = [list(map(repr, row)) for row in found.rows]
    return rows, found.matrix.tobytes(), found.keys, found.times, found.flaws


def column(
    types: Sequence[pa.DataType], values: st.SearchStrategy[Any], *, rows: int, nulls: bool = True
) -> st.SearchStrategy[pa.Array]:
    """Return arrays of one of these types, or of the one that fits if it does not."""
    lists = st.lists(st.one_of(st.none(), values) if nulls else values, min_size=rows, max_size=rows)
    return st.tuples(st.sampled_from(types), lists).map(lambda drawn: fitting(*drawn))


def fitting(kind: pa.DataType, values: list[Any]) -> pa.Array:
    try:
        return pa.array(values, kind)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        return pa.array(values)


WHOLE = (pa.int8(), pa.uint8(), pa.int64(), pa.uint64())
NUMBERS = (pa.float64(), pa.float32(), *WHOLE)
TEXTS = (pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string()))
MOMENTS = (pa.timestamp("us", "UTC"), pa.timestamp("ns", "America/New_York"), pa.timestamp("s", "UTC"))
reals = st.sampled_from([0.0, -0.0, 4.0, 4.25, -1.0, 70.0, 5_000.0, 1e30, 1e308, math.nan, math.inf, -math.inf])
wholes = st.sampled_from([0, 1, 4, 60, 200, -1, 2**53 + 1, 2**62])
words = st.sampled_from(["east", "EAST", "nowhere", "", "a:b", "ß" * 300, "12"])
utc = st.sampled_from([datetime(2013, 5, 1, 10, 0, 0, 250_000, UTC), datetime(1970, 1, 1, tzinfo=UTC)])
far = st.sampled_from([datetime(1969, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)])
texts_of_time = st.sampled_from(["2013-05-01T10:00:00Z", "2013-05-01T10:00:00", "soon"])


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Draw columns as callers send them, mostly clean ones of the kinds that the model has, in any order."""
    rows = draw(st.integers(1, 4))
    each = partial(column, rows=rows)
    flags, texts, whole = each([pa.bool_()], st.booleans()), each(TEXTS, words), each(WHOLE, wholes)
    odd_number = st.one_of(each(NUMBERS, reals), whole, texts, flags)
    naive = each([pa.timestamp("us")], utc.map(lambda one: one.replace(tzinfo=None)))
    kinds = {
        "distance": (each(NUMBERS, st.sampled_from([4, 5_000, math.nan])), odd_number),
        "speed": (each(NUMBERS, st.just(4), nulls=False), odd_number),
        "weather": (each((pa.int64(), pa.float64()), st.sampled_from([1, 2]), nulls=False), odd_number),
        "zone": (each(TEXTS, st.sampled_from(["east", "west"])), st.one_of(texts, odd_number, naive)),
        "ride_id": (each(TEXTS, st.sampled_from(["a", "b:c"])), st.one_of(texts, odd_number)),
        "at": (each(MOMENTS, utc), st.one_of(naive, each(MOMENTS, far), each(TEXTS, texts_of_time), whole)),
        "else": (each(NUMBERS, reals), flags),
    }
    odd = draw(st.sets(st.sampled_from([*kinds]), max_size=2))
    left_out = draw(st.sampled_from([{"else"}] * 6 + [set(), {"else", "at"}, {"else", "ride_id"}, {"else", "zone"}]))
    columns = {name: draw(drawn[name in odd]) for name, drawn in kinds.items() if name not in left_out}
    return pa.table({name: columns[name] for name in draw(st.permutations(list(columns)))})


def with_column(name: str, values: pa.Array) -> pa.Table:
    clean = pa.Table.from_pylist([ROW] * len(values))
    return clean.set_column(clean.schema.get_field_index(name), name, values)


@example(with_column("at", pa.array([datetime(2013, 5, 1, 10)], pa.timestamp("us"))))  # noqa: DTZ001 - meant
@example(with_column("distance", pa.array([2**53 + 1])))
@example(with_column("ride_id", pa.array([True])))
@given(tables())
@settings(max_examples=400, deadline=None)
def test_whole_columns_are_answered_as_row_by_row(table: pa.Table) -> None:
    body = stream(table)

    assert admitted(body) == the_long_way(body)


@pytest.mark.parametrize("times", ["iso", "us", "ns"])
@pytest.mark.parametrize("texts", TEXTS)
@pytest.mark.parametrize("numbers", [pa.float64(), pa.float32()])
@pytest.mark.parametrize("chunks", [1, 3])
def test_clean_streams_take_the_short_way(
    monkeypatch: pytest.MonkeyPatch, times: str, texts: pa.DataType, numbers: pa.DataType, chunks: int
) -> None:
    table = pa.Table.from_pylist(callers_rows(50))
    for name in ("zone", "ride_id"):
        place = table.schema.get_field_index(name)
        table = table.set_column(place, name, pa.array(table[name].to_pylist(), texts))
    for name in ("distance", "speed", "weather"):
        table = table.set_column(table.schema.get_field_index(name), name, table[name].cast(numbers))
    if times != "iso":
        moment = [datetime.fromisoformat(text) for text in table["at"].to_pylist()]
        table = table.set_column(table.schema.get_field_index("at"), "at", pa.array(moment, pa.timestamp(times, "UTC")))
    body = stream(pa.concat_tables([table] * chunks))
    slowly = the_long_way(body)
    monkeypatch.setattr("nightshift.serving.thinking.to_rows", lambda *_: pytest.fail("took the long way"))

    assert admitted(body) == slowly
    assert len(slowly[0]) == 50 * chunks


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
@pytest.mark.parametrize("column", [pa.array(["x" * 1000] * 1000), pa.array(["x"] * 100).dictionary_encode()])
def test_a_compressed_stream_is_refused_before_it_unfolds(compression: str, column: pa.Array) -> None:
    assert status(stream(pa.table({"a": column}), compression=compression)) == 415


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1]]),
        pa.array([{"a": 1}]),
        pa.array([b"x"]),
        pa.array([datetime(2013, 5, 1).date()]),  # noqa: DTZ001 - a bare day is meant
        pa.array(["x"], pa.string_view()),
        pa.array([1]).dictionary_encode(),
        pa.array(["x" * 5_000]),
        pa.array(["x" * 5_000]).dictionary_encode(),
    ],
)
def test_types_and_texts_that_no_row_holds_are_refused(column: pa.Array) -> None:
    assert status(stream(pa.table({"a": column}))) == 422


def test_a_column_named_twice_is_refused() -> None:
    assert status(stream(pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]))) == 422


def test_columns_that_share_a_text_do_not_unfold_it_without_bound() -> None:
    words = pa.DictionaryArray.from_arrays(pa.array([0] * ROWS_MAX, pa.int8()), pa.array(["x" * TEXT_BYTES_MAX]))
    few = pa.DictionaryArray.from_arrays(pa.array([0, None] * 2_000, pa.int8()), pa.array(["x" * TEXT_BYTES_MAX]))

    assert status(stream(pa.table({"a": few}))) == 200
    assert status(stream(pa.table({str(number): few for number in range(3)}))) == 413
    assert status(stream(pa.table({"a": words}))) == 413


def test_a_stream_without_columns_is_refused() -> None:
    assert status(stream(pa.table({"a": pa.nulls(5)}).select([]))) == 422


def test_a_zone_that_nobody_knows_changes_no_moment_and_one_too_far_is_refused() -> None:
    seconds = pa.array([0, 2**62]).cast(pa.timestamp("s", "Nowhere/X"))
    near, far = (stream(with_column("at", seconds[number : number + 1])) for number in range(2))

    assert admitted(near)[3] == the_long_way(near)[3] == [0]
    assert admitted(far) == the_long_way(far)
    (turned,) = cast("list[Turned]", admitted(far))
    assert [(flaw.column, flaw.rule) for flaw in turned.flaws] == [("at", "time")]


def test_moments_of_two_lines_are_refused_as_in_json() -> None:
    texts = ["2013-05-01T10:00:00Z\n2013-05-01T10:00:00Z", *["2013-05-01T10:00:00Z"] * 9]
    body = stream(with_column("at", pa.array(texts)))

    assert admitted(body) == the_long_way(body)
    assert isinstance(admitted(body), list)


def test_a_key_that_json_cannot_hold_is_refused_in_arrow_too() -> None:
    body = stream(with_column("ride_id", pa.array([2**62])))
    as_json = json.dumps({"row": ROW | {"ride_id": 2**62}}).encode()

    (in_arrow,) = cast("list[Turned]", admitted(body))
    with pytest.raises(TurnedAwayError) as in_json:
        a_door().admit(as_json, NOW)

    assert in_arrow.flaws[0].allowed == in_json.value.rows[0].flaws[0].allowed
    assert "send longer ones as text" in str(in_arrow.flaws[0].allowed)


def test_compression_that_only_the_metadata_tells_of_is_refused_before_it_unfolds() -> None:
    """Arrow still reads what its version 0.16 wrote: 64 MB of zeros in some kilobytes."""
    batch = pa.record_batch([pa.array(np.zeros(64 * 1024 * 1024, np.int8))], names=["a"])
    sink = pa.BufferOutputStream()
    old = pa.ipc.IpcWriteOptions(metadata_version=pa.ipc.MetadataVersion.V4, compression="zstd")
    with pa.ipc.new_stream(sink, batch.schema, options=old) as writer:
        writer.write_batch(batch, custom_metadata={"ARROW:experimental_compression": "zstd"})
    body = bytearray(sink.getvalue().to_pybytes())
    for _, message, at in arrow._batches(bytes(body)):  # take the field out by which newer ones tell of it
        slot = at - struct.unpack_from("<i", message, at)[0] + 4 + 2 * arrow.COMPRESSION
        struct.pack_into("<H", body, bytes(body).find(message) + slot, 0)
    before = pa.default_memory_pool().max_memory()

    assert status(bytes(body)) == 415
    assert pa.default_memory_pool().max_memory() - before < 1024 * 1024


def test_columns_that_take_no_bytes_become_no_values_without_bound() -> None:
    wide = pa.table({f"c{number}": pa.nulls(1_000) for number in range(4_000)})
    long = pa.table({name: pa.nulls(10_000) for name in ("zone", *(f"c{number}" for number in range(200)))})

    assert status(stream(long)) == 413
    (*_, last) = read_arrow(stream(wide))
    assert len(last) == 100


def test_what_is_remembered_of_refused_rows_is_bounded_for_all_of_them() -> None:
    rows = with_column("zone", pa.array(["x" * 1_500] * 10_000).dictionary_encode())

    turned = cast("list[Turned]", admitted(stream(rows.append_column("more", pa.nulls(10_000)))))

    assert len(turned) == 10_000
    assert sum(len(row.sent) for row in turned) < 8 * 1024 * 1024
    assert len(turned[0].sent) > 1_500


def test_rows_are_counted_before_they_are_looked_at() -> None:
    assert status(stream(pa.table({"a": pa.nulls(ROWS_MAX + 1)}))) == 413
    assert status(stream(pa.table({"a": pa.nulls(0)}))) == 422


def test_values_are_counted_without_a_look_at_them() -> None:
    clean = pa.Table.from_pylist(callers_rows(3))
    with_words = clean.append_column("c", pa.array(["x"] * 3).dictionary_encode())
    many = pa.concat_tables([clean] * (FEW_MESSAGES + 1))
    of_rows = [count_values(stream(one), 10) / 10 for one in (clean, with_words, clean.slice(1), clean.slice(0, 0))]

    assert of_rows == [3, 3, 2, 0]
    assert count_values(stream(pa.concat_tables([clean] * 5)), 10) == 150
    assert count_values(stream(pa.table({str(number): pa.nulls(1_000) for number in range(12)})), 10) == 12_000
    assert count_values(stream(many), 10) == math.inf
    assert count_values(stream(clean)[:-200], 10) == math.inf
    assert count_values(b"no stream", 10) == math.inf


@pytest.mark.parametrize("claimed", [-1, 2**62])
def test_a_length_that_lies_is_no_small_one(claimed: int) -> None:
    body = stream(pa.table({"a": pa.nulls(77)}))

    lying = body.replace(struct.pack("<q", 77), struct.pack("<q", claimed))

    assert lying != body
    assert count_values(lying, 1) > 10_000
    assert status(lying) in (400, 413)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"ARROW1\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\xff\x10\0\0\0" + b"\0" * 16]
)
def test_what_is_no_stream_is_refused(body: bytes) -> None:
    assert status(body) in (400, 422)


def test_no_hurt_stream_does_more_than_being_refused() -> None:
    chance = random.Random(7)
    whole = stream(pa.Table.from_pylist(callers_rows(5)).append_column("c", pa.array(["x"] * 5).dictionary_encode()))
    for _ in range(3_000):
        hurt = bytearray(whole[: chance.choice([len(whole), chance.randrange(len(whole))])])
        for _ in range(chance.choice([0, 1, 3, 10]) if hurt else 0):
            hurt[chance.randrange(len(hurt))] = chance.randrange(256)
        assert status(bytes(hurt)) in (200, 400, 413, 415, 422)


def test_a_flag_is_no_number_in_arrow_either() -> None:
    with pytest.raises(RefusalError) as refused:
        a_door().admit_rows(read_arrow(stream(pa.Table.from_pylist([{**ROW, "distance": True}]))), NOW)

    assert [(problem.column, problem.rule) for problem in refused.value.problems] == [("distance", "type")]
