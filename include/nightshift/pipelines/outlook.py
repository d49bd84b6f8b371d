"""What the newest verdict of a model means for who waits for it: go on, skip, or wait."""

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Self

from nightshift.governor import sick_windows
from nightshift.ledger import Entry, Ledger
from nightshift.pipelines.standing import earlier_verdicts, was_released
from nightshift.settings import Settings
from nightshift.spec import ModelSpec, find_spec
from nightshift.verdict import Status


class WaitsFor(StrEnum):
    """What somebody waits for.

    ``drift``: so many sick windows as the model's policy wants for a retrain;
    any other verdict is an answer too. ``not broken``: data that can be worked
    with; a BROKEN window is waited out, or until a person releases it.
    """

    DRIFT = "drift"
    NOT_BROKEN = "not broken"


class Answer(StrEnum):
    """What to do now."""

    GO_ON = "go on"
    SKIP = "skip"
    WAIT = "wait"


@dataclass(frozen=True)
class Outlook:
    """The answer, why, and the ledger's entry that it comes from; none if there is none yet."""

    answer: Answer
    sentence: str
    entry: int | None = None
    verdict: str | None = None
    start: str | None = None
    end: str | None = None

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "answer": str(self.answer)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**{**content, "answer": Answer(content["answer"])})


def look(model: str, waits_for: WaitsFor, at: datetime | None) -> Outlook:
    """Return the outlook of a declared model now; ``at``: windows that ended before that do not count.

    Raises
    ------
    SpecError
        If no model is declared by this name.
    UnavailableError
        If the ledger does not answer; it may later.
    """
    settings = Settings.load()
    return outlook(Ledger(settings.ledger), find_spec(settings.specs, model), waits_for, at)


def outlook(ledger: Ledger, spec: ModelSpec, waits_for: WaitsFor, at: datetime | None) -> Outlook:
    """Return what the newest verdict means for who waits; a window of which there is none yet is waited for."""
    windows = ledger.windows(spec.name)
    newest = max(windows, key=lambda one: (one.end, one.id), default=None)
    if newest is None or (at and newest.end < at):
        since = f" that ends at {at:%Y-%m-%d %H:%M} or later" if at else ""
        return Outlook(Answer.WAIT, f"no window of {spec.name}{since} was judged yet")
    if waits_for is WaitsFor.NOT_BROKEN:
        return _not_broken(ledger, newest)
    return _drift(spec, windows, newest)


def _not_broken(ledger: Ledger, newest: Entry) -> Outlook:
    status = Status(newest.body["verdict"]["status"])
    if status is not Status.BROKEN:
        return _found(Answer.GO_ON, newest, f"{status}, which is not BROKEN")
    if was_released(ledger.entries(newest.model), newest.start, newest.end):
        return _found(Answer.GO_ON, newest, "BROKEN, and a person released it")
    return _found(Answer.WAIT, newest, f"BROKEN: {newest.body['why']}")


def _drift(spec: ModelSpec, windows: list[Entry], newest: Entry) -> Outlook:
    status = Status(newest.body["verdict"]["status"])
    if status not in (Status.DRIFTED, Status.DEGRADED):
        return _found(Answer.SKIP, newest, f"{status}: {newest.body['why']}")
    earlier = earlier_verdicts(windows, newest.body["version"], newest.start, newest=spec.governor.nights)
    sick, seen = sick_windows(spec.governor, earlier, status)
    words = f"{status}: {sick} of the last {seen} windows not healthy, {spec.governor.wanted} are wanted"
    return _found(Answer.GO_ON if sick >= spec.governor.wanted else Answer.SKIP, newest, words)


def _found(answer: Answer, newest: Entry, words: str) -> Outlook:
    status = str(newest.body["verdict"]["status"])
    sentence = f"{newest.model} from {newest.start:%Y-%m-%d} to {newest.end:%Y-%m-%d} is {words}"
    return Outlook(answer, sentence, newest.id, status, newest.start.isoformat(), newest.end.isoformat())
