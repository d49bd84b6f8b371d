"""A release that needs a yes goes live with one, by who may give it, on evidence; and with none it does not."""

from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from factories.card import content
from factories.lineage import a_lineage
from factories.model import a_model, a_spec, rides
from factories.monitoring import ADA
from factories.registry import version
from factories.spine import a_check, a_day, a_ledger, a_run
from nightshift.errors import ReleaseError
from nightshift.files import write_json
from nightshift.governor import Decision, Rule, Trigger
from nightshift.ledger import Kind
from nightshift.model.comparison import Champion
from nightshift.model.evaluate import evaluate
from nightshift.pipelines import people
from nightshift.pipelines.approval import (
    Response,
    Said,
    answered,
    may_go_live_by,
    settle,
    started_by,
    time_left,
    unapproved,
)
from nightshift.pipelines.evidence import evidence, subject
from nightshift.pipelines.release import promote
from nightshift.pipelines.request import Asked, BuildRequest, Cause
from nightshift.pipelines.telling import waits_for_approval
from nightshift.pipelines.work import Then, Work
from nightshift.registry import ModelRegistry
from nightshift.registry.release import Release
from nightshift.settings import Settings
from nightshift.spec import ModelSpec
from nightshift.verdict import Status, judge_gates, judge_window

YES, NO = (lambda user: Response(True, "", user)), (lambda user: Response(False, "too few rows", user))
AS_OF = a_day(150)


class Aliases(ModelRegistry):
    """A registry of an alias, evidence in a folder, and what was attached in its order with the alias of then."""

    def __init__(self) -> None:
        self.live = "1"
        self.folder: Path | None = None
        self.attached: list[tuple[str, str, str]] = []

    def version(self, model: str, version_: str) -> Release:
        return Release.of_version(version(int(version_)))

    def evidence(self, model: str, version: str, name: str) -> Path:
        if self.folder is None:
            raise ReleaseError(f"{model} {version} is older than such evidence")
        return self.folder / name

    def attach(self, model: str, version: str, name: str, file: Path) -> None:
        self.attached.append((self.live, version, file.read_text()))

    def champion(self, model: str) -> Release | None:
        return Release.of_version(version(int(self.live)))

    def promote(self, model: str, version_: str, *, tags: Any) -> None:
        self.live = version_


class Asking(Work):
    """A build whose release waits for an answer."""

    @cached_property
    def registry(self) -> Aliases:
        return Aliases()


def declared(**approval: Any) -> ModelSpec:
    comparison = {"champion": {"metric": "log_loss", "margin": 0.1, "segments": ["zone"]}}
    return a_spec(promotion="approve", approval=approval, gates={"metrics": {"auc": {"at_least": 0.6}}} | comparison)


def a_build(folder: Path, spec: ModelSpec, *, user: str | None = "ada", cause: Cause = Cause.PERSON) -> Asking:
    """Return a build of version 2 up to its rehearsal; version 1 is the champion."""
    work = Asking(spec, a_run(folder / "runs"), Settings.load(state=folder))
    run = work.run
    asked = Asked(cause, a_day(151), {"as_of": AS_OF.isoformat(), "reason": "the <b>weather</b> | moved"}, user=user)
    run.begin(BuildRequest.from_asked(spec, asked).to_json())
    champion = Champion("1", lambda rows: a_model().predict(rows), a_day(0))
    evaluation = evaluate(a_model().predict, rides(rows=2000, seed=5), spec, champion=champion)
    run.write("evaluation.json", evaluation.to_json())
    run.write("verdict.json", judge_gates([a_check(Status.PASS, name="gate", subject="auc")]).to_json())
    run.write("lineage.json", a_lineage().to_json())
    run.write("rehearsal.json", {"golden_rows": 200})
    run.write("release.json", {"version": "2"})
    run.write("versions.json", {"began": work.now().isoformat()})
    work.ledger.take_lease(spec.name, work.holder, now=work.now(), lasts=timedelta(hours=6))
    return work


def a_release_folder(folder: Path) -> Path:
    """Return a folder with the records of a release that its card is made of."""
    card = content()
    records = {"spec": card.spec, "lineage": a_lineage().to_json(), "split": card.splits, "training": card.training}
    records |= {name: getattr(card, name) for name in ("evaluation", "verdict", "request")}
    for name in ("profile", "expectations", "checklist"):
        write_json(folder / f"{name}.json", None)
    for name, record in records.items():
        write_json(folder / f"{name}.json", record)
    return folder


@pytest.fixture
def work(tmp_path: Path) -> Asking:
    return a_build(tmp_path, declared(four_eyes=True))


# ---------------------------------------------------------------- answers


def test_without_an_answer_nothing_goes_live(work: Asking) -> None:
    outcome = promote(work)

    assert (outcome.then, work.registry.live) == (Then.SKIP, "1")
    assert outcome.sentence == "version 2 is registered; it waits for a person's approval, in Airflow"


