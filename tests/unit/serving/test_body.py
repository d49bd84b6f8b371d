"""What is no request says so; what is one comes out as it was sent."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.serving.answers import RefusalError
from nightshift.serving.body import COLUMNS_MAX, ROWS_MAX, Doubled, read_rows

numbers = st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
rows = st.lists(st.dictionaries(st.text(), values, max_size=5), min_size=1, max_size=4)


def status(body: bytes) -> int:
    try:
        read_rows(body)
    except RefusalError as refusal:
        return refusal.status
    return 200


@given(rows)
def test_rows_come_out_as_they_were_sent(sent: list[dict[str, object]]) -> None:
    assert read_rows(json.dumps({"rows": sent}).encode()) == sent


@given(st.binary(max_size=200))
def test_no_bytes_make_the_reader_fail_otherwise_than_by_refusing(body: bytes) -> None:
    assert status(body) in (200, 400, 413, 422)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"row":{"a":NaN}}',
        b'{"row":{"a":Infinity}}',
        b'{"row":{"a":-Infinity}}',
        b'{"row":{"a":01}}',
        b'{"row":{"a":+1}}',
        b'{"row":{"a":.5}}',
        b'{"row":{"a":0x10}}',
        b"{'row':{}}",
        b'{"row":{},}',
        b'{"row":{"a":"\x00"}}',
        b'{"row":{"a":"\\ud800"}}',
        b'{"row":{"a":"\xed\xa0\x80"}}',
        b'{"row":{}} {}',
        b"[" * 100_000,
        b'{"row":' + b'{"a":' * 100_000,
    ],
)
def test_what_is_no_json_is_a_bad_request(body: bytes) -> None:
    assert status(body) == 400


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        b"1",
        b'"row"',
        b"[]",
        b"{}",
        b'{"row":null}',
        b'{"row":[]}',
        b'{"rows":{}}',
        b'{"rows":[]}',
        b'{"rows":[1]}',
        b'{"rows":[[]]}',
        b'{"row":{},"rows":[{}]}',
        b'{"row":{},"x":1}',
        b'{"Row":{}}',
        b'{"row":{},"row":{}}',
    ],
)
def test_json_that_is_no_request_is_unprocessable(body: bytes) -> None:
    assert status(body) == 422


def test_more_rows_than_are_taken_are_too_large() -> None:
    assert status(b'{"rows":[' + b"{}," * ROWS_MAX + b"{}]}") == 413
    assert status(b'{"rows":[' + b"{}," * (ROWS_MAX - 1) + b"{}]}") == 200


def test_a_row_of_absurdly_many_columns_is_refused_before_each_is_judged() -> None:
    row = ",".join(f'"c{number}":1' for number in range(COLUMNS_MAX + 1))

    assert status(f'{{"row":{{{row}}}}}'.encode()) == 422


def test_names_given_twice_are_told_of_at_any_depth_without_failing() -> None:
    (row,) = read_rows(b'{"row":{"a":1,"b":2,"a":{"c":1,"c":2}}}')

    assert isinstance(row, Doubled)
    assert row.twice == ["a"]
    assert row["a"] == {"c": 2}


def test_a_number_of_ten_thousand_digits_is_read_in_no_time() -> None:
    (row,) = read_rows(b'{"row":{"a":' + b"9" * 10_000 + b"}}")

    assert row["a"] == float("inf")
