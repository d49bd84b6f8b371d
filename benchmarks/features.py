"""What the feature store costs beside what one would write by hand.

    .venv/bin/python benchmarks/features.py [--times 1 10 30] [--rows 2000] [--rounds 3]

Historical: flight_delay's weather and airlines' history joined to every flight
of 2013, and to ten and thirty years like it, by Feast as a build does it, and by
one hand-written DuckDB query with ASOF joins on the same tables in memory; they
take turns, and have to agree in all the query answers. Online: one row at a time from
SQLite and from a Redis server of its own (if ``redis-server`` is installed),
beside a bare read of the same rows with the same client, and what a row asked by
keys costs more than the same row sent whole.
"""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from factories.data import PROJECT, at, flight_source, flight_spec
from factories.redis import a_redis
from nightshift.data.tables import assemble_live, events_of, to_arrow, view_rows
from nightshift.features.declared import Service, ServiceOf, load_repository, load_service
from nightshift.features.online import Asked, Online, RedisOnline, SqliteOnline, micros, online_name, open_online
from nightshift.features.store import training_frame
from nightshift.pipelines.materialise import bring_online
from nightshift.pipelines.recipe import recipe
from nightshift.predictions.record import Columns
from nightshift.profile.contract import Contract
from nightshift.profile.profile import Profile
from nightshift.serving.lookup import Lookup
from nightshift.serving.validation import Door
from nightshift.settings import Settings

VIEWS = {"origin_weather": "origin", "carrier_history": "carrier"}
SPEC, YEAR = flight_spec(), 365
BY_HAND = """
SELECT e.*,
    CASE WHEN w.known_at + INTERVAL 12 HOURS >= e.event_timestamp THEN w.wind_speed END AS wind_speed,
    CASE WHEN w.known_at + INTERVAL 12 HOURS >= e.event_timestamp THEN w.wind_gust END AS wind_gust,
    CASE WHEN w.known_at + INTERVAL 12 HOURS >= e.event_timestamp THEN w.precipitation END AS precipitation,
    CASE WHEN w.known_at + INTERVAL 12 HOURS >= e.event_timestamp THEN w.visibility END AS visibility,
    CASE WHEN w.known_at + INTERVAL 12 HOURS >= e.event_timestamp THEN w.humidity END AS humidity,
    c.carrier_late_1d, c.carrier_late_7d
FROM events AS e
ASOF LEFT JOIN origin_weather AS w ON w.origin = e.origin AND w.known_at <= e.event_timestamp
ASOF LEFT JOIN carrier_history AS c ON c.carrier = e.carrier AND c.known_at <= e.event_timestamp
"""
NOW = micros(at("2026-01-01"))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--times", type=int, nargs="*", default=[1, 10, 30])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    print("| flights | rows of two views | Feast, s | by hand, s | ratio |\n|---|---|---|---|---|")
    for times in given.times:
        _historical(times, given.rounds if times < 30 else 1)
    print("\n| store | what | p50, ms | p99, ms | beside the bare read, p50 |\n|---|---|---|---|---|")
    with TemporaryDirectory() as folder:
        _online(f"sqlite:///{folder}/online.db", given.rows, _bare_sqlite)
    if shutil.which("redis-server"):
        with TemporaryDirectory() as kept, a_redis(Path(kept)) as address:
            _online(address, given.rows, _bare_redis)


# ---------------------------------------------------------------- historical


def _historical(times: int, rounds: int) -> None:
    declared = load_repository(PROJECT / "include" / "features")
    declared = declared.model_copy(update={"services": {"two": ServiceOf(views=tuple(VIEWS))}})
    service = Service("two", PROJECT / "include" / "features", declared)
    events, views = _tables(service, times)
    feast: list[float] = []
    hand: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        one = training_frame(service, events, views)
        feast.append(time.perf_counter() - began)
        began = time.perf_counter()
        other = _by_hand(events, views)
        hand.append(time.perf_counter() - began)
    _compare(one, other)
    rows = sum(view.num_rows for view in views.values())
    ratio = median(feast) / median(hand)
    print(
        f"| {events.num_rows:,} ({times}×) | {rows:,} | {median(feast):.1f} | {median(hand):.1f} | {ratio:.2f} |",
        flush=True,
    )


def _tables(service: Service, times: int) -> tuple[pa.Table, dict[str, pa.Table]]:
    """Return the year's events and views, and as many years like it after it."""
    source, start, end = flight_source(), at("2013-01-01"), at("2014-01-01")
    flights = events_of(source.extract(start, end), SPEC)[[SPEC.key, SPEC.time.column, "origin", "carrier"]]
    events = to_arrow(flights.assign(event_timestamp=flights[SPEC.time.column] - SPEC.time.known_before))
    views = view_rows(source, SPEC, service.queries, start=start, end=end)
    moments = {"events": [SPEC.time.column, "event_timestamp"]}
    return (
        _years(events, moments["events"], times),
        {name: _years(view, ["known_at"], times, before=end) for name, view in views.items()},
    )


def _years(table: pa.Table, moments: Sequence[str], times: int, *, before: datetime | None = None) -> pa.Table:
    if before is not None:  # what leaves a span after the year would meet the next year's rows
        table = table.filter(pc.less(table["known_at"], pa.scalar(before, table["known_at"].type)))
    found = []
    for number in range(times):
        year = table
        for name in moments:
            later = pc.add(table[name], pa.scalar(timedelta(days=YEAR * number), pa.duration("us")))
            year = year.set_column(year.column_names.index(name), name, later)
        found.append(year)
    return pa.concat_tables(found).combine_chunks()


