"""Entries survive being written down, and refuse what they cannot say."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.predictions import NOON, answered, columns, refused
from nightshift.errors import PredictionLogError
from nightshift.predictions.record import Flaw, decode, encode, micros, moment, outcome, records

text = st.text(max_size=30)
values = st.one_of(st.none(), st.floats(allow_nan=False, allow_infinity=False), text)


@given(st.lists(st.tuples(values, text), min_size=1, max_size=4), text, st.dictionaries(st.integers(0, 3), st.just([])))
def test_an_answer_is_read_back_as_it_was_written(
    rows: list[tuple[object, str]], key: str, flaws: dict[int, list[Flaw]]
) -> None:
    entry = answered(times=None, rows=[list(row) for row in rows], keys=[key] * len(rows), flaws=flaws)

    line = encode(entry)

    assert decode(line) == entry
    assert b"\n" not in line


def test_a_refusal_and_the_columns_are_read_back_as_they_were_written() -> None:
    for entry in (refused(), columns()):
        assert decode(encode(entry)) == entry


@pytest.mark.parametrize("line", [b"", b"{}", b"[1]", b'{"entry":"other"}', b"\xff", b"[" * 100_000])
def test_what_is_no_entry_is_refused_by_name(line: bytes) -> None:
    with pytest.raises(PredictionLogError, match="no entry"):
        decode(line)


@given(st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(9000, 1, 1)))  # noqa: DTZ001 - made aware below
def test_moments_keep_every_microsecond(naive: datetime) -> None:
    aware = naive.replace(tzinfo=UTC)

    assert moment(micros(aware)) == aware


def test_an_input_called_like_a_column_of_the_log_is_refused() -> None:
    with pytest.raises(PredictionLogError, match="at, version"):
        columns(kinds={"version": "numeric", "at": "numeric", "distance": "numeric"}).check()


def test_one_half_is_predicted_as_one() -> None:
    assert outcome(columns(), 0.5) == (1, 0.5, ())
    assert outcome(columns(), 0.4999) == (0, 0.4999, ())


def test_a_value_is_its_own_prediction() -> None:
    assert outcome(columns(task="regression"), -3.5) == (-3.5, None, ())


def test_each_row_of_an_answer_is_one_record_with_its_own_id() -> None:
    flaw = Flaw("carrier", "unseen", "ZZ")
    entry = answered(times=(NOON, None), rows=[(1.0, "UA"), (2.0, "ZZ")], keys=["f1", None], flaws={1: [flaw]})

    first, second = records(columns(), entry)

    assert (first.prediction_id, second.prediction_id) == ("a1-0", "a1-1")
    assert (first.key, second.key) == ("f1", None)
    assert second.time == second.at == NOON
    assert second.inputs == {"distance": 2.0, "carrier": "ZZ"}
    assert second.problems == (flaw,)


def test_a_refused_row_is_a_record_without_an_answer() -> None:
    (record,) = records(columns(), refused())

    assert record.refused
    assert record.prediction is record.probability is None
    assert record.prediction_id == "x1-2"
    assert record.sent == '{"distance":-5}'
