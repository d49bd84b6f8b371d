from dataclasses import replace
from datetime import UTC, datetime

import pytest

from factories.lineage import CODE, DATA, ENVIRONMENT, a_lineage
from nightshift.lineage.record import Lineage


@pytest.mark.parametrize(
    "change",
    [
        {"code": replace(CODE, commit="0" * 40)},
        {"code": replace(CODE, changes=("modified a.py",), changes_digest="0" * 64)},
        {"environment": replace(ENVIRONMENT, lock_digest="0" * 64)},
        {"environment": replace(ENVIRONMENT, arithmetic="openblas Nehalem, NumPy X86_V2")},
        {"environment": replace(ENVIRONMENT, python="CPython 3.12.0")},
        {"environment": replace(ENVIRONMENT, platform="darwin-arm64")},
        {"environment": replace(ENVIRONMENT, differences=("pytest 1, the lock says 2",))},
        {"spec_digest": "0" * 64},
        {"data": replace(DATA, digest="0" * 32 + ".dir")},
        {"splits": {"train": "0", "validation": "2" * 64, "test": "3" * 64}},
    ],
    ids=lambda change: next(iter(change)),
)
def test_whatever_determines_the_model_changes_the_digest(change: dict) -> None:
    assert a_lineage(**change).digest != a_lineage().digest


@pytest.mark.parametrize(
    "change",
    [
        {"as_of": datetime(2013, 6, 1, tzinfo=UTC)},
        {"data": replace(DATA, registry="elsewhere.git", commit="0" * 40)},
        {"code": replace(CODE, branch=None, remote="https://example.org/code.git", pushed=True)},
        {"table": None},
    ],
    ids=lambda change: next(iter(change)),
)
def test_moments_and_places_do_not_change_the_digest(change: dict) -> None:
    assert a_lineage(**change).digest == a_lineage().digest


def test_a_whole_lineage_is_reproducible() -> None:
    assert a_lineage().reproducible


def test_every_missing_box_is_named_at_once() -> None:
    lineage = a_lineage(
        code=replace(CODE, changes=("modified a.py",), changes_digest="0" * 64),
        environment=replace(ENVIRONMENT, differences=("pytest 1, the lock says 2",)),
        data=None,
        splits={"train": "1" * 64},
    )

    problems = lineage.problems()

    assert not lineage.reproducible
    assert [word for word in ("a.py", "pytest", "snapshot", "validation, test") if word in " ".join(problems)] == [
        "a.py",
        "pytest",
        "snapshot",
        "validation, test",
    ]
    assert len(problems) == 4


def test_a_record_comes_back_from_json_as_it_was() -> None:
    lineage = a_lineage(table=None)

    assert Lineage.from_json(lineage.to_json()) == lineage
