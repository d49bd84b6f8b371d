"""Three planted bugs, each found and named; and nothing found where nothing is wrong."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from nightshift.features.skew import skew

COLUMNS = ["distance", "departure_hour", "carrier_late_1d"]


def flights(count: int = 400) -> pd.DataFrame:
    chance = np.random.default_rng(7)
    return pd.DataFrame(
        {
            "flight_id": [f"f{number:03}" for number in range(count)],
            "carrier": chance.choice(["AA", "UA"], count),
            "distance": chance.integers(100, 3000, count).astype(float),
            "departure_hour": chance.integers(5, 23, count) + 0.25,
            "carrier_late_1d": chance.random(count),
        }
    )


def stale(rows: pd.DataFrame) -> pd.DataFrame:
    """Let the view of airlines stand still from the hundredth flight on."""
    last = rows.iloc[:100].groupby("carrier")["carrier_late_1d"].last()
    late = rows["carrier_late_1d"].where(rows.index < 100, rows["carrier"].map(last))
    return rows.assign(carrier_late_1d=late)


@pytest.mark.parametrize(
    ("bug", "column", "name"),
    [
        (lambda r: r.assign(distance=r["distance"] * 1.609344), "distance", "1.609 times as much: another unit"),
        (
            lambda r: r.assign(departure_hour=(r["departure_hour"] + 4) % 24),
            "departure_hour",
            "+4 hours on the clock: another time zone",
        ),
        (stale, "carrier_late_1d", "values of earlier moments: the view is stale online"),
        (lambda r: r.assign(carrier_late_1d=np.nan), "carrier_late_1d", "nothing was known online"),
    ],
)
def test_a_planted_bug_is_found_and_named(bug: Callable[[pd.DataFrame], pd.DataFrame], column: str, name: str) -> None:
    rows = flights()

    report = skew(bug(rows), rows, key="flight_id", columns=COLUMNS, entity_of={"carrier_late_1d": "carrier"})

    (found,) = report.columns
    assert (found.column, found.looks_like) == (column, name)
    assert found.share > 0.7
    assert report.share == found.share


def test_the_same_features_differ_nowhere() -> None:
    rows = flights().assign(carrier_late_1d=lambda r: r["carrier_late_1d"].where(r.index % 3 > 0))

    report = skew(rows.sample(frac=1, random_state=1), rows, key="flight_id", columns=COLUMNS, entity_of={})

    assert (report.rows, report.share, report.columns) == (400, 0.0, ())


def test_noise_has_no_name_and_an_example() -> None:
    rows = flights()
    noise = np.random.default_rng(3).normal(0, 5, len(rows))

    report = skew(rows.assign(distance=rows["distance"] + noise), rows, key="flight_id", columns=COLUMNS, entity_of={})

    (found,) = report.columns
    assert found.looks_like == ""
    assert found.example.startswith("f000: answered from")


def test_rows_that_only_one_side_has_are_not_compared() -> None:
    rows = flights()

    report = skew(rows.iloc[:30], rows.iloc[20:], key="flight_id", columns=COLUMNS, entity_of={})

    assert report.rows == 10
    assert skew(rows.iloc[:0], rows, key="flight_id", columns=COLUMNS, entity_of={}).rows == 0
