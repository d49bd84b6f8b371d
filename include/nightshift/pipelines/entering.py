"""A window's entry in the ledger: what was seen, judged and decided."""

from typing import Any

from nightshift.governor import Decision
from nightshift.ledger import Entry, Kind
from nightshift.pipelines.judging import signals_of
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.standing import blocks, was_released
from nightshift.pipelines.work import Work
from nightshift.runs import RunFolder
from nightshift.verdict import Status, Verdict

FORMAT = 2


def body_of(run: RunFolder, holder: str, verdict: Verdict, decision: Decision) -> dict[str, Any]:
    """Return what the ledger keeps of a window, from the run that judged it."""
    window = run.read("window.json")
    return {
        "format": FORMAT,
        "run": holder,
        "rows": window["rows"],
        "version": window["version"],
        "signals": signals_of(run),
        "segments": run.read("verdict.json")["segments"],
        "verdict": verdict.to_json(),
        "why": verdict.why,
        "decision": decision.to_json(),
    }


def enter(work: Work, request: MonitorRequest, body: dict[str, Any]) -> Entry:
    """Append the window's entry; an earlier one of the same window stays, and this one counts from now on."""
    return work.ledger.append(
        work.spec.name, Kind.WINDOW, start=request.start, end=request.end, body=body, now=work.now()
    )


def block(work: Work, request: MonitorRequest, verdict: Verdict) -> bool:
    """Keep a BROKEN window's days out of the next snapshot until a person releases them; say whether they are kept out.

    A window that somebody released is not blocked again, however often it is judged.
    """
    if verdict.status is not Status.BROKEN:
        return False
    entries = work.ledger.entries(work.spec.name)
    if was_released(entries, request.start, request.end):
        return False
    if (request.start, request.end) not in {(standing.start, standing.end) for standing in blocks(entries)}:
        broken = [check.sentence for check in verdict.reasons if check.status is Status.BROKEN]
        body = {"run": work.holder, "reasons": broken}
        work.ledger.append(work.spec.name, Kind.BLOCK, start=request.start, end=request.end, body=body, now=work.now())
    return True
