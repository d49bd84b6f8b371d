"""Rows, profiles and contracts to test the profile room with."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from nightshift.profile.contract import Contract
from nightshift.profile.drift import DriftReport, compare
from nightshift.profile.profile import Profile
from nightshift.spec import Feature, Kind, Limits
from nightshift.verdict import Check, Status

FEATURES = {
    "speed": Feature(kind=Kind.NUMERIC, about="km/h"),
    "hour": Feature(kind=Kind.NUMERIC, missing="refuse", unseen="refuse"),
    "weather": Feature(kind=Kind.CATEGORICAL, missing="refuse", unseen="refuse"),
    "zone": Feature(kind=Kind.CATEGORICAL),
}
KINDS = {name: feature.kind for name, feature in FEATURES.items()}
IMPORTANCE = {"speed": 0.6, "hour": 0.2, "weather": 0.1, "zone": 0.1}


def trips(rows: int = 4000, *, seed: int = 0, **changes: Any) -> pd.DataFrame:
    """Return trips drawn from one law; a twentieth of the speeds is missing, ``changes`` replace columns."""
    chance = np.random.default_rng(seed)
    speed = chance.normal(20, 4, rows)
    speed[chance.random(rows) < 0.05] = np.nan
    return pd.DataFrame(
        {
            "speed": speed,
            "hour": chance.integers(0, 24, rows).astype(float),
            "weather": chance.choice(["dry", "snow", "wet"], rows, p=[0.6, 0.1, 0.3]),
            "zone": chance.choice(["east", "north", "west"], rows),
        }
        | changes
    )


def a_contract(**changes: Feature) -> Contract:
    """Return the contract of :func:`trips`."""
    return Contract.derive(Profile.of(trips(), KINDS), {**FEATURES, **changes})


def compared(window: pd.DataFrame, *, importance: Mapping[str, float] = IMPORTANCE) -> DriftReport:
    """Return how ``window`` compares with :func:`trips`."""
    reference = Profile.of(trips(), KINDS)
    current = Profile.of(window, KINDS, bins_of=reference)
    return compare(reference, current, importance=importance, limits=Limits())


def of_status(report: DriftReport, status: Status) -> list[Check]:
    """Return the checks of a report that say ``status``."""
    return [check for check in report.checks if check.status is status]
