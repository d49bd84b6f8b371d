"""Ledgers with a past: windows judged and decided, promotions, and what people said."""

from datetime import datetime, timedelta
from typing import Any

from factories.spine import DAY, a_check, a_day
from nightshift.governor import Decision, Rule, Trigger
from nightshift.ledger import Entry, Kind, Ledger
from nightshift.pipelines.people import Word
from nightshift.verdict import Check, Status, judge_window

ADA = Word("ada", "she looked", a_day(100))


def window(
    ledger: Ledger,
    number: int,
    status: Status = Status.HEALTHY,
    *,
    checks: list[Check] | None = None,
    retrain: bool = False,
    trigger: Trigger | None = None,
    version: str = "1",
    days: int = 1,
    **more: Any,
) -> Entry:
    """Enter the judgement of the window that begins on day ``number``."""
    verdict = judge_window(checks or [a_check(status)])
    rule = Rule.RETRAIN if retrain else Rule.HEALTHY
    decision = Decision(retrain, rule, "retrain: asked" if retrain else "no retrain, because of a test", trigger)
    body = {
        "run": f"monitor/night-{number}",
        "rows": 1000,
        "version": version,
        "verdict": verdict.to_json(),
        "why": verdict.why,
        "segments": {},
        "signals": {},
        "decision": decision.to_json(),
    }
    return enter(ledger, Kind.WINDOW, a_day(number), a_day(number) + days * DAY, **(body | more))


def promotion(ledger: Ledger, number: int, version: str, *, before: str | None = None) -> Entry:
    """Enter that ``version``, which learned until day ``number``, took over."""
    return enter(ledger, Kind.PROMOTION, a_day(number), a_day(number), version=version, before=before, run="build/x")


def helped(ledger: Ledger, number: int, version: str, answer: bool | None) -> Entry:
    """Enter whether ``version``, which learned until day ``number``, does better than the one before."""
    return enter(
        ledger, Kind.HELP, a_day(number), a_day(number + 7), version=version, helped=answer, sentence="it was compared"
    )


def enter(ledger: Ledger, kind: Kind, start: datetime, end: datetime, **body: Any) -> Entry:
    """Append any entry of ``bikes``; it is written down an hour after ``end``."""
    return ledger.append("bikes", kind, start=start, end=end, body=body, now=end + timedelta(hours=1))
