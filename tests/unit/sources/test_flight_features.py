"""The example's features against a join by hand, against one query, and against the future."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.data import PROJECT, as_tables, at, flight_source, flight_spec
from nightshift.data.tables import How, assemble, assemble_live
from nightshift.pipelines.recipe import recipe, recipe_to_learn
from nightshift.settings import Settings

SPEC = flight_spec()
START, END, AS_OF = at("2013-06-11"), at("2013-06-14"), at("2013-06-20")
FEATURES = list(SPEC.features)
SETTINGS = Settings.load(project=PROJECT)
SERVICE = recipe(SPEC, SETTINGS)
FEW_AND_COARSE = {
    "carriers": ["AA", "UA"],
    "origins": ["EWR", "JFK"],
    "dests": ["LAX", "SFO"],
    "planes": ["N1", "N2", None],
}


def a_world(seed: int) -> dict[str, pd.DataFrame]:
    """Return twelve days of flights, weather and planes on a half-hour grid, so that moments often coincide."""
    chance = np.random.default_rng(seed)
    rows = 60
    departure = _grid(chance.integers(0, 12 * 48, rows))
    local = departure.tz_convert("America/New_York")
    delay = _spans(chance.integers(-1, 8, rows) + 60 * (chance.random(rows) < 0.1))
    arrival = departure + _spans(chance.integers(2, 12, rows))
    gone, ended = chance.random(rows) < 0.9, chance.random(rows) < 0.9
    flights = pd.DataFrame(
        {
            "flight_id": [f"f{number:03}" for number in range(rows)],
            "scheduled_departure": departure,
            "scheduled_arrival": arrival,
            "carrier": chance.choice(FEW_AND_COARSE["carriers"], rows),
            "flight": 1,
            "tailnum": chance.choice(FEW_AND_COARSE["planes"], rows),
            "origin": chance.choice(FEW_AND_COARSE["origins"], rows),
            "dest": chance.choice(FEW_AND_COARSE["dests"], rows),
            "distance": chance.integers(100, 3000, rows).astype(float),
            "hour": local.hour.astype(float),
            "minute": local.minute.astype(float),
            "weekday": local.dayofweek + 1.0,
            "departed_at": pd.Series(departure + delay).where(gone),
            "known_at": pd.Series(arrival + delay).where(gone & ended),
            "late": pd.Series(delay >= pd.Timedelta("1h"), dtype=float).where(gone & ended),
        }
    )
    return {"flights": flights, "weather": _weather(chance), "planes": _planes()}


def _grid(steps: Any) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.Timestamp(at("2013-06-02")) + _spans(steps)).as_unit("us")


def _spans(steps: Any) -> pd.TimedeltaIndex:
    return pd.to_timedelta(np.asarray(steps) * 30, unit="m")


def _weather(chance: np.random.Generator) -> pd.DataFrame:
    hours = pd.MultiIndex.from_product([FEW_AND_COARSE["origins"], range(0, 12 * 48, 2)], names=["origin", "step"])
    seen = hours.to_frame(index=False).sample(frac=0.2, random_state=int(chance.integers(1 << 31)))
    numbers = {name: chance.random(len(seen)).round(2) for name in ("humid", "precip", "pressure", "visib")}
    numbers["pressure"][chance.random(len(seen)) < 0.2] = np.nan
    return pd.DataFrame(
        {
            "origin": seen["origin"],
            "observed_at": _grid(seen["step"]),
            **numbers,
            "wind_speed": chance.choice([5.0, 1048.0], len(seen)),
            "wind_gust": chance.choice([20.0, np.nan], len(seen)),
        }
    )


def _planes() -> pd.DataFrame:
    return pd.DataFrame({"tailnum": ["N1", "N3"], "built": [1999.0, 2001.0], "seats": [100, 200]})


# ---------------------------------------------------------------- the join by hand


def by_hand(world: dict[str, pd.DataFrame], flight: pd.Series) -> dict[str, Any]:
    """Return a flight's features by looking at every row of the world, one by one."""
    moment = flight["scheduled_departure"] - timedelta(hours=2)
    flights, planes = world["flights"], world["planes"].set_index("tailnum")
    plane = planes.loc[flight["tailnum"]] if flight["tailnum"] in planes.index else None
    sky = _newest_sky(world["weather"], flight["origin"], moment)

    def share(column: str, **span: float) -> float:
        same = flights[flights[column] == flight[column]]
        known = same[(same["known_at"] <= moment) & (same["known_at"] > moment - timedelta(**span))]
        return known["late"].mean()

    gone = flights[flights["origin"] == flight["origin"]]
    gone = gone[(gone["departed_at"] <= moment) & (gone["departed_at"] > moment - timedelta(hours=3))]
    delay = (gone["departed_at"] - gone["scheduled_departure"]).dt.total_seconds() / 60
    return {
        "carrier": flight["carrier"],
        "origin": flight["origin"],
        "dest": flight["dest"],
        "departure_hour": flight["hour"] + flight["minute"] / 60,
        "weekday": flight["weekday"],
        "scheduled_minutes": (flight["scheduled_arrival"] - flight["scheduled_departure"]).total_seconds() / 60,
        "distance": flight["distance"],
        "plane_age": 2013 - plane["built"] if plane is not None else np.nan,
        "plane_seats": plane["seats"] if plane is not None else np.nan,
        "wind_speed": sky.get("wind_speed", np.nan) if sky.get("wind_speed", 0) < 150 else np.nan,
        "wind_gust": (0 if np.isnan(sky["wind_gust"]) else sky["wind_gust"]) if sky else np.nan,
        "precipitation": sky.get("precip", np.nan),
        "visibility": sky.get("visib", np.nan),
        "humidity": sky.get("humid", np.nan),
        "pressure_change_6h": _rise(world["weather"], flight["origin"], moment),
        "origin_delay_3h": delay.clip(-15, 180).mean(),
        "origin_late_3h": share("origin", hours=3),
        "origin_late_1d": share("origin", days=1),
        "dest_late_1d": share("dest", days=1),
        "dest_late_7d": share("dest", days=7),
        "carrier_late_1d": share("carrier", days=1),
        "carrier_late_7d": share("carrier", days=7),
    }