def _by_hand(events: pa.Table, views: dict[str, pa.Table]) -> pa.Table:
    with duckdb.connect(config={"threads": 2}) as database:
        database.execute("SET TimeZone = 'UTC'")
        for name, table in {"events": events, **views}.items():
            database.register(name, table)
        return database.sql(BY_HAND).to_arrow_table()


def _compare(one: pa.Table, other: pa.Table) -> None:
    by = [(SPEC.key, "ascending"), ("event_timestamp", "ascending")]
    one, other = one.sort_by(by), other.sort_by(by)
    for name in ("wind_speed", "humidity", "carrier_late_1d", "carrier_late_7d"):
        assert one[name].combine_chunks().equals(other[name].combine_chunks()), name


# -------------------------------------------------------------------- online


def _online(address: str, rows: int, bare: Callable[[Online], Callable[[Sequence[Asked]], Any]]) -> None:
    settings = Settings.load(project=PROJECT, online=address)
    start, end = at("2013-07-08"), at("2013-07-13")
    bring_online(SPEC, settings, since=start, until=end)
    service, online = load_service(settings.features, SPEC.name), open_online(address)
    lookup = Lookup(service, online, key=SPEC.key, time=SPEC.time.column, known_before=SPEC.time.known_before)
    entities = _entities(service, start, end, rows)
    asked = [_asked(service, entity) for entity in entities]
    door, whole = _door(settings, start, end)
    by_keys = [json.dumps({"entities": [entity]}).encode() for entity in entities]
    floor = bare(online)
    # the machine's other work falls on all alike: they take turns, row by row
    took: dict[str, list[float]] = {"bare read": [], "store": [], "row by keys": [], "row sent whole": []}
    for number, question in enumerate(asked):
        for name, work, given in (
            ("bare read", floor, (question,)),
            ("store", online.read, (question,)),
            ("row by keys", lookup.admit, (door, by_keys[number], NOW)),
            ("row sent whole", door.admit, (whole[number % len(whole)], NOW)),
        ):
            began = time.perf_counter()
            work(*given)
            took[name].append((time.perf_counter() - began) * 1000)
    store = "Redis" if address.startswith("redis") else "SQLite"
    for name, found in took.items():
        ratio = median(found) / median(took["bare read"])
        print(f"| {store} | {name} | {median(found):.3f} | {quantiles(found, n=100)[98]:.3f} | {ratio:.1f} |")
    added = median(took["row by keys"]) - median(took["row sent whole"])
    print(f"| {store} | added to a served row | {added:.3f} | | |", flush=True)


def _entities(service: Service, start: datetime, end: datetime, count: int) -> list[dict[str, Any]]:
    events = events_of(flight_source().extract(start, end), SPEC).sample(count, random_state=1)
    names = list(dict.fromkeys([SPEC.key, SPEC.time.column, *service.keys, *service.request]))
    rows = events[names].astype(object).where(events[names].notna(), None).to_dict("records")
    return [{n: v.isoformat() if isinstance(v, datetime) else v for n, v in row.items()} for row in rows]


def _asked(service: Service, entity: dict[str, Any]) -> list[Asked]:
    moment = micros(datetime.fromisoformat(entity[SPEC.time.column]) - SPEC.time.known_before)
    return [Asked(online_name(service, view), str(entity[service.key_of(view)]), moment) for view in service.views]


def _door(settings: Settings, start: datetime, end: datetime) -> tuple[Door, list[bytes]]:
    """Return the door of a model on these rows, and the rows as a caller sends them whole."""
    rows = assemble_live(
        flight_source(), SPEC, recipe(SPEC, settings), start=start, end=end, lookback=SPEC.time.lookback
    )
    contract = Contract.derive(Profile.of(rows, SPEC.kinds), SPEC.features)
    contract = replace(contract, columns=tuple(replace(rule, missing="accept") for rule in contract.columns))
    kinds = {name: str(kind) for name, kind in SPEC.kinds.items()}
    columns = Columns(SPEC.name, "1", "ab" * 32, str(SPEC.task), kinds, SPEC.key, SPEC.time.column)
    door = Door(columns, contract, {rule.name: rule.categories for rule in contract.columns})
    sent = rows.drop(columns=[SPEC.label.column]).head(500)
    return door, [_body(row) for row in sent.astype(object).where(sent.notna(), None).to_dict("records")]


def _body(row: dict[str, Any]) -> bytes:
    return json.dumps(
        {"rows": [{n: v.isoformat() if isinstance(v, pd.Timestamp) else v for n, v in row.items()}]}
    ).encode()


def _bare_sqlite(online: Online) -> Callable[[Sequence[Asked]], Any]:
    assert isinstance(online, SqliteOnline)
    online.read([])
    database = online._mine.connection
    sql = "SELECT content FROM held WHERE view = ? AND key = ? AND seen <= ? ORDER BY seen DESC LIMIT 1"
    return lambda asked: [database.execute(sql, (one.view, one.key, one.moment)).fetchone() for one in asked]


def _bare_redis(online: Online) -> Callable[[Sequence[Asked]], Any]:
    assert isinstance(online, RedisOnline)

    def read(asked: Sequence[Asked]) -> Any:
        pipe = online._redis.pipeline(transaction=False)
        for one in asked:
            pipe.zrevrangebyscore(f"nightshift:{one.view}:{one.key}", one.moment, "-inf", start=0, num=1)
        return pipe.execute()

    return read


if __name__ == "__main__":
    main()
