"""One window of the prediction log: collected, profiled, compared, judged, and decided upon.

Each step reads files that earlier steps wrote into the run folder, writes its
own, and can be run twice.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from nightshift.alerts import Alert, send
from nightshift.data.source import load_source
from nightshift.data.tables import labels as read_labels
from nightshift.files import read_json
from nightshift.governor import Decision, Situation
from nightshift.governor import decide as govern
from nightshift.ledger import Entry, Kind
from nightshift.model.metrics import LARGER_IS_BETTER
from nightshift.model.package import ModelPackage, open_package
from nightshift.pipelines.output import OUTPUT, logged_output
from nightshift.pipelines.request import Cause, MonitorRequest, outside_calendar
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.predictions.labels import join
from nightshift.predictions.log import PredictionLog
from nightshift.predictions.performance import Interval, Performance, measure
from nightshift.profile.contract import Contract
from nightshift.profile.drift import DriftReport
from nightshift.profile.drift import compare as compare_profiles
from nightshift.profile.expectations import validate as validate_rows
from nightshift.profile.profile import Profile
from nightshift.profile.variation import Variation
from nightshift.spec import Kind as ColumnKind
from nightshift.spec import Monitor
from nightshift.verdict import Check, Status, Verdict, judge_window


def request_of(work: Work) -> MonitorRequest:
    """Return which window this run judges."""
    return MonitorRequest.from_json(work.run.read("request.json"))


def collect(work: Work) -> Outcome:
    """Gather the window's predictions; write ``window.json`` and ``window.parquet``.

    Stops a night that lies outside the source's calendar. Which version is
    judged: the one that answered most rows of the window.
    """
    request = request_of(work)
    quiet = outside_calendar(work.spec, request.end) if request.cause is Cause.NIGHT else None
    if quiet:
        return Outcome(quiet, Then.STOP)
    log = PredictionLog(work.settings.predictions / work.spec.name)
    log.compact()
    rows, summary = log.window(request.start, request.end)
    answered = rows[~rows["refused"].astype(bool)]
    version = str(answered["version"].mode().iloc[0]) if len(answered) else None
    judged = answered[answered["version"] == version]
    judged.drop(columns=["problems", "sent"]).to_parquet(work.run.file("window.parquet"), index=False)
    work.run.write("window.json", {"format": 1, **summary.to_json(), "version": version, "judged": len(judged)})
    return Outcome(f"{summary.rows:,} predictions and {summary.refused:,} refusals; {_who(version, len(judged))}")


def profile(work: Work) -> Outcome:
    """Profile the window on the bins of the release that answered it; write ``profile.json``."""
    if _has_too_few(work):
        return Outcome("too few rows to profile")
    rows, reference = _window(work), _reference(work)
    inputs = Profile.of(rows[list(work.spec.features)], work.spec.kinds, bins_of=reference["inputs"])
    answers = pd.DataFrame({OUTPUT: rows[logged_output(work.spec)]})
    output = Profile.of(answers, {OUTPUT: ColumnKind.NUMERIC}, bins_of=reference["output"])
    work.run.write("profile.json", {"format": 1, "inputs": inputs.to_json(), "output": output.to_json()})
    return Outcome(f"{inputs.rows:,} rows in {len(inputs.columns)} columns, and what was answered")


def validate(work: Work) -> Outcome:
    """Hold the window to the contract of the release that answered it; write ``quality.json`` and ``docs/``."""
    if _has_too_few(work):
        return Outcome("too few rows to validate")
    contract = Contract.from_json(_package(work).contract)
    rows = _window(work)[list(work.spec.features)]
    report = validate_rows(rows, contract, docs=work.run.file("docs"), name=f"{work.spec.name} window")
    work.run.write("quality.json", report.to_json())
    return Outcome("the contract is kept" if report.success else _sentences(report.checks))


def compare(work: Work) -> Outcome:
    """Measure how far inputs and answers have moved from the reference; write ``drift.json``."""
    if _has_too_few(work):
        return Outcome("too few rows to compare")
    reference, current = _reference(work), work.run.read("profile.json")
    limits = work.spec.monitor.limits
    own = {part: Variation.from_json(content) for part, content in _package(work).profile["variation"].items()}
    inputs = compare_profiles(
        reference["inputs"],
        Profile.from_json(current["inputs"]),
        importance=_evidence(work, "training.json")["importance"],
        limits=limits,
        variation=own["inputs"],
    )
    output = compare_profiles(
        reference["output"],
        Profile.from_json(current["output"]),
        importance={},
        limits=limits,
        variation=own["output"],
        output=OUTPUT,
    )
    work.run.write("drift.json", {"format": 1, "inputs": inputs.to_json(), "output": output.to_json()})
    moved = [check for check in (*output.checks, *inputs.checks) if check.status is not Status.HEALTHY]
    return Outcome(_sentences(moved) or "nothing has moved that matters")


def performance(work: Work) -> Outcome:
    """Measure how right the answers were, as far as labels have matured at the window's end.

    Writes ``performance.json``; a metric is checked against the release's own
    on its test rows.
    """
    request, spec = request_of(work), work.spec
    if _has_too_few(work):
        return Outcome("too few rows to measure")
    source = load_source(spec, work.settings.sources, work.settings.project)
    labels = read_labels(source, spec, start=request.start, end=request.end, as_of=request.end)
    joined = join(_window(work), labels, key=spec.key, label=spec.label.column)
    measured = measure(joined, str(spec.task), classes=_package(work).classes)
    expected = _expected_metrics(work)
    checks = _performance_checks(measured, expected, spec.monitor)
    content = {"measured": measured.to_json(), "expected": expected, "checks": [check.to_json() for check in checks]}
    work.run.write("performance.json", {"format": 1, **content})
    known = f"{measured.coverage:.0%} of the labels are known"
    return Outcome(f"{known}; " + (_sentences(checks) or "not enough to check a metric"))


def judge(work: Work) -> Outcome:
    """Say in one word how the window is, with every reason; write ``verdict.json``."""
    verdict = judge_window(_checks(work))
    work.run.write("verdict.json", verdict.to_json())
    return Outcome(f"{verdict.status}: {verdict.why}")


def decide(work: Work) -> Outcome:
    """Ask the governor, and enter the window into the ledger; write ``decision.json``."""
    request, window = request_of(work), work.run.read("window.json")
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
    before = [entry for entry in work.ledger.windows(work.spec.name) if entry.start == request.start]
    if not before or before[-1].end != request.end or before[-1].body != body:
        work.ledger.append(work.spec.name, Kind.WINDOW, start=request.start, end=request.end, body=body, now=work.now())
    return Outcome(decision.sentence)


def alert(work: Work) -> Outcome:
    """Tell people, if there is something to tell."""
    request, spec = request_of(work), work.spec
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
    request = request_of(work)
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
    if _has_too_few(work):
        sentence = f"{window['judged']:,} predictions in the window, at least {rows_min:,} are needed to judge"
        return [Check("rows", Status.UNKNOWN, "window", sentence, window["judged"], rows_min, window["judged"])]
    measured, drift = work.run.read("performance.json"), work.run.read("drift.json")
    checks = [Check.from_json(check) for check in measured["checks"]]
    checks += DriftReport.from_json(drift["output"]).checks
    checks += DriftReport.from_json(drift["inputs"]).checks
    checks += [Check.from_json(check) for check in work.run.read("quality.json")["checks"]]
    return checks


def _situation(work: Work, verdict: Verdict) -> Situation:
    request, name, now = request_of(work), work.spec.name, work.now()
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


def _expected_metrics(work: Work) -> dict[str, float | None]:
    """Return the metrics that the release showed on its own test rows."""
    metrics = _evidence(work, "evaluation.json")["metrics"]
    return {name: interval["value"] for name, interval in metrics.items()}


def _performance_checks(measured: Performance, expected: Mapping[str, float | None], policy: Monitor) -> list[Check]:
    """Return a check for each limited metric; none while too few labels are known, for not known is not good."""
    if measured.labelled < policy.rows_min:
        return []
    return [
        _performance_check(name, measured.metrics[name], promised, worse, measured.labelled)
        for name, worse in policy.limits.performance.items()
        if name in measured.metrics and (promised := expected.get(name)) is not None
    ]


def _performance_check(name: str, found: Interval, promised: float, worse: float, rows: int) -> Check:
    """Call a metric degraded only if even the kind end of its interval is worse than allowed."""
    larger = name in LARGER_IS_BETTER
    bound, kind_end = (promised - worse, found.high) if larger else (promised + worse, found.low)
    fine = kind_end >= bound if larger else kind_end <= bound
    sentence = (
        f"{name} is {found.value:.3f} ({found.low:.3f} to {found.high:.3f}) on {rows:,} labelled rows, "
        f"was {promised:.3f} on the test rows; allowed is {'down' if larger else 'up'} to {bound:.3f}"
    )
    status = Status.HEALTHY if fine else Status.DEGRADED
    return Check(f"performance:{name}", status, name, sentence, found.value, bound, rows)


def _has_too_few(work: Work) -> bool:
    return bool(work.run.read("window.json")["judged"] < work.spec.monitor.rows_min)


def _window(work: Work) -> pd.DataFrame:
    return pd.read_parquet(work.run.file("window.parquet"))


def _package(work: Work) -> ModelPackage:
    """Return the package of the version that answered the window."""
    version = str(work.run.read("window.json")["version"])
    return open_package(work.registry.fetch(work.spec.name, version))


def _evidence(work: Work, name: str) -> Any:
    """Return a piece of evidence of the version that answered the window."""
    version = str(work.run.read("window.json")["version"])
    return read_json(work.registry.evidence(work.spec.name, version, name))


def _reference(work: Work) -> dict[str, Profile]:
    content = _package(work).profile
    return {part: Profile.from_json(content[part]) for part in ("inputs", "output")}


def _who(version: str | None, rows: int) -> str:
    return f"judging the {rows:,} of version {version}" if version else "nobody was asked"


def _sentences(checks: Any) -> str:
    return "; ".join(check.sentence for check in checks)


STEPS = (collect, profile, validate, compare, performance, judge, decide, alert, request_retraining)