def _newest_sky(weather: pd.DataFrame, origin: str, moment: datetime, hours: float = 12) -> dict[str, float]:
    out = weather["observed_at"] + timedelta(hours=1)
    known = weather[(weather["origin"] == origin) & (out <= moment) & (out >= moment - timedelta(hours=hours))]
    return known.sort_values("observed_at").iloc[-1].to_dict() if len(known) else {}


def _rise(weather: pd.DataFrame, origin: str, moment: datetime) -> float:
    weather = weather.dropna(subset=["pressure"])
    now, before = (
        _newest_sky(weather, origin, then, hours=5.99).get("pressure", np.nan)
        for then in (moment, moment - timedelta(hours=6))
    )
    return now - before


def features_of(folder: Path, world: dict[str, pd.DataFrame], how: How = SERVICE) -> pd.DataFrame:
    rows = assemble(as_tables(folder, **world), SPEC, how, start=START, end=END, as_of=AS_OF)
    return rows.set_index("flight_id")


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_the_views_answer_what_a_join_by_hand_answers(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    world = a_world(seed)

    found = features_of(tmp_path_factory.mktemp("world"), world)

    flights = world["flights"].set_index("flight_id", drop=False)
    departures = flights["scheduled_departure"]
    asked = flights[(departures >= pd.Timestamp(START)) & (departures < pd.Timestamp(END)) & flights["late"].notna()]
    expected = pd.DataFrame([by_hand(world, flight) for _, flight in asked.iterrows()], index=asked["flight_id"])
    assert set(found.index) == set(expected.index)
    if len(expected):
        pd.testing.assert_frame_equal(
            found[FEATURES].sort_index(), expected[FEATURES].sort_index(), check_dtype=False, check_names=False
        )


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.data())
def test_nothing_that_became_known_later_changes_a_feature(
    tmp_path_factory: pytest.TempPathFactory, seed: int, data: st.DataObject
) -> None:
    world = a_world(seed)
    before = features_of(tmp_path_factory.mktemp("before"), world)
    if before.empty:
        return
    chosen = data.draw(st.sampled_from(sorted(before.index)))
    moment = before.loc[chosen, "scheduled_departure"] - timedelta(hours=2)

    after = features_of(tmp_path_factory.mktemp("after"), another_future(world, moment, keep=chosen))

    pd.testing.assert_series_equal(before.loc[chosen, FEATURES], after.loc[chosen, FEATURES])


