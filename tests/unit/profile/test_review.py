"""A contract for review: what changed, in sentences; tolerances from how much the data vary by themselves."""

from dataclasses import replace
from pathlib import Path

import pytest

from factories.profile import FEATURES, KINDS, a_contract, trips
from nightshift.errors import ContractError
from nightshift.profile.contract import Contract
from nightshift.profile.expectations import missing_allowed, validate
from nightshift.profile.profile import Profile
from nightshift.profile.review import differences, read_reviewed, reviewed_text

WINDOWS = [{"speed": share, "zone": 0.0} for share in (0.04, 0.05, 0.06, 0.05, 0.05)]


def tolerant() -> Contract:
    return Contract.derive(Profile.of(trips(), KINDS), FEATURES, windows=WINDOWS)


def changed(name: str, **changes: object) -> Contract:
    return Contract(
        tuple(replace(rule, **changes) if rule.name == name else rule for rule in a_contract().columns)  # type: ignore[arg-type]
    )


def test_every_change_of_a_contract_is_told() -> None:
    contract = a_contract()

    assert differences(contract, contract) == []
    assert differences(contract, changed("hour", upper=24.0)) == ["hour: upper was 23, is 24"]
    assert differences(contract, changed("hour", missing="accept")) == ["hour: missing was refuse, is accept"]
    assert differences(contract, changed("zone", categories=("east", "north", "south"))) == [
        "zone: 1 new category: 'south'",
        "zone: 1 gone category: 'west'",
    ]
    assert differences(contract, Contract(contract.columns[1:])) == ["speed: the column is gone"]
    assert differences(Contract(contract.columns[1:]), contract) == ["speed: the column is new"]
    assert differences(contract, Contract(contract.columns[::-1])) == ["the order of columns is another"]


def test_many_categories_are_counted_and_a_few_named() -> None:
    (told,) = differences(changed("zone", categories=()), changed("zone", categories=tuple(map(str, range(100)))))

    assert told.startswith("zone: 100 new categories: '0', '1'")
    assert told.endswith("and 92 more")


def test_what_was_written_for_review_is_what_is_read(tmp_path: Path) -> None:
    path = tmp_path / "trips.yaml"
    path.write_text(reviewed_text(tolerant(), "trips"))

    assert read_reviewed(path) == tolerant()
    assert read_reviewed(tmp_path / "none.yaml") is None


@pytest.mark.parametrize("content", ["", "a: [", "format: 9", "\0"])
def test_a_file_that_is_no_contract_says_which_and_what_to_do(content: str, tmp_path: Path) -> None:
    path = tmp_path / "trips.yaml"
    path.write_text(content)

    with pytest.raises(ContractError, match=r"trips\.yaml: .*nightshift contract trips --write"):
        read_reviewed(path)


def test_nulls_are_tolerated_as_much_as_windows_vary_and_no_more_where_they_are_refused() -> None:
    rules = {rule.name: rule.missing_share for rule in tolerant().columns}

    assert rules == {"speed": 0.11, "hour": None, "weather": None, "zone": 0.05}


def test_nulls_that_come_and_go_by_themselves_are_tolerated_further() -> None:
    swinging = [{"speed": share} for share in (0.0, 0.1, 0.2, 0.1)]

    drawn = Contract.derive(Profile.of(trips(), KINDS), FEATURES, windows=swinging)

    assert drawn.columns[0].missing_share == pytest.approx(0.5266)


def test_shares_that_pandas_counted_can_be_reviewed_as_yaml() -> None:
    windows = [dict(trips().isna().mean()) for _ in range(5)]

    drawn = Contract.derive(Profile.of(trips(), KINDS), FEATURES, windows=windows)

    assert f"missing_share: {drawn.columns[0].missing_share}" in drawn.to_yaml()


def test_few_windows_tell_nothing_of_how_much_nulls_vary() -> None:
    drawn = Contract.derive(Profile.of(trips(), KINDS), FEATURES, windows=WINDOWS[:3])

    assert {rule.missing_share for rule in drawn.columns} == {None}


def test_a_batch_with_more_nulls_than_are_tolerated_breaks_the_contract() -> None:
    usual, broken = trips(2000), trips(2000)
    broken.loc[:799, "speed"] = None

    (check,) = validate(broken, tolerant(), name="trips").checks

    assert validate(usual, tolerant(), name="trips").success
    assert check.subject == "speed"
    assert check.observed == pytest.approx(broken["speed"].isna().mean(), abs=1e-3)


def test_chance_alone_hardly_ever_breaks_a_tolerance() -> None:
    assert missing_allowed(0.0, 200) == pytest.approx(0.005)
    assert missing_allowed(0.05, 200) > 0.05 + 4.5 * (0.05 * 0.95 / 200) ** 0.5
    assert missing_allowed(0.05, 1_000_000) < 0.052
    assert missing_allowed(1.0, 10) == 1.0
