import json
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from factories.model import START, a_model, a_spec, rides
from nightshift.model.evaluate import Champion, Evaluation, evaluate
from nightshift.spec import ModelSpec
from nightshift.verdict import Status

TASKS = ("binary", "multiclass", "regression")
LONG_AGO = START - timedelta(days=1)


def evaluated(task: str = "binary", *, test: pd.DataFrame | None = None, **changes: Any) -> Evaluation:
    """Return the evaluation of the factory's model on rows it has not seen."""
    model, spec = a_model(task), changes.pop("spec", a_spec(task))
    given = {"classes": model.classes, "predict": model.predict} | changes
    predict = given.pop("predict")
    return evaluate(predict, rides(task, seed=5) if test is None else test, spec, **given)


def a_champion(task: str = "binary", *, learned_until: Any = LONG_AGO, **changes: Any) -> Champion:
    model = a_model(task)
    given = {"version": "3", "predict": model.predict, "classes": model.classes} | changes
    return Champion(learned_until=learned_until, **given)


def worse(task: str = "binary") -> Any:
    """Return answers that are pulled half-way to ignorance."""
    model = a_model(task)
    middle = {"binary": 0.5, "multiclass": 1 / 3, "regression": 100.0}[task]
    return lambda rows: (model.predict(rows) + middle) / 2


@pytest.mark.parametrize("task", TASKS)
def test_every_metric_lies_within_its_interval(task: str) -> None:
    found = evaluated(task)

    assert found.unknown == {}
    assert found.resampled == "days"
    for name, interval in found.metrics.items():
        assert interval.low <= interval.value <= interval.high, name
        assert interval.low < interval.high, name


@pytest.mark.parametrize("task", TASKS)
def test_a_good_model_passes_its_gates(task: str) -> None:
    verdict = evaluated(task, champion=a_champion(task)).verdict(a_spec(task))

    assert verdict.status is Status.PASS, verdict.why


@pytest.mark.parametrize("task", TASKS)
def test_a_model_that_is_worse_than_the_champion_fails_and_says_how(task: str) -> None:
    verdict = evaluated(task, predict=worse(task), champion=a_champion(task)).verdict(a_spec(task))

    assert verdict.status is Status.FAIL
    assert "the champion's (version 3)" in verdict.why
    assert "worse by at most" in verdict.why


@pytest.mark.parametrize("task", TASKS)
def test_a_model_that_is_better_than_the_champion_says_by_how_much(task: str) -> None:
    verdict = evaluated(task, champion=a_champion(task, predict=worse(task))).verdict(a_spec(task))

    assert verdict.status is Status.PASS
    assert "better by at least" in verdict.checks[-1].sentence


def test_an_equal_model_is_not_worse() -> None:
    spec = a_spec(gates={"metrics": {"auc": {"at_least": 0.6}}, "champion": {"metric": "log_loss", "margin": 0.0}})

    assert evaluated(champion=a_champion(), spec=spec).verdict(spec).status is Status.PASS


def test_the_interval_decides_and_not_the_point() -> None:
    """On few rows a small gain cannot be told from a loss."""
    few = rides(seed=5, rows=40)
    tilted = a_champion(predict=lambda rows: np.clip(a_model().predict(rows) + 0.02, 0, 1))
    spec = a_spec(gates={"metrics": {"auc": {"at_least": 0.5}}, "champion": {"metric": "log_loss", "margin": 0.0}})

    found = evaluated(test=few, champion=tilted, spec=spec)

    assert found.comparison
    gap = found.comparison.metrics["log_loss"].difference
    assert gap.low < 0 < gap.high
    assert found.verdict(spec).status is Status.FAIL


