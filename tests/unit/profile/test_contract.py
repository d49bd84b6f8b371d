"""One value, one verdict: the table in the module's docstring, row by row."""

from typing import Any

import pytest
import yaml

from factories.profile import FEATURES, KINDS, a_contract, trips
from nightshift.errors import ContractError
from nightshift.profile.contract import Contract
from nightshift.profile.profile import Profile

GOOD: dict[str, Any] = {"speed": 20.0, "hour": 12, "weather": "dry", "zone": "east"}


def verdicts(**changes: Any) -> list[tuple[str, str, bool]]:
    return [(p.column, p.rule, p.refused) for p in a_contract().check_row(GOOD | changes)]


def test_a_good_row_has_no_problem() -> None:
    assert verdicts() == []


@pytest.mark.parametrize(
    ("column", "value", "rule", "refused"),
    [
        ("hour", None, "null", True),
        ("hour", float("nan"), "null", True),
        ("weather", None, "null", True),
        ("speed", True, "type", True),
        ("speed", "20", "type", True),
        ("speed", [20], "type", True),
        ("speed", float("inf"), "finite", True),
        ("speed", float("-inf"), "finite", True),
        ("hour", 24, "range", True),
        ("hour", -1, "range", True),
        ("speed", 9_999.0, "range", False),
        ("weather", "fog", "category", True),
        ("zone", "south", "category", False),
        ("zone", 3, "type", True),
        ("zone", True, "type", True),
        ("zone", "e" * 257, "length", True),
    ],
)
def test_a_bad_value_breaks_its_rule(column: str, value: Any, rule: str, refused: bool) -> None:
    assert verdicts(**{column: value}) == [(column, rule, refused)]


@pytest.mark.parametrize("column", ["speed", "zone"])
@pytest.mark.parametrize("value", [None, float("nan")])
def test_a_null_passes_where_the_declaration_accepts_it(column: str, value: Any) -> None:
    assert verdicts(**{column: value}) == []


def test_the_ends_of_the_range_are_inside() -> None:
    assert verdicts(hour=0) == verdicts(hour=23) == []


def test_a_column_left_out_is_refused_even_where_null_is_accepted() -> None:
    row = {name: value for name, value in GOOD.items() if name != "speed"}

    assert [(p.column, p.rule, p.refused) for p in a_contract().check_row(row)] == [("speed", "missing", True)]


def test_every_problem_is_told_in_the_order_of_columns_unknown_ones_last() -> None:
    found = verdicts(colour="red", weather="fog", speed="20")

    assert [column for column, _, _ in found] == ["speed", "weather", "colour"]
    assert found[-1] == ("colour", "unknown", True)


def test_a_contract_survives_json_and_yaml() -> None:
    contract = a_contract()

    assert Contract.from_json(contract.to_json()) == contract
    assert Contract.from_json(yaml.safe_load(contract.to_yaml())) == contract


def test_the_columns_come_in_declared_order() -> None:
    assert [rule.name for rule in a_contract().columns] == list(FEATURES)


def test_a_feature_that_was_not_profiled_has_no_contract() -> None:
    profile = Profile.of(trips().drop(columns="zone"), KINDS)

    with pytest.raises(ContractError, match="no profile of zone"):
        Contract.derive(profile, FEATURES)


@pytest.mark.parametrize(
    "content", [None, [], {}, {"format": 99, "columns": []}, {"format": 1}, {"format": 1, "columns": [{"name": "a"}]}]
)
def test_what_is_no_contract_is_refused(content: Any) -> None:
    with pytest.raises(ContractError, match="draw it again"):
        Contract.from_json(content)
