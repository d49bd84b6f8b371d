"""The door's verdict is the contract's, whichever way a request takes through it."""

import json
import math
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.serving import ROW, a_door, callers_rows
from nightshift.predictions.record import Columns, micros
from nightshift.profile.contract import ColumnRule, Contract
from nightshift.serving.answers import RefusalError
from nightshift.serving.body import read_rows
from nightshift.serving.quick import read_moment
from nightshift.serving.validation import FLAWS_OF_ALL_MAX, ROWS_TOLD_FULLY, Admitted, Door, TurnedAwayError
from nightshift.spec import Kind

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NAMES = ("distance", "speed", "weather", "zone")
HUGE = float(np.finfo(np.float32).max)


def admit(*rows: dict[str, Any]) -> Admitted:
    return a_door().admit(json.dumps({"rows": rows}).encode(), micros(NOW))


def problems(body: bytes) -> list[tuple[int, str, str]]:
    """Return (row, column, rule) of each reason for refusal; none if the request was let in."""
    try:
        a_door().admit(body, micros(NOW))
    except TurnedAwayError as turned:
        return [(problem.row, problem.column, problem.rule) for problem in turned.problems]
    return []


def with_raw(column: str, raw: str) -> bytes:
    """Return a clean row with one value as the caller wrote it."""
    clean = json.dumps({name: value for name, value in ROW.items() if name != column})
    return f'{{"row":{clean[:-1]},"{column}":{raw}}}}}'.encode()


def the_long_way(body: bytes) -> Admitted:
    return a_door().admit_rows(read_rows(body), micros(NOW))


def same(one: Admitted, other: Admitted) -> bool:
    return (
        [list(map(repr, row)) for row in one.rows] == [list(map(repr, row)) for row in other.rows]
        and np.array_equal(one.matrix, other.matrix, equal_nan=True)
        and (one.keys, one.times, one.flaws) == (other.keys, other.times, other.flaws)
    )


@pytest.mark.parametrize("others", [0, 1, 20])
def test_a_null_is_taken_for_its_default_and_told(others: int) -> None:
    rules = (
        ColumnRule("seats", Kind.NUMERIC, "default", "accept", 2.0, 450.0, default=150.0),
        ColumnRule("zone", Kind.CATEGORICAL, "default", "accept", categories=("east", "west"), default="west"),
    )
    columns = Columns("seats", "1", "ab" * 32, "binary", {"seats": "numeric", "zone": "categorical"}, "", "")
    door = Door(columns, Contract(rules), {"zone": ["east", "west"]})
    rows = [{"seats": None, "zone": None}, *[{"seats": 9.0, "zone": "east"}] * others]

    admitted = door.admit(json.dumps({"rows": rows}).encode(), micros(NOW))

    assert admitted.rows == [(150.0, "west"), *[(9.0, "east")] * others]
    assert admitted.matrix.tolist() == [[150.0, 1.0], *[[9.0, 0.0]] * others]
    assert [(flaw.column, flaw.rule, flaw.allowed) for flaw in admitted.flaws.pop(0)] == [
        ("seats", "null", "a value; 150.0 was taken"),
        ("zone", "null", "a value; west was taken"),
    ]
    assert admitted.flaws == {}


def test_a_clean_row_is_let_in_as_it_is() -> None:
    admitted = admit(ROW)

    assert admitted.rows == [(9.5, 20.0, 2.0, "east")]
    assert admitted.keys == ["r7"]
    assert admitted.times == [micros(datetime(2013, 5, 1, 10, tzinfo=UTC))]
    assert admitted.flaws == {}
    assert admitted.matrix.dtype == np.float32


def test_clean_requests_take_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nightshift.serving.validation.read_rows", lambda _body: pytest.fail("took the long way"))

    admitted = admit(*callers_rows(50))

    assert len(admitted.rows) == 50


@given(st.integers(0, 2**32))
@settings(max_examples=30)
def test_the_two_ways_lead_to_the_same_for_clean_rows(seed: int) -> None:
    chance = random.Random(seed)
    rows = [dict(chance.sample(list(row.items()), len(row))) for row in chance.sample(callers_rows(40), 5)]
    body = json.dumps({"rows": rows}).encode()

    assert same(a_door().admit(body, micros(NOW)), the_long_way(body))


