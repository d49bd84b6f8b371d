"""An Arrow stream brings the same rows as JSON; what may unfold into anything is refused unseen."""

import json
import random
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from factories.serving import ROW, a_door, callers_rows
from nightshift.predictions.record import micros
from nightshift.serving.answers import RefusalError
from nightshift.serving.arrow import read_arrow
from nightshift.serving.body import ROWS_MAX

NOW = micros(datetime(2026, 5, 1, tzinfo=UTC))


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


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


def test_rows_are_counted_before_they_are_looked_at() -> None:
    assert status(stream(pa.table({"a": pa.nulls(ROWS_MAX + 1)}))) == 413
    assert status(stream(pa.table({"a": pa.nulls(0)}))) == 422


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