def test_only_rows_the_champion_has_not_seen_are_compared() -> None:
    test = rides(seed=5)
    half = test["at"].iloc[len(test) // 2]
    asked: list[pd.DataFrame] = []
    champion = a_champion(learned_until=half, predict=lambda rows: (asked.append(rows), a_model().predict(rows))[1])

    found = evaluated(test=test, champion=champion)

    assert found.comparison
    assert found.comparison.rows == len(test) - len(test) // 2
    assert all(rows["at"].min() >= half for rows in asked)
    assert found.rows == len(test)


def test_a_champion_that_has_seen_every_row_stays() -> None:
    verdict = evaluated(champion=a_champion(learned_until=START + timedelta(days=999))).verdict(a_spec())

    assert verdict.status is Status.FAIL
    assert "nothing can be compared" in verdict.why


def test_a_champion_that_does_not_answer_stays() -> None:
    verdict = evaluated(champion=a_champion(predict=lambda rows: np.full(len(rows), np.nan))).verdict(a_spec())

    assert verdict.status is Status.FAIL
    assert "1200 answers are no numbers; it stays" in verdict.why


def test_a_champion_that_needs_a_column_of_old_stays_and_is_told_of() -> None:
    verdict = evaluated(champion=a_champion(predict=lambda rows: rows["colour"].to_numpy())).verdict(a_spec())

    assert verdict.status is Status.FAIL
    assert "it needs the column 'colour', which the rows no longer have" in verdict.why


def test_the_candidate_is_asked_once() -> None:
    asked: list[int] = []

    evaluated(champion=a_champion(), predict=lambda rows: (asked.append(len(rows)), a_model().predict(rows))[1])

    assert asked == [1200]


def test_the_first_model_needs_no_champion_but_a_threshold() -> None:
    with_one = evaluated().verdict(a_spec())
    without = a_spec(gates={"champion": {"metric": "log_loss"}})

    assert with_one.status is Status.PASS
    assert evaluated(spec=without).verdict(without).status is Status.FAIL
    assert "no gate measured anything" in evaluated(spec=without).verdict(without).why


def test_no_gate_at_all_blesses_nothing() -> None:
    spec = a_spec(gates={})

    verdict = evaluated(spec=spec).verdict(spec)

    assert verdict.status is Status.FAIL
    assert "give gates.metrics a threshold" in verdict.why


def test_an_empty_test_set_blesses_nothing() -> None:
    found = evaluated(test=rides()[:0], champion=a_champion())

    assert found.rows == 0
    assert found.verdict(a_spec()).status is Status.FAIL
    assert "there are no test rows" in found.verdict(a_spec()).why


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_one_answer_that_is_no_number_blesses_nothing(broken: float) -> None:
    def predict(rows: pd.DataFrame) -> Any:
        answers = a_model().predict(rows)
        answers[3] = broken
        return answers

    found = evaluated(predict=predict, champion=a_champion())

    assert found.metrics == {}
    assert found.verdict(a_spec()).status is Status.FAIL
    assert "1 answers are no numbers" in found.verdict(a_spec()).why


def test_answers_of_another_shape_bless_nothing() -> None:
    found = evaluated(predict=lambda rows: np.zeros((len(rows), 2)))

    assert "shape (1200, 2), expected (1200,)" in found.verdict(a_spec()).why


def test_a_metric_that_cannot_be_told_fails_its_gate() -> None:
    one_class = rides(seed=5).assign(outcome=1.0)

    found = evaluated(test=one_class)

    assert set(found.unknown) == {"auc"}
    assert found.verdict(a_spec()).status is Status.FAIL
    assert "auc is not known (these rows do not tell it)" in found.verdict(a_spec()).why


@pytest.mark.parametrize(
    ("gate", "status"), [({"at_least": 0.6}, "PASS"), ({"at_least": 0.99}, "FAIL"), ({"at_most": 0.6}, "FAIL")]
)
def test_absolute_gates_bound_the_metric(gate: dict[str, float], status: str) -> None:
    spec = a_spec(gates={"metrics": {"auc": gate}})

    assert str(evaluated(spec=spec).verdict(spec).status) == status


def test_failed_gates_come_first_and_every_gate_is_answered() -> None:
    gates = {"auc": {"at_least": 0.6}, "log_loss": {"at_most": 0.01}, "brier": {"at_most": 0.9}}
    spec = a_spec(gates={"metrics": gates})

    verdict = evaluated(spec=spec).verdict(spec)

    assert [(check.subject, str(check.status)) for check in verdict.checks] == [
        ("log_loss", "FAIL"),
        ("auc", "PASS"),
        ("brier", "PASS"),
    ]


def with_segments(**changes: Any) -> ModelSpec:
    against = {"metric": "log_loss", "margin": 0.05, "segments": ["zone"], **changes}
    return a_spec(gates={"metrics": {"auc": {"at_least": 0.5}}, "champion": against})


def test_one_segment_that_is_worse_fails_though_the_whole_is_fine() -> None:
    def worse_in_the_north(rows: pd.DataFrame) -> Any:
        answers = a_model().predict(rows)
        return np.where(rows["zone"] == "north", 1 - answers, answers)

    spec = with_segments(margin=0.2, segment_rows_min=50)

    verdict = evaluated(predict=worse_in_the_north, champion=a_champion(), spec=spec).verdict(spec)

    assert [check.name for check in verdict.reasons] == ["champion:log_loss:zone = north"]
    assert "zone = north" in verdict.why


def test_rows_without_a_value_are_a_segment_of_their_own() -> None:
    def worse_where_missing(rows: pd.DataFrame) -> Any:
        answers = a_model().predict(rows)
        return np.where(rows["zone"].isna(), 1 - answers, answers)

    spec = with_segments(margin=0.2, segment_rows_min=50)

    verdict = evaluated(predict=worse_where_missing, champion=a_champion(), spec=spec).verdict(spec)

    assert [check.name for check in verdict.reasons] == ["champion:log_loss:zone = (missing)"]


def test_a_segment_with_too_few_rows_is_not_judged() -> None:
    spec = with_segments(segment_rows_min=10_000)

    verdict = evaluated(champion=a_champion(), spec=spec).verdict(spec)

    assert [check.name for check in verdict.checks] == ["gate:auc", "champion:log_loss"]


@pytest.mark.parametrize("where", [{"gates": {"champion": {"metric": "auc", "segments": ["zone"]}}},
                                   {"monitor": {"segments": ["zone"]}}], ids=["gates", "monitor"])  # fmt: skip
def test_each_category_that_the_declaration_names_is_told_however_small(where: dict[str, Any]) -> None:
    rows = rides(seed=5)
    rows.loc[rows.index[0], "zone"] = "moon"

    named = {one.name: one for one in evaluated(test=rows, spec=a_spec(**where)).named}

    assert {name: one.rows for name, one in named.items()} == {
        f"zone = {zone}": count for zone, count in rows["zone"].fillna("(missing)").value_counts().items()
    }
    assert {one.metric for one in named.values()} == {"auc" if "gates" in where else "log_loss"}
    assert named["zone = north"].interval is not None
    assert named["zone = moon"].rows == 1


def test_nothing_is_told_of_segments_that_nobody_named() -> None:
    assert evaluated().named == ()


def test_segments_have_a_margin_of_their_own() -> None:
    spec = with_segments(margin=0.2, segment_margin=0.0, segment_rows_min=50)

    verdict = evaluated(
        predict=lambda rows: np.clip(a_model().predict(rows) * 0.97, 0, 1), champion=a_champion(), spec=spec
    ).verdict(spec)

    assert {check.allowed for check in verdict.checks} == {0.5, 0.2, 0.0}


def test_a_champion_of_other_classes_is_compared_by_name() -> None:
    model = a_model("multiclass")
    turned = a_champion(
        "multiclass", predict=lambda rows: model.predict(rows)[:, ::-1], classes=tuple(reversed(model.classes))
    )

    found = evaluated("multiclass", champion=turned)

    assert found.comparison
    assert found.comparison.metrics["log_loss"].difference.value == 0


def test_the_same_seed_gives_the_same_evaluation() -> None:
    assert evaluated(seed=4).to_json() == evaluated(seed=4).to_json()


@pytest.mark.parametrize("test", [None, rides()[:0], rides(rows=30), rides().assign(outcome=1.0)])
def test_the_evidence_is_plain_json_without_nan(test: pd.DataFrame | None) -> None:
    content = evaluated(test=test, champion=a_champion()).to_json()

    assert json.loads(json.dumps(content, allow_nan=False)) == content


def test_the_search_finds_the_segment_that_was_spoiled() -> None:
    def upside_down_in_the_harbour(rows: pd.DataFrame) -> Any:
        answers = a_model().predict(rows)
        return np.where(rows["zone"] == "harbour", 1 - answers, answers)

    found = evaluated(predict=upside_down_in_the_harbour)

    assert found.weakest[0].name == "zone = harbour"
    assert len(found.weakest) == 5


def test_a_segment_is_never_smaller_than_a_hundred_rows() -> None:
    found = evaluated(test=rides(rows=600, seed=5)).weakest

    assert found
    assert all(segment.rows >= 100 for segment in found)
    assert evaluated(test=rides(rows=90, seed=5)).weakest == ()
