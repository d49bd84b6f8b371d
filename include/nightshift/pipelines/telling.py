"""What people are told of a window: one message for one incident."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from nightshift.alerts import Level, Report, Told, tell
from nightshift.errors import UnavailableError
from nightshift.governor import Decision, Rule
from nightshift.ledger import Entry, Kind
from nightshift.pipelines.approval import voids
from nightshift.pipelines.history import stray
from nightshift.pipelines.judging import signals_of
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.standing import of_kind
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.predictions.pinned import pinned_in
from nightshift.settings import Settings
from nightshift.verdict import Status, Verdict

LEVELS: Mapping[Status, Level] = MappingProxyType(
    {
        Status.HEALTHY: Level.FINE,
        Status.UNKNOWN: Level.NOTICE,
        Status.DRIFTED: Level.NOTICE,
        Status.DEGRADED: Level.SERIOUS,
        Status.BROKEN: Level.URGENT,
    }
)
"""How bad each verdict is for people."""
FACTS_MAX = 10


def alert(work: Work) -> Outcome:
    """Tell people what they do not know yet: of the window, windows never judged, an alias moved by hand, a pin."""
    reports = [_window(work), _missed(work), _alias(work), _pin(work)]
    told = [
        tell(report, work.spec.alerts, folder=work.settings.alerts, address=work.address)
        for report in reports
        if report is not None
    ]
    news = [one.sentence for one in told if one.alert]
    if news:
        return Outcome("; ".join(news))
    return Outcome(told[0].sentence, Then.SKIP)


def waits_for_approval(work: Work, question: str, *, link: str) -> Told:
    """Tell people that a release waits for their yes, where to say it, and why an answer did not count.

    Airflow keeps the words with which a task asked first, so that a second try cannot say it there.
    """
    spec, void = work.spec, voids(work)
    report = Report(
        model=spec.name,
        thing="approval",
        level=Level.SERIOUS if void else Level.NOTICE,
        title=f"{spec.name}: {question}",
        key=f"{work.holder}, {len(void)} void",
        at=work.now(),
        facts=(
            *(f"an answer did not count: {why}" for why in void[-1:]),
            f"without an answer within {spec.approval.expires / timedelta(days=1):g} days the champion stays",
        ),
        to_do=("read the evidence and answer",),
        links=(("Answer", link),),
    )
    return tell(report, spec.alerts, folder=work.settings.alerts, address=work.address)


def was_answered(work: Work, sentence: str) -> Told:
    """Tell people that nobody waits for them any more."""
    report = Report(work.spec.name, "approval", Level.FINE, f"{work.spec.name}: {sentence}", "", work.now())
    return tell(report, work.spec.alerts, folder=work.settings.alerts, address=work.address)


def links(settings: Settings, model: str, *, dag: str, run_id: str = "", entry: int | None = None) -> Any:
    """Return where to look, by name: the run, and the ledger with its entry first."""
    run = f"/runs/{run_id}" if run_id else ""
    first = f"?before={entry + 1}" if entry is not None else ""
    return (
        ("Run", f"{settings.pages}/dags/{dag}{run}"),
        ("Ledger", f"{settings.pages}/nightshift/models/{model}/ledger{first}"),
    )


def _window(work: Work) -> Report:
    request, model = MonitorRequest.of(work.run), work.spec.name
    verdict = Verdict.from_json(work.run.read("verdict.json"))
    decision = Decision.from_json(work.run.read("decision.json"))
    sick = _sick_segments(work)
    facts = [check.sentence for check in verdict.reasons[:FACTS_MAX]]
    cost = signals_of(work.run).get("cost")
    facts += [cost["sentence"]] if cost else []
    facts += [f"{name} is {segment['status']}: {segment['why']}" for name, segment in sick.items()][:FACTS_MAX]
    newest_first = reversed(work.ledger.entries(model, Kind.WINDOW))
    mine = next((entry.id for entry in newest_first if entry.body["run"] == work.holder), None)
    return Report(
        model=model,
        thing="nights",
        level=_level(verdict, decision, sick),
        title=f"{model}: {verdict.status} from {request.start:%Y-%m-%d} to {request.end:%Y-%m-%d}",
        key=_key(verdict, decision, sick),
        at=work.now(),
        facts=tuple(facts),
        since=request.start,
        of=request.end,
        decided=decision.sentence,
        to_do=tuple(_to_do(work, verdict, decision)),
        links=links(work.settings, model, dag=f"monitor_{model}", run_id=work.run_id,
                    entry=mine),
    )  # fmt: skip


def _level(verdict: Verdict, decision: Decision, sick: Mapping[str, Any]) -> Level:
    tripped = Level.SERIOUS if decision.rule is Rule.TRIPPED else Level.FINE
    segments = Level.NOTICE if sick else Level.FINE
    return max(LEVELS[verdict.status], tripped, segments, key=list(Level).index)


def _key(verdict: Verdict, decision: Decision, sick: Mapping[str, Any]) -> str:
    """Return what the window says without its numbers: those differ each night and are no news."""
    subjects = sorted({f"{check.name} of {check.subject}" for check in verdict.reasons})
    segments = [f"{name} is {segment['status']}" for name, segment in sorted(sick.items())]
    return "; ".join([str(verdict.status), *subjects, *segments, "retrain" if decision.retrain else str(decision.rule)])


def _sick_segments(work: Work) -> dict[str, dict[str, str]]:
    return {
        name: segment
        for name, segment in work.run.read("verdict.json")["segments"].items()
        if segment["status"] not in (Status.HEALTHY, Status.UNKNOWN)
    }


def _to_do(work: Work, verdict: Verdict, decision: Decision) -> list[str]:
    model, day = work.spec.name, f"{MonitorRequest.of(work.run).start:%Y-%m-%d}"
    words = [f"all of it: nightshift why {model} {day}", f"the evidence is in {work.run.path}"]
    if decision.rule is Rule.TRIPPED:
        words.insert(0, f"find out why retrains do not help, then nightshift reset {model}, or operate_{model}")
    if verdict.status is Status.BROKEN:
        words.insert(
            0,
            "mend the source; its days are kept from training until "
            f"nightshift release {model} {day}, or operate_{model}",
        )
    return words


def _missed(work: Work) -> Report | None:
    """Return whether windows before this one were never judged; none for a window that is no night's."""
    request, model = MonitorRequest.of(work.run), work.spec.name
    gaps = unjudged(work.ledger.windows(model), until=request.start, at_least=work.spec.monitor.window)
    return Report(
        model=model,
        thing="gaps",
        level=Level.SERIOUS if gaps else Level.FINE,
        title=f"{model}: windows were never judged",
        key=str(len(gaps)),
        at=work.now(),
        facts=gap_words(gaps)[:FACTS_MAX],
        since=gaps[0][0] if gaps else None,
        of=request.end,
        to_do=(f"run a backfill of monitor_{model} over these days",),
        links=links(work.settings, model, dag=f"monitor_{model}"),
    )


