"""What a window means: judged, decided, told."""

from dataclasses import replace
from datetime import timedelta

from nightshift.alerts import Alert, deliver, send
from nightshift.errors import UnavailableError
from nightshift.governor import Decision, Rule
from nightshift.governor import decide as govern
from nightshift.ledger import Kind
from nightshift.pipelines.entering import block, body_of, enter
from nightshift.pipelines.history import stray
from nightshift.pipelines.judging import checks_of, segments_of
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.situation import situation
from nightshift.pipelines.standing import quiets
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.verdict import Status, Verdict, judge_window

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
    return Outcome(
        decision.sentence + beside, note=f"**{verdict.status}**: {verdict.why}\n\n**{decision.sentence}**{beside}"
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


def alert(work: Work) -> Outcome:
    """Tell people, if there is something to tell: of the window, or of a segment in it."""
    request, spec = MonitorRequest.of(work.run), work.spec
    verdict = Verdict.from_json(work.run.read("verdict.json"))
    decision = Decision.from_json(work.run.read("decision.json"))
    sick = _sick_segments(work)
    _tell_of_moved_alias(work)
    if verdict.status is Status.HEALTHY and not sick and decision.rule is not Rule.TRIPPED:
        deliver(work.settings.state / "alerts")  # what a channel did not take in an earlier night
        return Outcome("nobody needs to be told", Then.SKIP)
    lines = [f"- {check.sentence}" for check in verdict.reasons[:10]]
    lines += [f"- {name} is {segment['status']}: {segment['why']}" for name, segment in sick.items()][:10]
    message = Alert(
        model=spec.name,
        incident=f"{spec.name}:{verdict.status}",
        title=f"{spec.name}: {verdict.status} from {request.start:%Y-%m-%d} to {request.end:%Y-%m-%d}",
        text="\n".join([*lines, f"Decided: {decision.sentence}.", *_what_to_do(work, verdict)]),
        at=work.now(),
    )
    sent = send(message, spec.alerts, folder=work.settings.state / "alerts")
    refused = f"; {', '.join(sent.failed)} did not take it" if sent.failed else ""
    return Outcome(f"told {', '.join(sent.channels) or 'nobody'}{refused}")


def _tell_of_moved_alias(work: Work) -> None:
    """Tell people that the champion was changed past gates and approval: an incident of its own."""
    model = work.spec.name
    try:
        champion = work.registry.champion(model)
    except UnavailableError:
        return  # the next night looks again; what is to be told of this window must not wait for MLflow
    moved = stray(work.ledger.entries(model), champion.version if champion else None)
    if moved:
        message = Alert(model, f"{model}:alias", f"{model}: the champion was moved by hand", moved, work.now())
        send(message, work.spec.alerts, folder=work.settings.state / "alerts")


def _sick_segments(work: Work) -> dict[str, dict[str, str]]:
    return {
        name: segment
        for name, segment in work.run.read("verdict.json")["segments"].items()
        if segment["status"] not in (Status.HEALTHY, Status.UNKNOWN)
    }


def _what_to_do(work: Work, verdict: Verdict) -> list[str]:
    day = f"{MonitorRequest.of(work.run).start:%Y-%m-%d}"
    words = [f"All of it: nightshift why {work.spec.name} {day}", f"Evidence: {work.run.path}"]
    if verdict.status is Status.BROKEN:
        words.insert(0, f"Its days are kept from training until: nightshift release {work.spec.name} {day}")
    return words


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
