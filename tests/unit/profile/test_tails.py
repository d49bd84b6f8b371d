"""Tail probabilities: exact, however many rows there are."""

import pytest
from scipy import stats

from nightshift.profile.tails import count_tail, fewer_tail


@pytest.mark.parametrize(
    ("count", "rows", "before", "rows_before"),
    [(3, 300, 0, 9_700), (5_000, 100_000, 4_800, 100_000), (10, 100_000, 60_000, 90_000), (0, 50, 2, 50)],
)
def test_only_terms_that_weigh_are_summed_and_nothing_is_missing(
    count: int, rows: int, before: int, rows_before: int
) -> None:
    law = stats.hypergeom(rows + rows_before, count + before, rows)

    assert count_tail(count, rows, before, rows_before) == pytest.approx(law.sf(count - 1), rel=1e-7)
    assert fewer_tail(count, rows, before, rows_before) == pytest.approx(max(law.cdf(count), 1e-300), rel=1e-7)
