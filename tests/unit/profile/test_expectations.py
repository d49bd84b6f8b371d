"""Batches are held to the contract by Great Expectations itself, and its pages are written."""

import json
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("column", "value"), [("hour", 99.0), ("hour", None), ("weather", "fog"), ("weather", None)])
def test_what_the_contract_refuses_is_broken_and_says_its_share(column: str, value: float | str | None) -> None:
    rows = trips(400)
    rows.loc[:99, column] = value

    report = validate(rows, a_contract(), name="trips")

    assert not report.success
    (check,) = report.checks
    assert (check.status, check.subject, check.observed, check.rows) == (Status.BROKEN, column, 0.25, 400)


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