odd_numbers = st.sampled_from([0, -0.0, 1e-320, 1e308, -1e308, 3.5e38, 2**53 + 1, 10**17, 10**30, 4.0, 4.000000001, -1])
odd_texts = st.sampled_from(
    ["east", "East", " east", "", "nowhere", "12", "NaN", "a:b", 'q"', "\\", "\x00", "\u202e", "ß" * 300, "\n{}"]
)
odd = st.one_of(
    st.none(),
    st.booleans(),
    odd_numbers,
    st.floats(allow_nan=False, allow_infinity=False),
    odd_texts,
    st.text(max_size=5),
    st.just([]),
    st.just({"a": 1}),
)
times = st.sampled_from(
    [
        "2013-05-01T10:00:00Z",
        "2013-05-01T10:00:00.5+05:30",
        "2013-W18-3T10:00:00Z",
        "2013-05-01",
        "2013-05-01T10:00:00",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "tomorrow",
        "",
    ]
)
odd_rows = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.one_of(st.just(ROW[name]), odd) for name in NAMES},
        "ride_id": odd,
        "at": st.one_of(times, odd),
        "Distance": odd,
        "zone ": odd,
        "": odd,
        '"key': odd,
    },
)


@given(st.lists(st.one_of(odd_rows, odd_rows.map(lambda row: {**ROW, **row})), min_size=1, max_size=4))
@settings(max_examples=300)
def test_both_ways_give_the_contracts_verdict_on_any_rows(rows: list[dict[str, Any]]) -> None:
    body = json.dumps({"rows": rows}).encode()
    contract = a_door().contract
    said = [
        (number, problem.column, problem.rule)
        for number, row in enumerate(rows)
        for problem in contract.check_row({name: value for name, value in row.items() if name not in ("ride_id", "at")})
        if problem.refused
    ]

    found = problems(body)

    assert [one for one in found if one[1] not in ("ride_id", "at") and one not in too_large(rows)] == said
    if not found:
        assert same(a_door().admit(body, micros(NOW)), the_long_way(body))


def too_large(rows: list[dict[str, Any]]) -> list[tuple[int, str, str]]:
    """Return the numbers beyond single precision: the model cannot compute with them, whatever the contract says."""
    return [
        (number, name, "range")
        for number, row in enumerate(rows)
        for name in ("distance", "weather")
        if isinstance(row.get(name), int | float) and abs(row[name]) > HUGE
    ]


@given(st.permutations(list(ROW)))
def test_the_order_of_columns_changes_nothing(names: list[str]) -> None:
    assert same(admit({name: ROW[name] for name in names}), admit(ROW))


@pytest.mark.parametrize(
    ("column", "raw", "rule"),
    [
        ("distance", "true", "type"),
        ("distance", '"12"', "type"),
        ("distance", '"12 "', "type"),
        ("distance", '"١٢٣"', "type"),
        ("distance", '""', "type"),
        ("distance", "[1]", "type"),
        ("distance", '{"a":1}', "type"),
        ("distance", "1e400", "finite"),
        ("distance", "-1e400", "finite"),
        ("distance", "9" * 10_000, "finite"),
        ("distance", "1e300", "range"),
        ("speed", "1000", "range"),
        ("weather", "null", "null"),
        ("zone", "1", "type"),
        ("zone", "true", "type"),
        ("zone", '"' + "x" * 257 + '"', "length"),
        ("zone", '"' + "x" * 1_000_000 + '"', "length"),
        ("ride_id", "1.5", "type"),
        ("ride_id", "false", "type"),
        ("ride_id", "[]", "type"),
        ("ride_id", '"' + "x" * 257 + '"', "length"),
        ("ride_id", "9" * 30, "type"),
        ("at", "1", "time"),
        ("at", '"2013-05-01T10:00:00"', "time"),
        ("at", '"2013-05-01"', "time"),
        ("at", '"9999-01-01T00:00:00Z"', "time"),
        ("at", '"1969-12-31T23:59:59Z"', "time"),
        ("at", '"0001-01-01T00:00:00+05:00"', "time"),
        ("at", "{}", "time"),
        ("wind", "1", "unknown"),
        ("Distance", "1", "unknown"),
        (" distance", "1", "unknown"),
        ("\\u0000", "1", "unknown"),
    ],
)
def test_a_value_that_is_not_allowed_is_named_with_its_rule(column: str, raw: str, rule: str) -> None:
    ((row, found, broken),) = problems(with_raw(column, raw))

    assert (row, broken) == (0, rule)
    assert found == column.replace("\\u0000", "\x00")


