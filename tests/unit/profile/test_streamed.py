"""Rows in batches: any values, any parting, and the profile of the whole."""

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.profile import KINDS, trips
from factories.rows import HOSTILE, hostile, profiled
from nightshift.errors import ProfileError, RowsError
from nightshift.profile import column as column_room
from nightshift.profile import streamed
from nightshift.profile.profile import Profile
from nightshift.spec import Kind

floats = st.none() | st.floats(width=32) | st.sampled_from([float("inf"), -0.0, 1e300])
moments = st.none() | st.integers(-(2**53), 2**53)
texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=6)
rows = st.lists(
    st.tuples(floats, moments, st.none() | st.booleans(), texts, st.none() | st.integers(-(2**63), 2**63 - 1)),
    max_size=30,
)
SCHEMA = pa.schema(
    {"x": pa.float64(), "at": pa.timestamp("us"), "flag": pa.bool_(), "who": pa.string(), "id": pa.int64()}
)


def table_of(found: list[tuple]) -> pa.Table:
    return pa.table([pa.array([row[place] for row in found], kind.type) for place, kind in enumerate(SCHEMA)], SCHEMA)


def counted(profile: Profile) -> dict:
    """Return what must be the same for merged parts: everything but which rows are kept."""
    return {**profile.to_json(), "sample": sorted(profile.sample.names)}


@settings(deadline=None, max_examples=40)
@given(rows, st.integers(1, 40))
def test_how_rows_are_cut_into_batches_changes_nothing(found: list[tuple], batch: int) -> None:
    table = table_of(found)

    assert profiled(table, batch=batch) == profiled(table)


@settings(deadline=None, max_examples=40)
@given(rows, rows, rows)
def test_merged_parts_are_the_whole_in_any_order_and_grouping(one: list, two: list, three: list) -> None:
    whole = profiled(table_of([*one, *two, *three]))
    a, b, c = (profiled(table_of(part), like=whole) for part in (one, two, three))

    assert counted(a.merge(b).merge(c)) == counted(a.merge(b.merge(c))) == counted(c.merge(a).merge(b))
    assert counted(a.merge(b).merge(c)) == counted(whole)


def test_columns_that_are_too_many_valued_for_one_pass_are_counted_in_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_room, "EXACT", 50)
    monkeypatch.setattr(column_room, "EXACT_NAMES", 50)
    monkeypatch.setattr(streamed, "CHUNK", 64)
    monkeypatch.setattr(streamed, "PILOT", 100)
    chance = np.random.default_rng(0)
    number = chance.normal(size=1000)
    table = pa.table({"number": number, "name": [f"n{one}" for one in range(1000)], "few": np.arange(1000) % 7})

    found, parted = profiled(table), profiled(table, batch=17)

    assert found == parted
    assert sum(found.columns["number"].bins) == found.columns["number"].known == 1000
    assert found.columns["number"].mean == pytest.approx(number.mean(), abs=1e-6)
    assert found.columns["number"].quantile(0.5) == pytest.approx(np.median(number), abs=0.2)
    assert (found.columns["number"].lowest, found.columns["number"].highest) == (number.min(), number.max())
    assert found.columns["name"].distinct.estimate == 1000
    assert found.columns["few"].counts == {
        "0.0": 143,
        "1.0": 143,
        "2.0": 143,
        "3.0": 143,
        "4.0": 143,
        "5.0": 143,
        "6.0": 142,
    }


