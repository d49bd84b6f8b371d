"""How columns go together: names are given the scores that the other columns tell most about."""

import numpy as np
import pandas as pd
import pytest

from nightshift.profile.profile import Profile
from nightshift.profile.together import Bonds
from nightshift.spec import Kind

SPEED = {"hill": -1.0, "town": 0.0, "road": 1.0}
KINDS = {"place": Kind.CATEGORICAL, "speed": Kind.NUMERIC}


def ways(rows: int = 3000, seed: int = 0) -> pd.DataFrame:
    chance = np.random.default_rng(seed)
    place = chance.choice(list(SPEED), rows)
    return pd.DataFrame({"place": place, "speed": pd.Series(place).map(SPEED) + chance.normal(0, 0.3, rows)})


def test_names_are_scored_by_what_the_other_columns_tell_of_them() -> None:
    reference = Profile.of(ways(), KINDS)

    first = Bonds.of(reference).tables["place"][:, 0]

    scores = dict(zip(reference.sample.names["place"], first, strict=False))
    counts = np.bincount(reference.sample.matrix[:, 0], minlength=len(first))
    assert abs(scores["town"]) < 0.2
    assert scores["hill"] * scores["road"] < -1
    assert counts @ first == pytest.approx(0, abs=1e-6)
    assert counts @ first**2 / counts.sum() == pytest.approx(1)