@pytest.mark.parametrize(
    ("column", "raw", "kept"),
    [
        ("distance", "-0.0", -0.0),
        ("distance", "1e-320", 1e-320),
        ("distance", "9007199254740993", 9007199254740992.0),
        ("distance", "7", 7.0),
        ("distance", "null", None),
        ("zone", '"nowhere"', "nowhere"),
        ("zone", '"\\u0065ast"', "east"),
        ("zone", '"line\\nend"', "line\nend"),
        ("zone", '"=cmd()"', "=cmd()"),
        ("zone", '"\\u202eevil"', "\u202eevil"),
        ("zone", '"a\\u0000b"', "a\x00b"),
        ("zone", '"🛬"', "🛬"),
        ("zone", '"e\u0301"', "e\u0301"),
        ("zone", '""', ""),
        ("zone", "null", None),
    ],
)
def test_a_value_that_is_allowed_is_kept_exactly(column: str, raw: str, kept: object) -> None:
    admitted = a_door().admit(with_raw(column, raw), micros(NOW))

    (row,) = admitted.rows
    found = row[NAMES.index(column)]
    assert (found, type(found)) == (kept, type(kept))
    assert math.copysign(1, found) == math.copysign(1, kept) if isinstance(kept, float) else True


def test_a_category_never_seen_is_flagged_and_becomes_no_other() -> None:
    admitted = admit({**ROW, "zone": "EAST"})

    (flaw,) = admitted.flaws[0]
    assert (flaw.column, flaw.rule, flaw.value, flaw.refused) == ("zone", "category", "EAST", False)
    assert np.isnan(admitted.matrix[0, NAMES.index("zone")])


def test_a_value_beyond_what_training_saw_is_flagged_where_the_contract_lets_it_pass() -> None:
    admitted = admit(ROW, {**ROW, "distance": 5_000.0})

    assert list(admitted.flaws) == [1]
    assert [(flaw.column, flaw.rule) for flaw in admitted.flaws[1]] == [("distance", "range")]


def test_every_problem_of_every_row_is_told_at_once() -> None:
    broken = {"distance": "far", "speed": -1, "weather": None, "wind": 3}

    with pytest.raises(TurnedAwayError) as turned:
        admit(ROW, broken, {**ROW, "speed": 1e6})

    assert [(problem.row, problem.column, problem.rule) for problem in turned.value.problems] == [
        (1, "distance", "type"),
        (1, "speed", "range"),
        (1, "weather", "null"),
        (1, "zone", "missing"),
        (1, "wind", "unknown"),
        (2, "speed", "range"),
    ]
    assert [row.row for row in turned.value.rows] == [1, 2]
    assert "2 of 3 rows" in turned.value.error


@pytest.mark.parametrize(
    "body",
    [
        b'{"row":{"distance":1,"distance":2,"speed":20,"weather":2,"zone":"east"}}',
        b'{"row":{"distance":1,"speed":20,"weather":2,"zone":"east","zone":"east"}}',
        b'{"row":{"distance":1,"speed":20,"weather":2,"zone":"east","at":"2013-05-01T10:00:00Z","at":"2013-05-01T10:00:00Z"}}',
        b'{"row":{"distance":1,"dis\\u0074ance":2,"speed":20,"weather":2,"zone":"east"}}',
        b'{"row":{"distance":1,"distance":"a:b","speed":20,"weather":2,"zone":"east","ride_id":"\\u003a\\u003a"}}',
    ],
)
def test_a_column_named_twice_is_refused_however_it_is_hidden(body: bytes) -> None:
    assert problems(body)[0][2] == "once"


