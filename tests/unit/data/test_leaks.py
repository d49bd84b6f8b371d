from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from factories.data import a_spec, at, rides
from nightshift.data.leaks import leaks
from nightshift.data.split import NAMES, Splits, make_splits
from nightshift.errors import SplitError

AS_OF = at("2013-01-22")
SPEC = a_spec()


def a_table(**columns: object) -> pd.DataFrame:
    """Return rides of 32 days, the last of them just matured at AS_OF."""
    return rides(at("2012-12-20"), 32).assign(**columns)


def splits_of(table: pd.DataFrame) -> Splits:
    return make_splits(table, SPEC, as_of=AS_OF)


def problems_of(splits: Splits) -> str:
    with pytest.raises(SplitError) as caught:
        splits.check(SPEC)
    return str(caught.value)


def test_a_key_in_two_splits_is_named() -> None:
    table = a_table()
    table.loc[table.index[-30], "ride_id"] = table["ride_id"].iloc[60]

    assert "ride_id names 1 rows more than once, for example 'r00060' in train and validation" in problems_of(
        splits_of(table)
    )


def test_a_row_that_is_there_twice_is_named() -> None:
    table = a_table()

    assert "in train (2 times); a key" in problems_of(splits_of(pd.concat([table, table.iloc[[60]]])))


def test_a_training_row_planted_among_the_test_rows_is_found() -> None:
    splits = splits_of(a_table())
    planted = replace(splits, test=pd.concat([splits.test, splits.train.iloc[[0]]]))

    problems = problems_of(planted)

    assert "more than once" in problems
    assert "time must separate them" in problems


def test_a_label_from_the_future_is_found() -> None:
    splits = splits_of(a_table())
    late = splits.test.assign(started=pd.Timestamp(AS_OF))

    assert "test has 16 rows whose label was not known" in problems_of(replace(splits, test=late))


@pytest.mark.parametrize(
    ("disguise", "kind"),
    [
        (lambda label: label, "numeric"),
        (lambda label: -3 * label + 1, "numeric"),
        (lambda label: label + np.linspace(0, 0.4, len(label)), "numeric"),
        (lambda label: label.where(label.index % 3 > 0), "numeric"),
        (lambda label: label.map({0.0: "on time", 1.0: "gone"}), "categorical"),
    ],
    ids=["same", "turned", "blurred", "with gaps", "as words"],
)
def test_the_label_in_disguise_is_found(disguise, kind: str) -> None:  # type: ignore[no-untyped-def]
    table = a_table()
    spec = a_spec(features={"distance": "numeric", "secret": kind})

    splits = make_splits(table.assign(secret=disguise(table["cancelled"])), spec, as_of=AS_OF)

    with pytest.raises(SplitError, match="secret gives cancelled away"):
        splits.check(spec)


def test_a_number_that_is_a_straight_line_of_the_target_is_found() -> None:
    spec = a_spec(task="regression", features={"distance": "numeric", "zone": "categorical"})
    table = a_table()

    found = make_splits(table.assign(cancelled=table["distance"] * 2 - 5), spec, as_of=AS_OF)
    fine = make_splits(table.assign(cancelled=table["distance"].shift(1).fillna(0)), spec, as_of=AS_OF)

    assert "distance gives cancelled away" in leaks(dict(found.frames()), spec, as_of=AS_OF)[0]
    assert leaks(dict(fine.frames()), spec, as_of=AS_OF) == []


def test_a_rare_label_beside_an_extreme_value_is_luck() -> None:
    table = a_table(cancelled=0.0)
    table.loc[60, ["cancelled", "distance"]] = [1.0, 99.0]

    splits_of(table).check(SPEC)


def test_columns_of_one_value_and_names_of_their_own_give_nothing_away() -> None:
    table = a_table(distance=1.0)
    table["zone"] = table["ride_id"]

    splits_of(table).check(SPEC)


def test_too_few_rows_are_named_for_each_split() -> None:
    problems = problems_of(splits_of(a_table()[:0]))

    assert [f"{name} has 0 rows" in problems for name in NAMES] == [True] * 3
    assert "split.rows_min asks for 5" in problems
