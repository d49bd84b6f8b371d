"""What a window means: judged, decided."""

from dataclasses import replace
from datetime import timedelta

from nightshift.governor import Decision
from nightshift.governor import decide as govern
from nightshift.ledger import Kind
from nightshift.pipelines.entering import block, body_of, enter
from nightshift.pipelines.judging import checks_of, segments_of
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.situation import situation
from nightshift.pipelines.standing import quiets
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.verdict import Verdict, judge_window

ASKED_LASTS = timedelta(hours=1)
"""How long a retrain that was asked for keeps others from being asked for, until its build takes the lease itself."""


def judge(work: Work) -> Outcome:
    """Say in one word how the window is, with every reason; write ``verdict.json``."""
    quiet = quiets(work.ledger.entries(work.spec.name), end=MonitorRequest.of(work.run).end)
    verdict = judge_window(checks_of(work.run, work.spec.monitor, quiet))
    work.run.write("verdict.json", {**verdict.to_json(), "segments": segments_of(work.run, quiet)})
    return Outcome(f"{verdict.status}: {verdict.why}", note=f"**{verdict.status}**: {verdict.why}")


def decide(work: Work) -> Outcome:
    """Ask the governor, block what is broken, and enter the window into the ledger; write ``decision.json``.

    Tried again, the same judgement is no second entry and the decision stays
    what it was: a build that has begun by then is its own.
    """
    request, verdict = MonitorRequest.of(work.run), Verdict.from_json(work.run.read("verdict.json"))
    entries = work.ledger.entries(work.spec.name)
    before = [
        entry.body
        for entry in entries
        if entry.kind is Kind.WINDOW and (entry.start, entry.end) == (request.start, request.end)
    ]
    mine = [body for body in before if body["run"] == work.holder and body["verdict"] == verdict.to_json()]
    decision = Decision.from_json(mine[-1]["decision"]) if mine else _decided(work, verdict)
    work.run.write("decision.json", decision.to_json())
    body = body_of(work.run, work.holder, verdict, decision)
    if not before or before[-1] != body:
        enter(work, request, body)
    blocked = block(work, request, verdict)
    beside = "; its days are blocked from training until a person releases them" if blocked else ""
    event = {"verdict": str(verdict.status), "retrain": decision.retrain, "sentence": decision.sentence}
    return Outcome(
        decision.sentence + beside,
        event={**event, "start": request.start.isoformat(), "end": request.end.isoformat()},
        note=f"**{verdict.status}**: {verdict.why}\n\n**{decision.sentence}**{beside}",
    )


def _decided(work: Work, verdict: Verdict) -> Decision:
    """Return the decision; a retrain only if nobody else asked for one between the question and the answer."""
    seen = situation(work, verdict.status)
    decision = govern(work.spec.governor, seen)
    if not decision.retrain:
        return decision
    if not work.ledger.reserve(work.spec.name, work.holder, now=work.now(), lasts=ASKED_LASTS):
        other = work.ledger.lease(work.spec.name)
        return govern(work.spec.governor, replace(seen, building=other.holder if other else "another one"))
    # asked again with the lease in hand: what another window asked for in between counts against the budget
    decision = govern(work.spec.governor, situation(work, verdict.status))
    if not decision.retrain:
        work.ledger.end_lease(work.spec.name, work.holder, now=work.now())
    return decision


def request_retraining(work: Work) -> Outcome:
    """Announce that a build is wanted, if the governor decided so."""
    request = MonitorRequest.of(work.run)
    decision = Decision.from_json(work.run.read("decision.json"))
    if not decision.retrain:
        return Outcome(decision.sentence, Then.SKIP)
    event = {
        "as_of": request.end.isoformat(),
        "reason": decision.sentence,
        "window": [request.start.isoformat(), request.end.isoformat()],
        "allow_unreproducible": request.allow_unreproducible,
    }
    return Outcome(f"{work.spec.retrain_asset} asks for a build as of {request.end:%Y-%m-%d}", event=event)