def test_an_honest_key_full_of_colons_is_no_column_named_twice() -> None:
    assert admit({**ROW, "ride_id": "a:b:c"}).keys == ["a:b:c"]


def test_a_number_is_a_key_by_its_digits_and_null_is_none() -> None:
    assert admit({**ROW, "ride_id": 7}).keys == ["7"]
    assert admit({**ROW, "ride_id": None}).keys is None


@pytest.mark.parametrize("others", [[], [ROW]], ids=["alone", "among others"])
def test_an_empty_key_is_refused_since_no_label_could_find_it(others: list[dict[str, Any]]) -> None:
    with pytest.raises(TurnedAwayError) as turned:
        admit({**ROW, "ride_id": ""}, *others)

    (problem,) = turned.value.problems
    assert (problem.column, problem.rule, problem.value) == ("ride_id", "length", "")
    assert problem.allowed == "1 to 256 characters; leave it out if the row has none"


UNIVERSAL_TIMES = (
    "2013-05-01T10:00:00Z",
    "2013-05-01T10:00:00.000Z",
    "2013-02-28T23:59:59+00:00",
    "1970-01-01T00:00:00Z",
)
OTHER_TIMES = ("2013-05-01T10:00:00.25Z", "2013-05-01T12:00:00+02:00", "2013-05-01 10:00:00Z", "20130501T100000Z")
NO_TIMES = ("2013-02-29T10:00:00Z", "2013-05-01T24:00:01Z", "2013-05-01T10:00:60Z", "0000-01-01T00:00:00Z",
            "2013-05-01T10:00:00", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "２013-05-01T10:00:00Z")  # fmt: skip


@given(st.lists(st.sampled_from([*UNIVERSAL_TIMES, *OTHER_TIMES]), min_size=1, max_size=20))
def test_many_moments_are_read_as_each_is(times: list[str]) -> None:
    assert admit(*({**ROW, "at": time} for time in times)).times == [read_moment(time) for time in times]


@pytest.mark.parametrize("bad", NO_TIMES)
def test_one_moment_that_is_none_among_many_is_named(bad: str) -> None:
    with pytest.raises(TurnedAwayError) as turned:
        admit(*({**ROW, "at": time} for time in [*UNIVERSAL_TIMES * 5, bad]))

    (problem,) = turned.value.problems
    assert (problem.row, problem.column, problem.value) == (20, "at", bad)


def test_keys_and_times_may_be_left_out_or_null_row_by_row() -> None:
    bare = {name: ROW[name] for name in NAMES}

    admitted = admit(bare, {**bare, "ride_id": 7}, {**bare, "ride_id": None, "at": None})

    assert admitted.keys == [None, "7", None]
    assert admitted.times is None


def test_an_event_may_lie_ahead_but_not_years() -> None:
    soon, late = NOW + timedelta(days=300), NOW + timedelta(days=400)

    assert admit({**ROW, "at": soon.isoformat()}).times == [micros(soon)]
    with pytest.raises(TurnedAwayError):
        admit({**ROW, "at": late.isoformat()})


def odd_door(*rules: ColumnRule, key: str | None = None, time: str | None = None) -> Door:
    kinds = {rule.name: str(rule.kind) for rule in rules}
    columns = Columns("odd", "1", "", "binary", kinds, key, time)
    return Door(columns, Contract(rules), {rule.name: rule.categories for rule in rules if rule.categories})


NUMBER = ColumnRule("class", Kind.NUMERIC, "accept", "refuse", 0.0, 9.0)
TEXT = ColumnRule("from", Kind.CATEGORICAL, "accept", "accept", categories=("a:b", "c"))


