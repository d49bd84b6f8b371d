"""Batches are held to the contract by Great Expectations itself, and its pages are written."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.profile import a_contract, trips
from nightshift.profile.expectations import validate
from nightshift.verdict import Status


def test_the_rows_a_contract_was_drawn_from_keep_it(tmp_path: Path) -> None:
    report = validate(trips(), a_contract(), name="trips", docs=tmp_path / "docs")

    assert report.success
    assert report.checks == ()
    assert report.rows == len(trips())
    assert report.page is not None
    assert "trips" in report.page.read_text()
    assert report.page.is_relative_to(tmp_path / "docs" / "validations")
    assert sum(file.stat().st_size for file in (tmp_path / "docs").rglob("*.*")) < 500_000


@pytest.mark.parametrize(("column", "value"), [("hour", 99.0), ("hour", None), ("weather", "fog"), ("weather", None)])
def test_what_the_contract_refuses_is_broken_and_says_its_share(column: str, value: float | str | None) -> None:
    rows = trips(400)
    rows.loc[:99, column] = value

    report = validate(rows, a_contract(), name="trips")

    assert not report.success
    (check,) = report.checks
    assert (check.status, check.subject, check.observed, check.rows) == (Status.BROKEN, column, 0.25, 400)


@pytest.mark.parametrize("dtype", ["category", "string", "object"])
def test_text_may_be_kept_in_any_type_of_column(dtype: str) -> None:
    rows = trips(50).astype({"weather": dtype, "zone": dtype})
    rows.loc[0, "zone"] = None

    assert validate(rows, a_contract(), name="trips").success


def test_a_column_in_which_nothing_is_known_keeps_the_contract_if_nulls_do() -> None:
    rows = trips(50).assign(zone=float("nan"), speed=None)

    assert validate(rows, a_contract(), name="trips").success


def test_what_the_contract_only_flags_is_no_failure() -> None:
    rows = trips(400)
    rows.loc[:99, "speed"] = 9_999.0
    rows.loc[100:199, "speed"] = None
    rows.loc[:99, "zone"] = "south"

    assert validate(rows, a_contract(), name="trips").success


def test_a_column_too_many_is_broken() -> None:
    report = validate(trips(400).assign(colour="red"), a_contract(), name="trips")

    assert [check.status for check in report.checks] == [Status.BROKEN]


def test_a_report_is_json() -> None:
    content = validate(trips(400), a_contract(), name="trips").to_json()

    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["success"] is True


ODD = ("12", True, float("inf"), -float("inf"), float("nan"), None, 1e300, -1e300, 12, "", "fog", "x" * 256, "x" * 257)
odd_cells = st.tuples(st.integers(0, 5), st.sampled_from(["speed", "hour", "weather", "zone"]), st.sampled_from(ODD))


@settings(max_examples=8)
@given(st.lists(odd_cells, max_size=4))
def test_a_batch_gets_the_verdict_its_rows_would_get_at_the_door(odd: list[tuple[int, str, Any]]) -> None:
    _the_same_verdict(odd)


@pytest.mark.parametrize("value", ODD, ids=lambda value: repr(value)[:12])
def test_whatever_stands_in_each_column_gets_the_doors_verdict(value: object) -> None:
    _the_same_verdict([(0, column, value) for column in ("speed", "hour", "weather", "zone")])


def _the_same_verdict(odd: list[tuple[int, str, Any]]) -> None:
    """Hold six clean rows with some odd cells to the contract row by row and as a batch."""
    contract, clean = a_contract(), trips(6)
    rows = clean.astype(object).where(clean.notna(), None).to_dict("records")
    for number, column, value in odd:
        rows[number][column] = value
    at_the_door = {problem.column for row in rows for problem in contract.check_row(row) if problem.refused}

    report = validate(pd.DataFrame(rows, columns=clean.columns), contract, name="trips")

    assert {check.subject for check in report.checks} == at_the_door, odd
