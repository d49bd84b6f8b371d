"""A person's word about a model, given by a form: into the ledger, with who and why."""

from collections.abc import Callable, Mapping

from nightshift.ledger import Entry
from nightshift.pipelines import people
from nightshift.pipelines.operate_request import Action, OperateRequest
from nightshift.pipelines.people import Word
from nightshift.pipelines.work import Outcome, Work

Say = Callable[[Work, OperateRequest, Word], list[Entry]]
DONE: Mapping[Action, str] = {
    Action.ACCEPT: "accepted as normal",
    Action.SNOOZE: "snoozed",
    Action.RELEASE: "released for training",
    Action.RETRAIN: "a retrain is wished for",
    Action.RESET: "retrains in vain are forgiven",
}


def operate(work: Work) -> Outcome:
    """Write down what the operator says; tried again, it is not said twice.

    Raises
    ------
    RequestError
        If it makes no sense now: nothing is blocked on that day, the last window says nothing against that column.
    """
    request = OperateRequest.of(work.run)
    told = [entry for entry in work.ledger.entries(work.spec.name) if entry.body.get("run") == work.holder]
    if not told:
        word = Word(request.user, request.reason, work.now(), run=work.holder)
        told = SAY[request.action](work, request, word)
    sentences = [
        f"{DONE[request.action]}: {_subject(entry)}{entry.start:%Y-%m-%d} to {entry.end:%Y-%m-%d}" for entry in told
    ]
    said = f"{'; '.join(sentences)} (by {request.user}: {request.reason})"
    return Outcome(said, note=said)


def _subject(entry: Entry) -> str:
    return f"{entry.body['subject']}, " if "subject" in entry.body else ""


def _accept(work: Work, request: OperateRequest, word: Word) -> list[Entry]:
    assert request.subject
    assert request.lasts
    return [people.accept(work.ledger, work.spec, request.subject, word, lasts=request.lasts)]


def _snooze(work: Work, request: OperateRequest, word: Word) -> list[Entry]:
    assert request.subject
    assert request.lasts
    return [people.snooze(work.ledger, work.spec, request.subject, word, lasts=request.lasts)]


def _release(work: Work, request: OperateRequest, word: Word) -> list[Entry]:
    assert request.day
    return people.release(work.ledger, work.spec, request.day, word)


def _retrain(work: Work, _: OperateRequest, word: Word) -> list[Entry]:
    return [people.wish(work.ledger, work.spec, word)]


def _reset(work: Work, _: OperateRequest, word: Word) -> list[Entry]:
    return [people.reset(work.ledger, work.spec, word)]


SAY: Mapping[Action, Say] = {
    Action.ACCEPT: _accept,
    Action.SNOOZE: _snooze,
    Action.RELEASE: _release,
    Action.RETRAIN: _retrain,
    Action.RESET: _reset,
}