def another_future(world: dict[str, pd.DataFrame], moment: pd.Timestamp, *, keep: str) -> dict[str, pd.DataFrame]:
    """Return a world with the same past and, after ``moment``, everything else."""
    flights, weather = world["flights"].copy(), world["weather"].copy()
    later = flights["known_at"] > moment
    flights.loc[later, "late"] = 1 - flights.loc[later, "late"]
    flights.loc[later, "known_at"] += pd.Timedelta("30m")
    left_later = flights["departed_at"] > moment
    flights.loc[left_later, "departed_at"] += pd.Timedelta("90m")
    unborn = (flights["scheduled_departure"] > moment) & (flights["flight_id"] != keep)
    flights = flights[~unborn | (flights.index % 2 == 0)]
    unseen = weather["observed_at"] + pd.Timedelta("1h") > moment
    weather.loc[unseen, ["humid", "precip", "pressure", "visib", "wind_gust"]] = 99.0
    return {**world, "flights": flights, "weather": weather}


def test_the_brute_law_itself_can_fail(tmp_path: Path) -> None:
    world = a_world(1)
    before = features_of(tmp_path / "before", world)
    moment = pd.Timestamp(START)

    after = features_of(tmp_path / "after", another_future(world, moment, keep=""))

    last = before.index.intersection(after.index)[-1]
    assert not before.loc[last, FEATURES].equals(after.loc[last, FEATURES]), "the future of START is this row's past"


# ---------------------------------------------------------------- on the real flights


def test_the_store_makes_the_frame_that_one_query_makes() -> None:
    days = {"start": at("2013-03-07"), "end": at("2013-03-12"), "lookback": SPEC.time.lookback}  # the clock changes
    expected = assemble_live(flight_source(), SPEC, SERVICE, **days)

    found = assemble_live(flight_source(), SPEC, recipe_to_learn(SPEC, SETTINGS), **days)

    pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert len(found) > 4000


def test_looking_at_rows_without_the_store_finds_what_the_store_finds(tmp_path: Path) -> None:
    world = a_world(5)

    found = features_of(tmp_path / "store", world, recipe_to_learn(SPEC, SETTINGS))

    pd.testing.assert_frame_equal(found, features_of(tmp_path / "join", world))
    assert len(found)


def test_a_replayed_day_has_the_features_it_was_trained_with(tmp_path: Path) -> None:
    source = flight_source()
    tables = source.extract(at("2013-07-01"), at("2013-07-14")) | source.static()
    day = {"start": at("2013-07-12"), "end": at("2013-07-13")}
    stored = assemble(as_tables(tmp_path, **tables), SPEC, SERVICE, **day, as_of=at("2013-07-20"))

    live = assemble_live(source, SPEC, SERVICE, **day, lookback=SPEC.time.lookback)

    asked = live[live["late"].notna()].reset_index(drop=True)
    pd.testing.assert_frame_equal(asked, stored)
    assert len(live) > len(stored) > 500


def test_looking_back_further_than_declared_changes_nothing() -> None:
    source = flight_source()
    day = {"start": at("2013-07-12"), "end": at("2013-07-13")}

    near, far = (
        assemble_live(source, SPEC, SERVICE, **day, lookback=span)
        for span in (SPEC.time.lookback, 2 * SPEC.time.lookback)
    )

    pd.testing.assert_frame_equal(near, far)


def test_refused_when_missing_is_never_missing() -> None:
    source = flight_source()

    rows = assemble_live(
        source, SPEC, SERVICE, start=at("2013-02-08"), end=at("2013-02-11"), lookback=SPEC.time.lookback
    )

    needed = [name for name, feature in SPEC.features.items() if feature.missing == "refuse"]
    assert rows[needed].notna().all().all()
