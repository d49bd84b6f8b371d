"""Brought online piece by piece, a moment finds what a look at every fact would have said then."""

from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.data import at
from nightshift.features.declared import Declared, Service, ServiceOf, View
from nightshift.features.materialise import materialise
from nightshift.features.online import Asked, micros, online_name, open_online
from nightshift.spec import Owner

START = at("2013-05-01")
HOURS = st.integers(0, 12)
FACT = st.tuples(st.sampled_from(["AA", "UA"]), HOURS, HOURS, st.none() | st.floats(-5, 5))
"""Key, hour from which it holds, hour at which it was written, value."""


def at_hour(hour: int) -> datetime:
    return START + timedelta(hours=hour)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Return a service of one view whose values may come late or be corrected."""
    folder = tmp_path_factory.mktemp("features")
    (folder / "history.sql").write_text("SELECT 1")
    declared = Declared(
        owner=Owner(team="city", contact="city@example.org"),
        entities={"carrier": {"key": "carrier"}},  # type: ignore[dict-item]
        views={"history": View(version=1, entity="carrier", created="written", features={"value": ""})},
        services={"one": ServiceOf(views=("history",))},
    )
    return Service("one", folder, declared)


def table_of(facts: list[tuple]) -> pa.Table:
    keys, holds, written, values = zip(*facts, strict=True) if facts else ((), (), (), ())
    stamp = pa.timestamp("us", "UTC")
    return pa.table(
        {
            "carrier": pa.array(keys, pa.string()),
            "known_at": pa.array(map(at_hour, holds), stamp),
            "written": pa.array(map(at_hour, written), stamp),
            "value": pa.array(values, pa.float64()),
        }
    )


def by_hand(key: str, hour: int, facts: list[tuple]) -> tuple[int, list[float | None]] | None:
    known = [fact for fact in facts if fact[0] == key and fact[1] <= hour and fact[2] <= hour]
    newest = max(known, key=lambda fact: (fact[1], fact[2]), default=None)
    return (micros(at_hour(newest[1])), [newest[3]]) if newest else None


@settings(max_examples=25, deadline=None)
@given(
    st.lists(FACT, max_size=25, unique_by=lambda fact: fact[:3]), st.lists(HOURS, min_size=1, max_size=4, unique=True)
)
def test_increments_say_at_every_moment_what_all_facts_say(
    service: Service, facts: list[tuple], ends: list[int]
) -> None:
    ends = sorted(ends)
    with TemporaryDirectory() as folder:
        online = open_online(f"sqlite:///{Path(folder) / 'online.db'}")
        for before, end in zip([None, *ends], ends, strict=False):
            there = [fact for fact in facts if fact[2] <= end]  # what the source had by then
            after = None if before is None else at_hour(before)
            materialise(service, online, {"history": table_of(there)}, first=START, after=after, until=at_hour(end))
        moments = [(key, hour) for key in ("AA", "UA") for hour in range(ends[-1] + 1)]
        name = online_name(service, "history")

        answers, untils = online.read([Asked(name, key, micros(at_hour(hour))) for key, hour in moments])
        online.close()

    assert answers == [by_hand(key, hour, facts) for key, hour in moments]
    assert untils == {name: micros(at_hour(ends[-1]))}
