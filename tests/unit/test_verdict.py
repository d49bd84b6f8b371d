"""The worst reason decides, silence is never health, and no candidate is blessed without a question asked."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.spine import a_check
from nightshift.files import canonical_json
from nightshift.verdict import SEVERITY, Check, Status, Verdict, judge_gates, judge_window

values = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
texts = st.text(max_size=8)


def checks_of(statuses: Any) -> st.SearchStrategy[list[Check]]:
    return st.lists(
        st.builds(Check, texts, st.sampled_from(statuses), texts, texts, values, values, st.none() | st.integers(0))
    )


@given(checks_of(SEVERITY))
def test_the_worst_check_decides_a_window(checks: list[Check]) -> None:
    verdict = judge_window(checks)

    worst = max((SEVERITY.index(check.status) for check in checks), default=SEVERITY.index(Status.UNKNOWN))
    assert verdict.status is SEVERITY[worst]


@given(checks_of(SEVERITY))
def test_every_check_is_kept_the_worst_first_and_else_in_the_given_order(checks: list[Check]) -> None:
    told = judge_window(checks).checks

    assert sorted(map(id, told)) == sorted(map(id, checks))
    ranks = [SEVERITY.index(check.status) for check in told]
    assert ranks == sorted(ranks, reverse=True)
    for status in SEVERITY:
        assert [id(c) for c in told if c.status is status] == [id(c) for c in checks if c.status is status]


@pytest.mark.parametrize(
    ("statuses", "verdict"),
    [
        ([], Status.UNKNOWN),
        ([Status.HEALTHY], Status.HEALTHY),
        ([Status.HEALTHY, Status.DRIFTED], Status.DRIFTED),
        ([Status.DEGRADED, Status.DRIFTED], Status.DEGRADED),
        ([Status.DEGRADED, Status.UNKNOWN], Status.UNKNOWN),
        ([Status.UNKNOWN, Status.BROKEN, Status.DEGRADED], Status.BROKEN),
    ],
)
def test_broken_outranks_unknown_and_unknown_outranks_all_that_is_known(
    statuses: list[Status], verdict: Status
) -> None:
    assert judge_window([a_check(status) for status in statuses]).status is verdict


def test_a_gate_has_no_say_over_a_window() -> None:
    with pytest.raises(ValueError, match="not in"):
        judge_window([a_check(Status.PASS)])


@given(checks_of([Status.PASS, Status.FAIL]))
def test_a_candidate_passes_if_every_gate_does_and_there_is_one(checks: list[Check]) -> None:
    verdict = judge_gates(checks)

    failed = [check for check in checks if check.status is Status.FAIL]
    assert (verdict.status is Status.PASS) == (bool(checks) and not failed)
    assert list(verdict.reasons) == failed


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.PASS])
def test_nothing_but_pass_passes_a_gate(status: Status) -> None:
    assert judge_gates([a_check(Status.PASS), a_check(status)]).status is Status.FAIL


@given(checks_of(SEVERITY))
def test_the_quiet_checks_are_kept_but_are_no_reasons(checks: list[Check]) -> None:
    verdict = judge_window(checks)

    assert len(verdict.checks) == len(checks)
    assert all(check.status is not Status.HEALTHY for check in verdict.reasons)


@pytest.mark.parametrize(
    ("statuses", "why"),
    [
        ([], "nothing to report"),
        ([Status.HEALTHY] * 3, "nothing to report"),
        ([Status.DRIFTED], "DRIFTED says so"),
        ([Status.DRIFTED, Status.HEALTHY, Status.BROKEN, Status.DRIFTED], "BROKEN says so (+2 more)"),
    ],
)
def test_one_line_tells_the_first_reason_and_how_many_more_there_are(statuses: list[Status], why: str) -> None:
    assert judge_window([a_check(status) for status in statuses]).why == why


@given(checks_of(list(Status)), st.sampled_from(list(Status)))
def test_a_verdict_comes_back_from_json_as_it_was(checks: list[Check], status: Status) -> None:
    verdict = Verdict(status, tuple(checks))

    assert Verdict.from_json(verdict.to_json()) == verdict
    assert canonical_json(Verdict.from_json(verdict.to_json()).to_json()) == canonical_json(verdict.to_json())


def test_a_word_nobody_knows_is_no_verdict() -> None:
    with pytest.raises(ValueError, match="SICK"):
        Verdict.from_json({"status": "SICK", "checks": []})