def test_a_yes_lets_it_go_live_and_is_kept(work: Asking) -> None:
    said, _ = settle(work, YES("bob"))
    promote(work)

    (entry,) = work.ledger.entries("rides", Kind.APPROVAL)
    assert (said, work.registry.live) == (Said.APPROVED, "2")
    assert entry.body == {
        "run": work.holder, "version": "2", "answer": "approved", "by": "bob", "reason": "no reason given",
        "started_by": ["ada"],
    }  # fmt: skip


def test_who_approved_is_on_the_card_before_it_answers(work: Asking, tmp_path: Path) -> None:
    work.registry.folder = a_release_folder(tmp_path / "evidence")
    settle(work, YES("ada"))  # alone she may not
    settle(work, YES("bob"))

    promote(work)

    champions, versions, texts = zip(*work.registry.attached, strict=True)
    assert (champions, versions) == (("1", "1"), ("2", "2"))
    for text in texts:
        assert " by bob: no reason given" in text
        assert "ada alone" not in text


def test_nobody_decides_on_what_goes_live_by_itself_and_its_card_stays(tmp_path: Path) -> None:
    work = a_build(tmp_path, a_spec())
    work.registry.folder = a_release_folder(tmp_path / "evidence")

    promote(work)

    assert (work.registry.live, work.registry.attached) == ("2", [])


def test_a_release_without_the_evidence_of_a_card_goes_live_all_the_same(work: Asking) -> None:
    settle(work, YES("bob"))

    promote(work)

    assert (work.registry.live, work.registry.attached) == ("2", [])


def test_a_no_with_a_reason_keeps_the_champion_and_lets_others_build(work: Asking) -> None:
    said, outcome = settle(work, NO("bob"))
    skipped = promote(work)

    lease = work.ledger.lease("rides")
    assert (said, outcome.then, work.registry.live) == (Said.REFUSED, Then.STOP, "1")
    assert skipped.sentence == "version 2 is registered; it was refused: too few rows"
    assert lease is not None
    assert lease.until <= work.now()


def test_no_answer_in_time_keeps_the_champion(work: Asking) -> None:
    said, outcome = settle(work, Response(False, "", None))

    assert (said, outcome.then) == (Said.EXPIRED, Then.STOP)
    assert outcome.sentence == "version 2 is expired: nobody answered within 1 days"


@pytest.mark.parametrize(
    ("approval", "response", "why"),
    [
        ({"four_eyes": True}, YES("ada"), "ada alone started this build; somebody else must approve it"),
        ({}, Response(False, " ", "bob"), "bob refused it and did not say why; a no needs a reason"),
        ({"approvers": ["bob", "eve"]}, YES("ada"), "ada is none of the approvers: bob, eve"),
        ({"approvers": ["bob"]}, NO("ada"), "ada is none of the approvers: bob"),
    ],
)
def test_an_answer_that_does_not_count_is_kept_told_and_asked_for_again(
    tmp_path: Path, approval: dict[str, Any], response: Response, why: str
) -> None:
    work = a_build(tmp_path, declared(**approval))
    first = waits_for_approval(work, subject(work), link="http://here")

    said, _ = settle(work, response)
    second = waits_for_approval(work, subject(work), link="http://here")

    assert (said, promote(work).then) == (Said.VOID, Then.SKIP)
    assert first.alert
    assert second.alert
    assert "did not count" not in first.alert.text
    assert f"- an answer did not count: {why}\n" in second.alert.text
    assert settle(work, YES("bob"))[0] is Said.APPROVED
    assert unapproved(work.ledger.entries("rides"), "2", work.holder) is None


@pytest.mark.parametrize(
    ("approval", "response"),
    [({}, YES("ada")), ({"four_eyes": True}, NO("ada")), ({"approvers": ["ada"]}, YES("ada"))],
)
def test_who_started_it_may_answer_where_nothing_speaks_against_it(
    tmp_path: Path, approval: dict[str, Any], response: Response
) -> None:
    said, _ = settle(a_build(tmp_path, declared(**approval)), response)

    assert said is (Said.APPROVED if response.approves else Said.REFUSED)


def test_an_approval_is_of_one_version_and_one_build(work: Asking) -> None:
    settle(work, YES("bob"))
    entries = work.ledger.entries("rides")

    assert unapproved(entries, "3", work.holder)
    assert unapproved(entries, "2", "build/another")


@pytest.mark.parametrize("response", [YES("bob"), NO("bob"), Response(False, "", None)])
def test_what_was_answered_stands_and_is_not_asked_again(work: Asking, response: Response) -> None:
    assert answered(work) is None
    settle(work, YES("ada"))  # alone she may not
    assert answered(work) is None

    once = settle(work, response)

    assert answered(work) == once
    assert len(work.ledger.entries("rides", Kind.APPROVAL)) == 2