def test_what_fails_while_the_next_rows_are_read_is_told_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streamed, "CHUNK", 10)
    table = pa.table({"x": range(30)})

    def torn(names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from table.select(list(names)).to_batches(max_chunksize=10)[:2]
        raise RowsError("the third batch is damaged")

    with pytest.raises(RowsError, match="the third batch is damaged"):
        streamed.profile_rows(table.schema, len(table), torn)


def test_a_profile_in_batches_is_that_of_the_frame() -> None:
    frame = trips(3000)

    found = profiled(pa.Table.from_pandas(frame, preserve_index=False), batch=100)

    whole = Profile.of(frame, KINDS)
    for name, column in whole.columns.items():
        own = found.columns[name].to_json()
        assert {**own, "types": None} == {**column.to_json(), "types": None}


@pytest.mark.parametrize("name", HOSTILE)
def test_every_kind_of_value_is_counted_and_survives_json(name: str) -> None:
    profile = profiled(hostile().select([name]))
    column = profile.columns[name]

    assert column.rows == 4
    assert column.known + column.missing + column.infinite == 4
    assert column.kind is Kind.CATEGORICAL or sum(column.bins) == column.known
    assert Profile.from_json(json.loads(json.dumps(profile.to_json(), allow_nan=False))) == profile


@pytest.mark.parametrize(
    ("name", "distinct"),
    [("huge", 3), ("unsigned", 4), ("tiny", 3), ("flag", 2), ("money", 2), ("moment", 2), ("day", 3), ("text", 3),
     ("nothing", 0), ("all_null", 0), ("bytes", 2), ("coded", 2), ("odd", 1), ("__proto__", 4)],
)  # fmt: skip
def test_distinct_values_are_told_apart_whatever_their_type(name: str, distinct: int) -> None:
    assert profiled(hostile().select([name])).columns[name].distinct.estimate == distinct


def test_times_are_microseconds_and_keep_their_ends() -> None:
    found = profiled(hostile().select(["moment", "day"])).columns

    assert found["moment"].lowest == 1_369_051_200_000_000
    assert found["moment"].highest == 1_369_051_200_000_001
    assert found["moment"].types == {"time": 3}
    assert found["day"].highest == 253_402_214_400_000_000


def test_nan_is_missing_but_told_apart_from_null() -> None:
    found = profiled(pa.table({"x": [float("nan"), None, 1.0]})).columns["x"]

    assert (found.missing, dict(found.types)) == (2, {"nan": 1, "number": 1})


def test_many_whole_numbers_beyond_what_floats_tell_apart_are_counted_apart() -> None:
    table = pa.table({"id": pa.array(range(2**60, 2**60 + 50_000), pa.int64())})

    found = profiled(table).columns["id"]

    assert found.distinct.estimate == pytest.approx(50_000, rel=0.06)
    assert sum(found.bins) == 50_000


def test_a_hundred_thousand_categories_are_counted_and_only_the_frequent_kept() -> None:
    names = [f"n{one}" for one in range(100_000)] + ["often"] * 500

    found = profiled(pa.table({"name": names})).columns["name"]

    assert found.distinct.estimate == pytest.approx(100_001, rel=0.06)
    assert found.counts["often"] == 500
    assert len(found.counts) <= 10_000
    assert found.rows == 100_500


def test_no_row_is_a_profile_too() -> None:
    found = profiled(hostile().slice(0, 0))

    assert found.rows == 0
    assert all(column.rows == 0 and column.mean is None for column in found.columns.values())
    assert Profile.from_json(found.to_json()) == found


@pytest.mark.parametrize("value", [[[1, 2]], [{"a": 1}]])
def test_a_column_that_holds_others_is_refused_and_says_what_to_do(value: list) -> None:
    with pytest.raises(ProfileError, match=r"column 'deep' is (list|struct)<.*--without 'deep'"):
        profiled(pa.table({"deep": value}))


def test_a_name_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ProfileError, match="column 'a' is there twice"):
        profiled(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]))


def test_rows_of_another_shape_are_not_counted_on_a_given_profile() -> None:
    like = profiled(pa.table({"a": [1.0], "b": ["x"]}))

    with pytest.raises(ProfileError, match="lack b and also have c"):
        profiled(pa.table({"a": [1.0], "c": ["x"]}), like=like)
    with pytest.raises(ProfileError, match="column 'b' is numeric; expected categorical"):
        profiled(pa.table({"a": [1.0], "b": [1.0]}), like=like)