def gap_words(gaps: Iterable[tuple[datetime, datetime]]) -> tuple[str, ...]:
    """Return each stretch that was never judged in words."""
    return tuple(f"nobody judged {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}" for start, end in gaps)


def unjudged(windows: Sequence[Entry], *, until: datetime, at_least: timedelta) -> list[tuple[datetime, datetime]]:
    """Return the stretches before ``until`` that lie between judged windows and were not judged, oldest first.

    What is shorter than ``at_least`` is no missed window: somebody may have judged another cut by hand.
    """
    found: list[tuple[datetime, datetime]] = []
    covered: datetime | None = None
    spans = sorted((entry.start, entry.end) for entry in windows if entry.start < until)
    for start, end in [*spans, (until, until)]:
        if covered and start - covered >= at_least:
            found.append((covered, start))
        covered = max(covered, end) if covered else end
    return found if spans else []


def _pin(work: Work) -> Report:
    """Return whether serving was told to answer with another version than the champion, or with it whatever comes."""
    model, pinned = work.spec.name, pinned_in(work.settings.predictions / work.spec.name)
    return Report(
        model=model,
        thing="pin",
        level=Level.NOTICE if pinned else Level.FINE,
        title=f"{model}: a version is pinned",
        key=pinned.sentence if pinned else "",
        at=work.now(),
        facts=(pinned.sentence,) if pinned else (),
        since=pinned.at if pinned else None,
        to_do=(f"let the champion answer again: DELETE /v1/models/{model}/pin",),
        links=links(work.settings, model, dag=f"monitor_{model}"),
    )


def _alias(work: Work) -> Report | None:
    """Return whether the champion was changed past gates and approval; none while MLflow does not say."""
    model = work.spec.name
    try:
        champion = work.registry.champion(model)
    except UnavailableError:
        return None  # the next night looks again; what is to be told of this window must not wait for MLflow
    entries = work.ledger.entries(model)
    moved = stray(entries, champion.version if champion else None)
    return Report(
        model=model,
        thing="alias",
        level=Level.URGENT if moved else Level.FINE,
        title=f"{model}: the champion was moved by hand",
        key=moved or "",
        at=work.now(),
        facts=(moved,) if moved else (),
        since=max((entry.end for entry in of_kind(entries, Kind.PROMOTION)), default=None),
        to_do=(f"let the version that should answer go live by promote_{model}",),
        links=links(work.settings, model, dag=f"promote_{model}"),
    )