@pytest.mark.parametrize(
    ("rules", "row"),
    [
        ((NUMBER,), {"class": 3.0}),
        ((TEXT,), {"from": "a:b"}),
        ((TEXT, NUMBER), {"from": "c", "class": None}),
        ((ColumnRule("rows", Kind.NUMERIC, "accept", "accept"),), {"rows": 1e30}),
        ((ColumnRule("row", Kind.NUMERIC, "accept", "accept", 1.0, 1.0),), {"row": 1.0}),
    ],
)
@pytest.mark.parametrize("count", [1, 3])
def test_any_kinds_and_names_of_columns_take_the_short_way(
    rules: tuple[ColumnRule, ...], row: dict[str, Any], count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, body = odd_door(*rules), json.dumps({"rows": [row] * count}).encode()
    slowly = door.admit_rows(read_rows(body), micros(NOW))
    monkeypatch.setattr("nightshift.serving.validation.read_rows", lambda _body: pytest.fail("took the long way"))

    assert same(door.admit(body, micros(NOW)), slowly)


@pytest.mark.parametrize("name", ["key", "time", '"key', '"time', "ride_id"])
def test_without_a_key_or_time_column_their_names_are_unknown_columns(name: str) -> None:
    with pytest.raises(TurnedAwayError) as turned:
        odd_door(NUMBER).admit(json.dumps({"row": {"class": 1, name: "x"}}).encode(), micros(NOW))

    assert [(problem.column, problem.rule) for problem in turned.value.problems] == [(name, "unknown")]


def test_a_category_the_contract_knows_and_the_model_does_not_is_let_in_as_unknown_to_the_model() -> None:
    columns = Columns("odd", "1", "", "binary", {"from": "categorical"})
    door = Door(columns, Contract((TEXT,)), {"from": ("c",)})

    admitted = door.admit(b'{"rows":[{"from":"a:b"},{"from":"c"}]}', micros(NOW))

    assert np.array_equal(admitted.matrix, np.array([[np.nan], [0.0]], dtype=np.float32), equal_nan=True)
    assert admitted.flaws == {}


def test_too_many_rows_are_refused_on_the_short_way_too() -> None:
    with pytest.raises(RefusalError) as refused:
        admit(*[ROW] * 10_001)

    assert refused.value.status == 413


def test_what_is_told_and_kept_of_a_refusal_is_bounded() -> None:
    row = {**{f"c{number}": "x" * 500 for number in range(1_000)}, "zone": "y" * 1_000_000}

    with pytest.raises(TurnedAwayError) as turned:
        admit(*[row] * 12)

    assert len(turned.value.body) < 400_000
    assert all(len(kept.sent) <= 4_096 for kept in turned.value.rows)


def test_of_thousands_of_rows_the_later_ones_keep_the_first_reason_only() -> None:
    with pytest.raises(TurnedAwayError) as turned:
        admit(*[{}] * 6_000, {**ROW, "distance": 5_000.0, "speed": -1, "wind": 3})

    kept = [len(row.flaws) for row in turned.value.rows]
    assert (kept[0], len(kept)) == (len(NAMES), 6_001)
    assert FLAWS_OF_ALL_MAX <= sum(kept) < FLAWS_OF_ALL_MAX + len(kept)
    assert [(flaw.column, flaw.rule) for flaw in turned.value.rows[-1].flaws] == [("speed", "range")]


@pytest.mark.parametrize("way", ["short", "long"])
def test_what_a_column_takes_is_not_told_for_thousands_of_rows(way: str) -> None:
    rows = [{**ROW, "zone": "nowhere"}] * (ROWS_TOLD_FULLY + 2)

    flaws = (admit(*rows) if way == "short" else the_long_way(json.dumps({"rows": rows}).encode())).flaws

    told = [flaw.allowed for number in sorted(flaws) for flaw in flaws[number]]
    assert told[:ROWS_TOLD_FULLY] == [["centre", "east", "harbour", "north", "south", "west"]] * ROWS_TOLD_FULLY
    assert told[ROWS_TOLD_FULLY:] == ["a value of the column; GET /v1/models/rides tells them"] * 2


def test_a_refusals_json_holds_what_cannot_be_said_in_json() -> None:
    with pytest.raises(TurnedAwayError) as turned:
        a_door().admit(with_raw("distance", "1e400"), micros(NOW))

    told = json.loads(turned.value.body)
    assert told["problems"][0]["value"] == "inf"
