"""Columns of Arrow tables: names are counted whatever dictionaries they come with."""

import pyarrow as pa

from nightshift.profile.arrow import names_of

LONG = "x" * 300


def coded(*values: str | None, names: list[str | None]) -> pa.DictionaryArray:
    places = [names.index(value) if value is not None else None for value in values]
    return pa.DictionaryArray.from_arrays(pa.array(places, pa.int32()), pa.array(names))


def test_names_of_chunks_that_have_dictionaries_of_their_own_are_counted_together() -> None:
    chunks = [coded("a", "b", "a", names=["a", "b", "never"]), coded("c", None, "b", names=["c", "b"])]

    found = names_of(pa.chunked_array(chunks))

    assert found.names == {"a": 2, "b": 2, "c": 1}
    assert (found.rows, found.missing, found.types) == (6, 1, {"text": 5})


def test_a_dictionary_that_holds_null_is_counted_by_itself() -> None:
    holds_null = pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], pa.int32()), pa.array(["a", None]))

    found = names_of(pa.chunked_array([holds_null, coded("a", names=["a"])]))

    assert found.names["a"] == 3


def test_names_that_are_the_same_once_cut_are_one() -> None:
    found = names_of(pa.chunked_array([[LONG + "1", LONG + "2"], ["b", LONG + "1"]]))

    assert found.names == {LONG[:256]: 3, "b": 1}


def test_no_rows_are_no_names() -> None:
    assert names_of(pa.chunked_array([], pa.string())).names == {}
