"""Specs, sources and rows to test the data room with."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nightshift.data.snapshot import write_table
from nightshift.data.source import Source, load_source
from nightshift.spec import ModelSpec, load_spec

PROJECT = Path(__file__).resolve().parents[2]
FLIGHT_QUERY = Path(__file__).with_name("flight_delay.sql")
"""The features of the example in one query, written apart from the store: what its views are held to."""
DAY = timedelta(days=1)

SIMPLE = """\
name: rides
purpose: Will a ride be cancelled?
owner: {team: city, contact: city@example.org}
task: binary
source: {module: rides, stale_after: 3d}
key: ride_id
time: {column: started}
label: {column: cancelled, matures_after: 1d}
features:
  distance: numeric
  zone: categorical
split: {train: 10d, validation: 5d, test: 5d, rows_min: 5}
"""


def at(text: str) -> datetime:
    """Return a moment in UTC: ``at("2013-05-01")`` or ``at("2013-05-01 12:30")``."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def a_spec(**changes: Any) -> ModelSpec:
    """Return the declaration of ``rides``; ``changes`` replace its top-level keys."""
    import yaml

    return ModelSpec.model_validate(yaml.safe_load(SIMPLE) | changes)


@cache
def flight_spec() -> ModelSpec:
    """Return the example's declaration."""
    return load_spec(PROJECT / "include" / "specs" / "flight_delay.yaml")


@cache
def flight_source() -> Source:
    """Return the example's source; it is read once for all tests."""
    return load_source(flight_spec(), PROJECT / "include" / "sources", PROJECT)


def rides(start: datetime, days: int, *, a_day: int = 4, seed: int = 0) -> pd.DataFrame:
    """Return ``a_day`` rides on each of ``days`` days, with the columns that the spec of ``rides`` names."""
    chance = np.random.default_rng(seed)
    rows = days * a_day
    when = pd.date_range(start, periods=rows, freq=DAY / a_day, unit="us")
    return pd.DataFrame(
        {
            "ride_id": [f"r{number:05}" for number in range(rows)],
            "started": when,
            "cancelled": chance.integers(0, 2, rows).astype(float),
            "distance": chance.normal(10, 3, rows),
            "zone": chance.choice(["north", "south"], rows).astype(object),
        }
    )


@dataclass
class FakeSource:
    """A source that holds its rows; it counts what is asked of it."""

    events: pd.DataFrame
    timeless: dict[str, pd.DataFrame] = field(default_factory=dict)
    asked: list[tuple[datetime, datetime]] = field(default_factory=list)

    def extract(self, start: datetime, end: datetime) -> dict[str, pd.DataFrame]:
        self.asked.append((start, end))
        within = (self.events["started"] >= pd.Timestamp(start)) & (self.events["started"] < pd.Timestamp(end))
        return {"rows": self.events[within]}

    def static(self) -> dict[str, pd.DataFrame]:
        return self.timeless


def as_tables(folder: Path, **tables: pd.DataFrame) -> Path:
    """Write each table as one partition and return the folder."""
    for name, frame in tables.items():
        write_table(folder / name / "2013-01-01.parquet", frame)
    return folder
