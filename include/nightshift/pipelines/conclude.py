"""What a window means: judged, decided, told."""

from datetime import datetime

from nightshift.alerts import Alert, send
from nightshift.governor import Decision, Situation
from nightshift.governor import decide as govern
from nightshift.ledger import Entry, Kind
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.window import has_too_few
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.profile.drift import DriftReport
from nightshift.verdict import Check, Status, Verdict, judge_window


def judge(work: Work) -> Outcome:
    """Say in one word how the window is, with every reason; write ``verdict.json``."""
    verdict = judge_window(_checks(work))
    work.run.write("verdict.json", verdict.to_json())
    return Outcome(f"{verdict.status}: {verdict.why}")


def decide(work: Work) -> Outcome:
    """Ask the governor, and enter the window into the ledger; write ``decision.json``."""
    request, window = MonitorRequest.of(work.run), work.run.read("window.json")
    verdict = Verdict.from_json(work.run.read("verdict.json"))
    decision = govern(work.spec.governor, _situation(work, verdict))
    work.run.write("decision.json", decision.to_json())
    body = {
        "run": work.holder,
        "rows": window["rows"],
        "version": window["version"],
        "verdict": verdict.to_json(),
        "why": verdict.why,
        "decision": decision.to_json(),
    }
    window_of = (request.start, request.end)
    before = [entry.body for entry in work.ledger.windows(work.spec.name) if (entry.start, entry.end) == window_of]
    if before != [body]:  # tried again, the same judgement is no second one
        work.ledger.append(work.spec.name, Kind.WINDOW, start=request.start, end=request.end, body=body, now=work.now())
    return Outcome(decision.sentence)


def alert(work: Work) -> Outcome:
    """Tell people, if there is something to tell."""
    request, spec = MonitorRequest.of(work.run), work.spec
    verdict = Verdict.from_json(work.run.read("verdict.json"))
    decision = Decision.from_json(work.run.read("decision.json"))
    if verdict.status is Status.HEALTHY:
        return Outcome("nobody needs to be told", Then.SKIP)
    reasons = "\n".join(f"- {check.sentence}" for check in verdict.reasons[:10])
    message = Alert(
        model=spec.name,
        incident=f"{spec.name}:{verdict.status}",
        title=f"{spec.name}: {verdict.status} from {request.start:%Y-%m-%d} to {request.end:%Y-%m-%d}",
        text=f"{reasons}\nDecided: {decision.sentence}.\nEvidence: {work.run.path}",
        at=work.now(),
    )
    sent = send(message, spec.alerts, folder=work.settings.state / "alerts")
    refused = f"; {', '.join(sent.failed)} did not take it" if sent.failed else ""
    return Outcome(f"told {', '.join(sent.channels) or 'nobody'}{refused}")


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


def _checks(work: Work) -> list[Check]:
    """Return all checks of the window: performance first, then the answers, then columns by what matters."""
    window, rows_min = work.run.read("window.json"), work.spec.monitor.rows_min
    if has_too_few(work):
        sentence = f"{window['judged']:,} predictions in the window, at least {rows_min:,} are needed to judge"
        return [Check("rows", Status.UNKNOWN, "window", sentence, window["judged"], rows_min, window["judged"])]
    measured, drift = work.run.read("performance.json"), work.run.read("drift.json")
    checks = [Check.from_json(check) for check in measured["checks"]]
    checks += DriftReport.from_json(drift["output"]).checks
    checks += DriftReport.from_json(drift["inputs"]).checks
    checks += [Check.from_json(check) for check in work.run.read("quality.json")["checks"]]
    return checks


def _situation(work: Work, verdict: Verdict) -> Situation:
    request, name, now = MonitorRequest.of(work.run), work.spec.name, work.now()
    earlier = [entry for entry in work.ledger.windows(name) if entry.end < request.end]
    requests = [entry.end for entry in earlier if entry.body["decision"]["retrain"]]
    lease = work.ledger.lease(name)
    return Situation(
        now=request.end,
        status=verdict.status,
        earlier=[Status(entry.body["verdict"]["status"]) for entry in _since_promotion(work, earlier)],
        last_request=max(requests, default=None),
        champion_as_of=_champion_as_of(work),
        building=lease.holder if lease and lease.until > now else None,
    )


def _since_promotion(work: Work, earlier: list[Entry]) -> list[Entry]:
    """Return the windows that speak of the version now judged: another one's illness is not its own."""
    version = work.run.read("window.json")["version"]
    return [entry for entry in earlier if entry.body["version"] == version]


def _champion_as_of(work: Work) -> datetime | None:
    promotions = work.ledger.entries(work.spec.name, Kind.PROMOTION)
    return promotions[-1].end if promotions else None
