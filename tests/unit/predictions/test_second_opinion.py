"""A second model knows what a broken column costs, and that a quiet window costs nothing."""

import json

import numpy as np
import pandas as pd
import pytest

from nightshift.predictions.second_opinion import Opinion

KINDS = {"speed": "numeric", "zone": "categorical", "idle": "numeric"}


def answered(rows: int, *, seed: int, task: str) -> pd.DataFrame:
    """Return rows whose label follows from speed and zone, answered by who knows that law."""
    chance = np.random.default_rng(seed)
    speed, zone = chance.normal(size=rows), chance.choice(["east", "west"], rows)
    found = pd.DataFrame({"speed": speed, "zone": zone, "idle": chance.normal(size=rows)})
    score = 2 * speed + (zone == "east")
    if task == "regression":
        return found.assign(prediction=score, target=score + chance.normal(size=rows))
    likely = 1 / (1 + np.exp(-2 * score))
    truly = (chance.random(rows) < likely).astype(int)
    return found.assign(prediction=(likely > 0.5).astype(int), probability=likely, target=truly)


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_hidden_column_costs_what_it_is_worth_to_the_answers(task: str) -> None:
    opinion = Opinion.of(answered(4000, seed=1, task=task), KINDS, task)
    window = answered(1000, seed=2, task=task)
    assert opinion is not None
    everywhere = np.ones(len(window), dtype=bool)

    quiet = opinion.worse(window, hidden={}, believed=True)
    idle = opinion.worse(window, hidden={"idle": everywhere}, believed=True)
    speed = opinion.worse(window, hidden={"speed": everywhere}, believed=True)

    error = opinion.deviation / np.sqrt(len(window))
    assert abs(quiet) < 2 * error
    assert abs(idle) < 2 * error
    assert speed > 5 * error


def test_a_class_is_the_same_however_it_is_written() -> None:
    rows = answered(2000, seed=3, task="binary")

    plain, floats = (
        Opinion.of(written, KINDS, "binary") for written in (rows, rows.assign(target=rows["target"].astype(float)))
    )

    assert plain is not None
    assert floats is not None
    assert plain.seen == floats.seen < 0.3


def test_from_few_rows_or_one_class_nothing_is_learned() -> None:
    rows = answered(2000, seed=4, task="binary")

    assert Opinion.of(rows[:50], KINDS, "binary") is None
    assert Opinion.of(rows.assign(target=1), KINDS, "binary") is None


def of_classes(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows as a model of three classes would answer them."""
    names = np.array(["low", "middle", "high"])[np.digitize(rows["speed"], [-0.5, 0.5])]
    chances = {f"probability_{name}": np.where(names == name, 0.8, 0.1) for name in ("high", "low", "middle")}
    return rows.assign(prediction=names, target=np.roll(names, 1), **chances)


def test_a_window_that_lacks_the_probabilities_of_one_class_keeps_the_others_in_their_places() -> None:
    rows = of_classes(answered(1500, seed=5, task="binary"))
    opinion = Opinion.of(rows, KINDS, "multiclass")
    assert opinion is not None

    whole, without = opinion.matrix(rows), opinion.matrix(rows.drop(columns="probability_low"))

    place = len(KINDS) + opinion.classes.index("low")
    assert np.isnan(without[:, place]).all()
    np.testing.assert_array_equal(np.delete(without, place, axis=1), np.delete(whole, place, axis=1))


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_kept_as_json_an_opinion_is_the_same_and_so_are_its_bytes(task: str) -> None:
    rows = answered(1500, seed=5, task="binary" if task == "multiclass" else task)
    if task == "multiclass":
        rows = of_classes(rows)
    opinion = Opinion.of(rows, KINDS, task)
    assert opinion is not None

    written = json.dumps(opinion.to_json())
    again = Opinion.from_json(json.loads(written))

    hidden = {"speed": np.ones(300, dtype=bool)}
    assert again.worse(rows[:300], hidden=hidden, believed=False) == opinion.worse(
        rows[:300], hidden=hidden, believed=False
    )
    repeated = Opinion.of(rows, KINDS, task)
    assert repeated is not None
    assert json.dumps(repeated.to_json()) == written


def test_what_was_learned_from_few_rows_is_less_certain() -> None:
    few, many = (Opinion.of(answered(rows, seed=5, task="binary"), KINDS, "binary") for rows in (500, 8000))

    assert few is not None
    assert many is not None
    assert few.held_back == 150
    assert few.error_of(1500) > 2 * many.error_of(1500) > 2 * many.deviation / 1500**0.5