def test_a_question_that_expires_after_it_was_answered_takes_nothing_back(work: Asking) -> None:
    once = settle(work, YES("bob"))

    assert settle(work, Response(False, "", None)) == once
    assert unapproved(work.ledger.entries("rides"), "2", work.holder) is None
    assert len(work.ledger.entries("rides", Kind.APPROVAL)) == 1


def test_another_versions_answer_is_none_to_this_one(work: Asking) -> None:
    settle(work, YES("bob"))
    work.run.write("release.json", {"version": "3"})

    assert answered(work) is None


def test_the_time_to_answer_runs_from_the_first_question(work: Asking) -> None:
    first = time_left(work)
    work.run.write("approval.json", {"format": 1, "asked": (work.now() - timedelta(hours=23)).isoformat()})

    assert timedelta(hours=23) < first <= timedelta(days=1)
    assert timedelta(minutes=59) < time_left(work) <= timedelta(hours=1)


# ---------------------------------------------------------------- who started it


def test_nobody_started_a_nights_build(tmp_path: Path) -> None:
    assert started_by(a_build(tmp_path, declared(), user=None, cause=Cause.NIGHT)) == []


@pytest.mark.parametrize(("trigger", "starters"), [(Trigger.PERSON, ["ada"]), (Trigger.DRIFT, [])])
def test_who_wished_for_the_retrain_started_the_build(tmp_path: Path, trigger: Trigger, starters: list[str]) -> None:
    work = a_build(tmp_path, declared(), user=None, cause=Cause.EVENT)
    people.wish(work.ledger, work.spec, ADA)
    verdict = judge_window([a_check(Status.DRIFTED)])
    decision = Decision(True, Rule.RETRAIN, "retrain", trigger)
    body = {"run": "monitor/x", "verdict": verdict.to_json(), "decision": decision.to_json()}
    work.ledger.append("rides", Kind.WINDOW, start=a_day(143), end=AS_OF, body=body, now=AS_OF)

    assert started_by(work) == starters
    assert "The window 2013-05-24 to 2013-05-31 was DRIFTED:\n\n- DRIFTED says so" in evidence(work)


# ---------------------------------------------------------------- evidence


def test_the_evidence_compares_on_the_same_rows_and_says_what_caused_it(work: Asking) -> None:
    page = evidence(work)

    assert subject(work) == "Should version 2 of rides go live?"
    assert "**Beside the champion, version 1**, on the same 2,000 rows" in page
    assert "| log\\_loss | 2,000 | " in page
    assert "| zone = east | " in page
    assert "started by ada" in page
    assert "- PASS: PASS says so" in page
    assert "200 golden rows answered as recorded" in page
    assert "[release card](http://127.0.0.1:8080/nightshift/models/rides/versions/2/card)" in page
    assert "no certificate yet: run reproduce_rides with version 2" in page


def test_the_certificate_is_in_the_evidence_once_there_is_one(work: Asking) -> None:
    body = {"version": "2", "identical": True, "first_difference": None, "run": "reproduce/1"}
    work.ledger.append("rides", Kind.CERTIFICATE, start=AS_OF, end=AS_OF, body=body, now=AS_OF)

    assert "versions/2/certificate): the rebuild is identical" in evidence(work)


def test_nothing_that_others_wrote_is_markup(work: Asking) -> None:
    assert "the \\<b\\>weather\\</b\\> \\| moved" in evidence(work)


# ---------------------------------------------------------------- by hand


@pytest.mark.parametrize(
    ("approval", "user", "allowed"),
    [
        ({}, "ada", True),
        ({"approvers": ["bob"]}, "ada", False),
        ({"approvers": ["bob"]}, "bob", True),
        ({"four_eyes": True}, "ada", False),
        ({"four_eyes": True}, "bob", True),
    ],
)
def test_promotion_by_hand_is_no_way_around_an_approval(
    tmp_path: Path, approval: dict[str, Any], user: str, *, allowed: bool
) -> None:
    work = a_build(tmp_path, declared(**approval))
    settle(work, Response(False, "", None))

    assert (may_go_live_by(work.ledger.entries("rides"), work.spec, "2", user) is None) is allowed


def test_who_goes_back_to_what_was_live_needs_nobody(tmp_path: Path) -> None:
    spec, ledger = declared(approvers=["bob"]), a_ledger(tmp_path)
    body = {"version": "1", "before": None, "run": "build/1"}
    ledger.append("rides", Kind.PROMOTION, start=a_day(1), end=a_day(1), body=body, now=a_day(1))

    assert may_go_live_by(ledger.entries("rides"), spec, "1", "ada") is None
    assert may_go_live_by(ledger.entries("rides"), spec, "2", "ada")


def test_where_no_approval_is_declared_nobody_is_asked(tmp_path: Path) -> None:
    assert may_go_live_by([], a_spec(), "2", None) is None
