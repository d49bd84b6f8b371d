"""What a statistic did from window to window is what a later one may do."""

import json

import numpy as np
import pytest

from nightshift.profile.movement import Measure, Movement
from nightshift.profile.swing import Swing
from nightshift.spec import Kind


def test_a_size_with_a_long_tail_is_judged_by_its_logarithm() -> None:
    chance = np.random.default_rng(1)
    sizes = np.exp(chance.normal(-1.5, 0.8, 40))
    swing = Swing.of_sizes([Measure(float(size), 1e-4, 1e-9) for size in sizes])
    # 3.5 deviations up on the scale of logarithms, far more than 3.5 on that of the sizes
    far = Measure(float(np.exp(-1.5 + 3.5 * 0.8)), 1e-4, 1e-12)

    assert (far.shift - swing.mean) / np.sqrt(swing.variance) > 5
    assert 1e-4 < swing.tail(far) < 1e-2


def test_fog_that_came_on_two_days_of_forty_may_come_again() -> None:
    shifts = [0.1 * (-1) ** day for day in range(38)] + [-2.0, -1.6]
    swing = Swing.around_zero([Measure(shift, 1e-3, 1e-9) for shift in shifts])

    assert swing.excess > 5
    assert swing.tail(Measure(-2.4, 1e-3, 1e-300)) > 1e-4


def test_of_few_windows_each_makes_known_ground_and_of_many_not_the_odd_one() -> None:
    places = [Measure(place, 0.0, 1.0) for place in (-3.0, -1.0, *np.linspace(-0.5, 0.5, 25), 1.0, 2.0)]

    assert Swing.of_places(places).ground == (-3.0, 2.0)
    assert Swing.of_places([*places, Measure(0.0, 0.0, 1.0)]).ground == (-1.0, 1.0)


def test_a_swing_survives_json_and_one_without_ground_is_read() -> None:
    swing = Swing.of_places([Measure(place, 0.0, 1.0) for place in (-2.0, 0.4)])
    kept = json.loads(json.dumps(swing.to_json(), allow_nan=False))

    assert Swing.from_json(kept) == swing

    del kept["ground"]
    assert Swing.from_json(kept).ground is None


def share(part: float, rows: int = 2000) -> Measure:
    """Of 20,000 rows of which half were one name, ``part`` of the next ones are."""
    before, now = np.array([10_000.0, 10_000.0]), np.array([part, 1 - part]) * rows
    return Movement(Kind.CATEGORICAL, before, now, ("a", "b")).measures["name"]


@pytest.mark.parametrize("way", [1, -1], ids=["rose", "fell"])
def test_a_share_that_swings_may_rise_and_fall_as_it_did_and_no_further(way: int) -> None:
    swing = Swing.of_sizes([share(0.5 + moved) for moved in (0.1, -0.08, 0.12, -0.1, 0.09, -0.11)])

    assert swing.tail(share(0.5 + way * 0.05)) == 1.0
    assert swing.tail(share(0.5 + way * 0.12)) > 0.05
    assert swing.tail(share(0.5 + way * 0.3)) < 0.002
