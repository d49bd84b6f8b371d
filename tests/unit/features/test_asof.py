"""The join by moment against a join that looks at every row."""

from datetime import timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.data import at
from nightshift.errors import FeatureError
from nightshift.features.asof import Rows, join

START = at("2013-05-01")
STAMP = pa.timestamp("us", "UTC")
MOMENTS = st.integers(0, 12).map(lambda hours: START + timedelta(hours=hours))
KEYS = st.sampled_from(["AA", "UA", None])
EVENT = st.tuples(KEYS, MOMENTS)
FACT = st.tuples(st.sampled_from(["AA", "UA"]), MOMENTS, MOMENTS, st.none() | st.floats(-5, 5))
TTL = st.none() | st.integers(1, 12).map(lambda hours: timedelta(hours=hours))


def events_of(rows: list[tuple]) -> pa.Table:
    keys, moments = zip(*rows, strict=True) if rows else ((), ())
    return pa.table({"carrier": pa.array(keys, pa.string()), "moment": pa.array(moments, STAMP)})


def a_view(facts: list[tuple], *, ttl: timedelta | None, is_corrected: bool) -> Rows:
    keys, holds, written, values = zip(*facts, strict=True) if facts else ((), (), (), ())
    table = pa.table(
        {
            "name": pa.array(keys, pa.string()),
            "known_at": pa.array(holds, STAMP),
            "written": pa.array(written, STAMP),
            "value": pa.array(values, pa.float64()),
        }
    )
    created = "written" if is_corrected else None
    return Rows("history", table, {"name": "carrier"}, ["value"], "known_at", created, ttl)


def by_hand(event: tuple, facts: list[tuple], *, ttl: timedelta | None, is_corrected: bool) -> float | None:
    """Return what the newest of all facts says that could be known; null if it is over."""
    key, moment = event
    known = [f for f in facts if f[0] == key and f[1] <= moment and (f[2] <= moment or not is_corrected)]
    if not known:
        return None
    newest = max(known, key=lambda fact: (fact[1], fact[2]))
    return newest[3] if ttl is None or newest[1] + ttl >= moment else None


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENT, max_size=20), st.lists(FACT, max_size=30, unique_by=lambda f: f[:3]), TTL)
def test_late_and_corrected_rows_count_from_when_they_were_written(
    events: list[tuple], facts: list[tuple], ttl: timedelta | None
) -> None:
    found = join(events_of(events), [a_view(facts, ttl=ttl, is_corrected=True)], moment="moment")

    assert found.column("value").to_pylist() == [by_hand(e, facts, ttl=ttl, is_corrected=True) for e in events]
    assert found.column("carrier").to_pylist() == [key for key, _ in events], "the order of the events stays"


@settings(max_examples=60, deadline=None)
@given(st.lists(EVENT, max_size=20), st.lists(FACT, max_size=30, unique_by=lambda f: f[:2]), TTL)
def test_the_newest_row_of_the_key_counts_until_its_end(
    events: list[tuple], facts: list[tuple], ttl: timedelta | None
) -> None:
    found = join(events_of(events), [a_view(facts, ttl=ttl, is_corrected=False)], moment="moment")

    assert found.column("value").to_pylist() == [by_hand(e, facts, ttl=ttl, is_corrected=False) for e in events]


@pytest.mark.parametrize(("late", "expected"), [(timedelta(0), 1.0), (timedelta(microseconds=1), None)])
def test_a_row_holds_to_the_last_microsecond_of_its_time(late: timedelta, expected: float | None) -> None:
    view = a_view([("AA", START, START, 1.0)], ttl=timedelta(hours=12), is_corrected=False)

    found = join(events_of([("AA", START + timedelta(hours=12) + late)]), [view], moment="moment")

    assert found.column("value").to_pylist() == [expected]


def test_an_expired_row_is_not_replaced_by_an_older_one() -> None:
    facts = [("AA", START, START, 1.0), ("AA", START + timedelta(hours=1), START, None)]

    found = join(
        events_of([("AA", START + timedelta(hours=2))]), [a_view(facts, ttl=None, is_corrected=False)], moment="moment"
    )

    assert found.column("value").to_pylist() == [None]


@pytest.mark.parametrize("is_corrected", [False, True])
def test_two_rows_that_may_both_be_true_are_refused(is_corrected: bool) -> None:
    view = a_view([("AA", START, START, 1.0), ("AA", START, START, 2.0)], ttl=None, is_corrected=is_corrected)

    with pytest.raises(FeatureError, match="view history: 2 rows of AA, 2013-05-01"):
        join(events_of([("AA", START)]), [view], moment="moment")


def test_two_views_are_joined_each_by_its_own_key() -> None:
    one = a_view([("AA", START, START, 1.0)], ttl=None, is_corrected=False)
    other = Rows(
        "other", one.table.rename_columns(["name", "known_at", "written", "more"]), {"name": "to"}, ["more"], "known_at"
    )
    events = events_of([("AA", START), ("UA", START)]).append_column("to", pa.array(["UA", "AA"]))

    found = join(events, [one, other], moment="moment")

    assert found.select(["value", "more"]).to_pylist() == [{"value": 1.0, "more": None}, {"value": None, "more": 1.0}]
