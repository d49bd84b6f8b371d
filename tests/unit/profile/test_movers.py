"""Who is named: the column that came loose, not those that went with it."""

import numpy as np
import pandas as pd
import pytest

from nightshift.profile.baseline import Baseline
from nightshift.profile.budget import Budget
from nightshift.profile.movers import Question
from nightshift.profile.profile import Profile
from nightshift.spec import Kind

WIDE = 40


def copies(rows: int, *, seed: int) -> pd.DataFrame:
    """Return four columns of which each says what the others are."""
    size = np.exp(np.random.default_rng(seed).normal(3, 0.5, rows))
    return pd.DataFrame({"size": size, "log": np.log(size), "less": -size, "whole": np.round(size)})


def together(rows: int, *, seed: int) -> pd.DataFrame:
    """Return many columns with a few causes."""
    chance, shape = np.random.default_rng(seed), np.random.default_rng(0)
    seen = chance.normal(size=(rows, 5)) @ shape.normal(size=(5, WIDE)) + chance.normal(size=(rows, WIDE))
    return pd.DataFrame(seen, columns=[f"c{place}" for place in range(WIDE)])


@pytest.mark.parametrize("loose", copies(1, seed=0))
def test_of_four_that_go_together_only_the_one_that_came_loose_is_named(loose: str) -> None:
    kinds = dict.fromkeys(copies(1, seed=0), Kind.NUMERIC)
    reference = Profile.of(copies(5000, seed=1), kinds)
    window = copies(300, seed=2)
    window[loose] = window[loose].sample(frac=1, random_state=3).to_numpy()

    question = Question(Baseline(reference, budget=Budget(0.005)), Profile.of(window, kinds, bins_of=reference))

    assert [mover.column for mover in question.broken_bonds(list(kinds))] == [loose]


def test_rows_that_were_learned_from_are_not_taken_to_be_foretold_better() -> None:
    kinds = dict.fromkeys(together(1, seed=0), Kind.NUMERIC)
    reference = Profile.of(together(2000, seed=1), kinds)
    bonds = Baseline(reference).bonds

    windows = [Profile.of(together(1500, seed=seed), kinds, bins_of=reference) for seed in range(2, 8)]
    found = [measures["bond"] for window in windows for measures in bonds.measures(window.sample).values()]

    sure = np.array([one.shift / one.variance**0.5 for one in found])
    assert abs(sure.mean()) < 0.3
