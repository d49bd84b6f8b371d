import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.model.encoding import LARGEST, Encoding
from nightshift.spec import Kind

ENCODING = Encoding({"distance": Kind.NUMERIC, "zone": Kind.CATEGORICAL}, {"zone": ("north", "south")})
values = st.one_of(st.none(), st.floats(width=64), st.integers(-(10**30), 10**30), st.booleans())
zones = st.one_of(st.none(), st.sampled_from(["north", "south"]), st.text(max_size=5))
rows = st.lists(st.fixed_dictionaries({"distance": values, "zone": zones}), min_size=1, max_size=8)


@given(rows)
def test_a_frame_and_its_rows_are_encoded_alike(sent: list[dict[str, object]]) -> None:
    by_rows = ENCODING.matrix(sent)
    by_frame = ENCODING.matrix(pd.DataFrame(sent).astype(object))

    np.testing.assert_array_equal(by_rows, by_frame)


@given(rows)
def test_every_number_of_the_matrix_is_finite_or_missing(sent: list[dict[str, object]]) -> None:
    matrix = ENCODING.matrix(sent)

    assert matrix.dtype == np.float32
    assert not np.isinf(matrix).any()


def test_the_order_of_rows_does_not_change_the_codes() -> None:
    frame = pd.DataFrame({"distance": [1.0, 2.0, 3.0], "zone": ["south", "north", None]})

    forward = Encoding.learn(frame, ENCODING.kinds)
    backward = Encoding.learn(frame[::-1], ENCODING.kinds)

    assert forward == backward == ENCODING


def test_an_unseen_category_and_null_are_missing() -> None:
    matrix = ENCODING.matrix([{"distance": 1, "zone": "west"}, {"distance": 1, "zone": None}])

    assert np.isnan(matrix[:, 1]).all()


@pytest.mark.parametrize(("value", "encoded"), [(1e300, LARGEST), (-math.inf, -LARGEST), (2**53 + 1, float(2**53))])
def test_numbers_beyond_float32_become_the_largest_or_nearest_it_has(value: float, encoded: float) -> None:
    assert ENCODING.matrix([{"distance": value, "zone": None}])[0, 0] == encoded


def test_columns_of_pandas_own_types_are_encoded_too() -> None:
    frame = pd.DataFrame(
        {"distance": pd.array([1, None], dtype="Int64"), "zone": pd.Categorical(["south", None], ["south", "north"])}
    )

    np.testing.assert_array_equal(ENCODING.matrix(frame), [[1.0, 1.0], [np.nan, np.nan]])


def test_a_missing_column_is_an_error_and_a_strange_one_is_not() -> None:
    with pytest.raises(KeyError, match="zone"):
        ENCODING.matrix([{"distance": 1.0}])
    assert ENCODING.matrix([{"distance": 1.0, "zone": "north", "colour": "red"}]).tolist() == [[1.0, 0.0]]


def test_json_keeps_the_order_of_columns_and_codes() -> None:
    assert Encoding.from_json(ENCODING.to_json()) == ENCODING
