import numpy as np
import pandas as pd
import pytest
from scipy import stats

from factories.model import START
from nightshift.interval import Interval
from nightshift.model.bootstrap import DAYS_MIN, Resampling
from nightshift.model.metrics import measure
from nightshift.spec import Task


def times(days: int, a_day: int) -> "pd.Series[pd.Timestamp]":
    return pd.Series(pd.date_range(START, periods=days * a_day, freq=pd.Timedelta(days=1) / a_day, unit="us"))


def mean_of(values: np.ndarray, resampling: Resampling) -> Interval:
    zeros = np.zeros(len(values))
    found = resampling.interval(measure("mae", Task.REGRESSION, zeros, values, resampling.units, classes=0))
    assert found
    return found


def test_days_are_drawn_whole_where_there_are_enough() -> None:
    assert Resampling.of(times(DAYS_MIN, 5), seed=0).what == "days"
    assert Resampling.of(times(DAYS_MIN, 5), seed=0).count == DAYS_MIN
    assert Resampling.of(times(DAYS_MIN - 1, 5), seed=0).what == "rows"


def test_rows_of_one_day_that_fail_together_make_the_interval_wider() -> None:
    chance, moments = np.random.default_rng(0), times(20, 50)
    together = np.repeat(chance.exponential(1, 20), 50)
    apart = chance.permutation(together)

    wide = mean_of(together, Resampling.of(moments, seed=0))
    narrow = mean_of(apart, Resampling.of(moments, seed=0))

    assert wide.value == pytest.approx(narrow.value)
    assert wide.high - wide.low > 3 * (narrow.high - narrow.low)


@pytest.mark.parametrize(("days", "a_day"), [(10, 30), (40, 10), (1, 200)])
def test_intervals_hold_the_truth_as_often_as_they_promise(days: int, a_day: int) -> None:
    """Of many samples from one world some 95 in 100 intervals hold its mean; 500 samples leave ±2 in 100 to luck."""
    chance, moments = np.random.default_rng(7), times(days, a_day)
    held = 0
    for sample in range(500):
        day = np.repeat(chance.normal(0, 0.5, days), a_day)
        values = 10 + (day if days > 1 else 0) + chance.normal(0, 1, days * a_day)
        found = mean_of(values, Resampling.of(moments, seed=sample))
        held += found.low <= 10 <= found.high

    assert 0.92 <= held / 500 <= 0.98


def test_the_interval_of_a_mean_is_what_theory_says() -> None:
    values = np.abs(np.random.default_rng(3).normal(5, 1, 400))
    reach = stats.t.ppf(0.975, 399) * values.std(ddof=1) / np.sqrt(400)

    found = mean_of(values, Resampling.of(times(1, 400), seed=0))

    assert found.high - found.value == pytest.approx(reach, rel=0.15)
    assert found.value - found.low == pytest.approx(reach, rel=0.15)


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    values, moments = np.random.default_rng(1).exponential(1, 200), times(1, 200)

    first, again, other = (mean_of(values, Resampling.of(moments, seed=seed)) for seed in (1, 1, 2))

    assert first == again
    assert first != other


def test_pairs_are_drawn_together() -> None:
    """Two models that differ by a constant differ by it in every resample."""
    values, moments = np.random.default_rng(1).exponential(1, 200), times(1, 200)
    resampling, zeros = Resampling.of(moments, seed=0), np.zeros(200)
    ours, theirs = (
        measure("mae", Task.REGRESSION, zeros, one, resampling.units, classes=0) for one in (values + 0.5, values)
    )

    gap = resampling.gap(ours, theirs)

    assert gap is not None
    assert (gap.low, gap.value, gap.high) == pytest.approx((0.5, 0.5, 0.5))


def test_what_cannot_be_told_has_no_interval() -> None:
    one_class = Resampling.of(times(1, 50), seed=0)
    ones, scores = np.ones(50), np.linspace(0, 1, 50)

    assert one_class.interval(measure("auc", Task.BINARY, ones, scores, one_class.units, classes=0)) is None


def test_one_row_has_no_interval() -> None:
    alone = Resampling.of(times(1, 1), seed=0)
    found = alone.interval(measure("mae", Task.REGRESSION, np.zeros(1), np.ones(1), alone.units, classes=0))

    assert found is None


def test_json_keeps_an_interval() -> None:
    assert Interval.from_json(Interval(0.5, 0.4, 0.6).to_json()) == Interval(0.5, 0.4, 0.6)
