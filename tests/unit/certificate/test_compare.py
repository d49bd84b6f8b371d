"""What differs is named with its place: rows, files, metrics, and what they were made from."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.lineage import a_lineage
from nightshift.certificate import compare_inputs, compare_results, compare_rows
from nightshift.certificate.compare import json_differences, rows_difference
from nightshift.files import write_json

ROWS = pd.DataFrame({"ride": ["a", "b", "c"], "speed": [1.0, np.nan, 3.0], "line": ["x", None, "z"]})


def test_a_changed_cell_is_named() -> None:
    other = ROWS.assign(speed=[1.0, np.nan, 3.5])

    assert rows_difference(ROWS, other, key="ride") == (
        "row 2 (ride c), column speed: recorded 3.0, rebuilt 3.5; 1 of 3 rows differ"
    )


def test_another_order_of_rows_is_named() -> None:
    other = ROWS.iloc[[0, 2, 1]].reset_index(drop=True)

    assert rows_difference(ROWS, other, key="ride") == (
        "the same rows in another order; first row 1: recorded ride b, rebuilt ride c"
    )


def test_another_order_does_not_hide_a_changed_cell() -> None:
    other = ROWS.assign(speed=[1.0, np.nan, 3.5]).iloc[[0, 2, 1]].reset_index(drop=True)

    found = rows_difference(ROWS, other, key="ride")

    assert found.startswith("rows with the same keys in another order; first row 1: recorded ride b, rebuilt ride c")
    assert found.endswith(
        "in the order of ride, row 2 (ride c), column speed: recorded 3.0, rebuilt 3.5; 1 of 3 rows differ"
    )


@pytest.mark.parametrize(
    ("other", "how"),
    [
        (ROWS.assign(speed=ROWS["speed"].astype("float32")), "column speed: recorded as float64, rebuilt as float32"),
        (ROWS.assign(speed=[-0.0, 1.0, 2.0]), "column speed: 1 zeros (or nulls) have another sign"),
    ],
    ids=["type", "zero"],
)
def test_what_compares_equal_and_is_written_otherwise_is_named(other: pd.DataFrame, how: str) -> None:
    before = ROWS if "float" in how else ROWS.assign(speed=[0.0, 1.0, 2.0])

    assert rows_difference(before, other, key="ride").startswith(how)


def test_missing_values_are_alike() -> None:
    assert rows_difference(ROWS, ROWS.copy(), key="ride") == ""


def test_a_value_that_became_missing_is_named() -> None:
    found = rows_difference(ROWS, ROWS.assign(line=["x", None, None]), key="ride")

    assert found.startswith("row 2 (ride c), column line: recorded z, rebuilt None")


def test_lost_and_new_rows_are_named() -> None:
    longer = pd.concat([ROWS[1:], ROWS.assign(ride=["d", "e", "f"])], ignore_index=True)

    assert rows_difference(ROWS, longer, key="ride") == "recorded 3 rows, rebuilt 5: lost ride a, new ride d"


def test_other_columns_are_named() -> None:
    found = rows_difference(ROWS, ROWS.rename(columns={"speed": "pace"}), key="ride")

    assert found == "columns: recorded ride, speed, line; rebuilt ride, pace, line"


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("code commit", {"code": {"commit": "f" * 40}}),
        ("code beside the commit", {"code": {"changes_digest": "c" * 64}}),
        ("python", {"environment": {"python": "CPython 3.11.99"}}),
        ("platform", {"environment": {"platform": "plan9-mips"}}),
        ("lock", {"environment": {"lock_digest": "d" * 64}}),
        ("packages", {"environment": {"differences": ("pandas 2.0.0, the lock says 2.3.3",)}}),
        ("arithmetic", {"environment": {"arithmetic": "openblas Nehalem, NumPy X86_V2, glibc 2.36"}}),
        ("data", {"data": {"digest": "e" * 32 + ".dir"}}),
    ],
)
def test_each_input_that_differs_is_named(what: str, change: dict[str, dict[str, Any]]) -> None:
    recorded = a_lineage()
    ((part, values),) = change.items()
    rebuilt = replace(recorded, **{part: replace(getattr(recorded, part), **values)})

    differing = [one.what for one in compare_inputs(recorded, rebuilt) if not one.is_same]

    assert differing == [what]


def test_another_declaration_is_named() -> None:
    recorded = a_lineage()

    differing = [
        one.what for one in compare_inputs(recorded, replace(recorded, spec_digest="9" * 64)) if not one.is_same
    ]

    assert differing == ["declaration"]


def test_equal_inputs_do_not_differ() -> None:
    assert all(one.is_same for one in compare_inputs(a_lineage(), a_lineage()))


def test_splits_come_in_the_order_of_time_with_the_first_difference(tmp_path: Path) -> None:
    for folder, rows in (("before", ROWS), ("now", ROWS.assign(speed=[9.0, np.nan, 3.0]))):
        (tmp_path / folder).mkdir()
        rows.to_parquet(tmp_path / folder / "validation.parquet")
    recorded = {"test": "1", "train": "2", "validation": "3"}

    found = compare_rows(
        recorded, recorded | {"validation": "4"}, before=tmp_path / "before", now=tmp_path / "now", key="ride"
    )

    assert [one.what for one in found] == ["train rows", "validation rows", "test rows"]
    assert [one.is_same for one in found] == [True, False, True]
    assert found[1].how == "row 0 (ride a), column speed: recorded 1.0, rebuilt 9.0; 1 of 3 rows differ"


def test_a_split_that_was_not_rebuilt_is_a_difference(tmp_path: Path) -> None:
    (one,) = compare_rows({"train": "1"}, {}, before=tmp_path, now=tmp_path, key="ride")

    assert one.rebuilt == "none"
    assert "no rows" in one.how


def a_package(folder: Path, **files: Any) -> Path:
    for name, content in ({"manifest": {"format": 1}, "profile": {"rows": 3}} | files).items():
        write_json(folder / f"{name}.json", content)
    (folder / "booster.ubj").write_bytes(b"trees")
    return folder


def test_the_booster_comes_first_and_the_manifest_last(tmp_path: Path) -> None:
    one = a_package(tmp_path / "one")

    found = compare_results(one, one, metrics={}, again={})

    assert [each.what for each in found] == [
        "package/booster.ubj", "package/profile.json", "package/manifest.json", "metrics on the test rows"
    ]  # fmt: skip
    assert all(each.is_same for each in found)


def test_a_file_with_other_content_is_named_with_the_place(tmp_path: Path) -> None:
    one, other = a_package(tmp_path / "one"), a_package(tmp_path / "other", profile={"rows": 4})

    found = compare_results(one, other, metrics={}, again={})

    assert [each.how for each in found if not each.is_same] == ["rows: recorded 3, rebuilt 4"]


def test_a_file_that_is_not_there_is_a_difference(tmp_path: Path) -> None:
    one, other = a_package(tmp_path / "one"), a_package(tmp_path / "other")
    (other / "booster.ubj").unlink()

    found = compare_results(one, other, metrics={}, again={})

    assert [(each.what, each.rebuilt) for each in found if not each.is_same] == [("package/booster.ubj", "none")]


def test_a_metric_that_differs_is_named(tmp_path: Path) -> None:
    one = a_package(tmp_path / "one")

    found = compare_results(
        one, one, metrics={"metrics": {"auc": {"value": 0.7}}}, again={"metrics": {"auc": {"value": 0.71}}}
    )

    assert found[-1].how == "metrics.auc.value: recorded 0.7, rebuilt 0.71"


def test_the_comparison_with_a_champion_is_left_out(tmp_path: Path) -> None:
    one = a_package(tmp_path / "one")

    found = compare_results(one, one, metrics={"comparison": {"champion": "2"}}, again={"comparison": None})

    assert found[-1].is_same


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(values, values)
def test_two_values_differ_exactly_if_a_difference_is_named(one: Any, other: Any) -> None:
    assert bool(list(json_differences(one, other))) == (one != other)
