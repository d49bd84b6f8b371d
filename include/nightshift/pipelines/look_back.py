"""What later knowledge says of earlier windows: restated where late data change them; and whether a retrain helped."""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

import pandas as pd

from nightshift.alerts import Alert, send
from nightshift.data.source import load_source
from nightshift.data.tables import labels as read_labels
from nightshift.errors import NightshiftError
from nightshift.governor import Decision
from nightshift.ledger import Entry
from nightshift.pipelines.entering import block, body_of, enter
from nightshift.pipelines.helping import did_it_help
from nightshift.pipelines.request import Cause, MonitorRequest
from nightshift.pipelines.steps import find_step
from nightshift.pipelines.telling import LEVELS
from nightshift.pipelines.work import Outcome, Work
from nightshift.predictions.log import PredictionLog
from nightshift.runs import RunFolder
from nightshift.spec import ModelSpec
from nightshift.verdict import Status, Verdict

WINDOWS = 4
"""How many windows back late records and labels are looked for."""
GAPS_MAX = 2
"""Windows are read together unless what lies between them would make that so many times the rows."""
LOOKED_AT = ("collect", "profile", "validate", "compare", "skew")
JUDGED = ("performance", "judge")
SKEW = "skew.json"
"""Where definitions have changed since, nothing can be compared again, and what was found then stands."""
KEPT = ("window.json", "window.parquet", "profile.json", "quality.json", "drift.json", "baselines.json")


def look_back(work: Work) -> Outcome:
    """Restate earlier windows that late data change, and tell whether the last retrain helped.

    Writes ``look_back.json``. A restated window is a second entry of the
    ledger: the old one stays, and so does what was decided then.
    """
    told = [*_restate_all(work), *_helped(work)]
    work.run.write("look_back.json", {"format": 1, "told": told})
    return Outcome("; ".join(told) or "nothing new of earlier windows")


def _restate_all(work: Work) -> Iterator[str]:
    """Restate what is to be restated; what cannot be looked at is said, and keeps no night from its own verdict."""
    for late in list(_late(work)):
        try:
            entry = _restate(work, late)
        except NightshiftError as error:
            yield f"{late.entry.start:%Y-%m-%d} cannot be judged again: {error}"
            continue
        if entry is not None:
            yield _sentence(entry)
            _tell_people(work, entry)


def _helped(work: Work) -> Iterator[str]:
    try:
        told = did_it_help(work)
    except NightshiftError as error:
        yield f"whether the last retrain helped cannot be told: {error}"
        return
    if told is not None:
        yield str(told.body["sentence"])


@dataclass(frozen=True)
class Late:
    """An earlier window of which more is known by now: so many records and labels more than when it was judged."""

    entry: Entry
    records: int
    labels: int

    @property
    def because(self) -> str:
        parts = [
            f"{abs(count):,} {'more' if count > 0 else 'fewer'} {what}"
            for count, what in ((self.records, "records"), (self.labels, "labels"))
            if count
        ]
        return f"{' and '.join(parts)} are known than when it was judged"


def _late(work: Work) -> Iterator[Late]:
    request = MonitorRequest.of(work.run)
    before = [entry for entry in work.ledger.windows(work.spec.name) if entry.end < request.end][-WINDOWS:]
    # where the evidence was cleared away, a window stays as it was judged
    before = [entry for entry in before if _folder(work, entry).file("request.json").exists()]
    for group in _near(before):
        known = _Known.of(work, group, request.end)
        for entry in group:
            late = Late(entry, known.records(entry) - entry.body["rows"], known.new_labels(entry))
            if late.records or late.labels:
                yield late


def _near(entries: Sequence[Entry]) -> list[Sequence[Entry]]:
    """Return windows that may be read at one go: all, unless there are long gaps between them."""
    judged = sum((entry.end - entry.start for entry in entries), timedelta())
    if entries and entries[-1].end - entries[0].start <= GAPS_MAX * judged:
        return [entries]
    return [[entry] for entry in entries]


@dataclass(frozen=True)
class _Known:
    """What log and source hold of several windows and their cohorts by now; each is read once."""

    rows: pd.DataFrame
    labels: pd.DataFrame
    spec: ModelSpec

    @classmethod
    def of(cls, work: Work, entries: Sequence[Entry], known_until: datetime) -> Self:
        spec = work.spec
        start, end = min(one.start for one in entries) - spec.label.mature_age, max(one.end for one in entries)
        rows, _ = PredictionLog(work.settings.predictions / spec.name).window(start, end)
        source = load_source(spec, work.settings.sources, work.settings.project)
        until = end - spec.label.mature_age
        return cls(rows, read_labels(source, spec, start=start, end=until, as_of=known_until), spec)

    def records(self, entry: Entry) -> int:
        """Return how many rows were answered."""
        return int((~self._between(entry.start, entry.end)["refused"].astype(bool)).sum())

    def new_labels(self, entry: Entry) -> int:
        """Return how many labels of the window's cohort have come in since it was judged."""
        before: int | None = entry.body.get("signals", {}).get("labelled")
        if before is None:
            return 0
        age = self.spec.label.mature_age
        rows = self._between(entry.start - age, entry.end - age)
        answered = (rows["version"] == entry.body["version"]) & ~rows["refused"].astype(bool)
        return int((answered & rows["key"].isin(self.labels[self.spec.key])).sum()) - before

    def _between(self, start: datetime, end: datetime) -> pd.DataFrame:
        return self.rows[(self.rows["time"] >= start) & (self.rows["time"] < end)]


def _restate(work: Work, late: Late) -> Entry | None:
    """Judge an earlier window by what is known now; none if that says what was said before."""
    entry, request = late.entry, _request(late.entry, MonitorRequest.of(work.run).end)
    again = replace(work, run=_folder_again(work, request))
    again.run.begin(request.to_json())
    judged = _folder(work, entry)
    if not late.records:
        _bring_evidence(judged, again.run, KEPT)
    for name in LOOKED_AT if late.records else ():
        find_step("monitor", name)(again)
    if not again.run.file(SKEW).exists():
        _bring_evidence(judged, again.run, [SKEW])
    for name in JUDGED:
        find_step("monitor", name)(again)
    verdict = Verdict.from_json(again.run.read("verdict.json"))
    body = body_of(again.run, again.holder, verdict, Decision.from_json(entry.body["decision"]))
    if (body["verdict"], body["signals"]) == (entry.body["verdict"], entry.body["signals"]):
        return None
    was = {"of": entry.id, "was": entry.body["verdict"]["status"], "because": late.because}
    block(again, request, verdict)
    return enter(again, request, {**body, "restated": was})


def _request(entry: Entry, known_until: datetime) -> MonitorRequest:
    return MonitorRequest(entry.start, entry.end, Cause.EVENT, False, None, as_of=known_until)


def _folder(work: Work, entry: Entry) -> RunFolder:
    """Return the folder of the run that judged the window."""
    return work.run.beside(str(entry.body["run"]))


def _folder_again(work: Work, request: MonitorRequest) -> RunFolder:
    run_id = f"restated__{request.start:%Y-%m-%dT%H%M}__known__{request.known_until:%Y-%m-%dT%H%M}"
    return RunFolder.of(work.settings.runs, model=work.spec.name, pipeline="monitor", run_id=run_id)


def _bring_evidence(judged: RunFolder, again: RunFolder, names: Sequence[str]) -> None:
    """Take over what is not looked at again."""
    for name in names:
        if judged.file(name).exists():
            shutil.copy(judged.file(name), again.file(name))


def _tell_people(work: Work, entry: Entry) -> None:
    """Send an alert if the window is worse than was said before."""
    was, now = (Status(status) for status in (entry.body["restated"]["was"], entry.body["verdict"]["status"]))
    if now is was or now is Status.HEALTHY:
        return
    message = Alert(
        model=work.spec.name,
        incident=f"{work.spec.name}:{now}",
        title=f"{work.spec.name}: {now} from {entry.start:%Y-%m-%d} to {entry.end:%Y-%m-%d}, restated",
        text=f"It was {was}; {entry.body['restated']['because']}.\n- {entry.body['why']}",
        at=work.now(),
        level=LEVELS[now],
    )
    send(message, work.spec.alerts.channels, folder=work.settings.alerts, address=work.address)


def _sentence(entry: Entry) -> str:
    was, now = entry.body["restated"]["was"], entry.body["verdict"]["status"]
    return f"restated {entry.start:%Y-%m-%d}, {was} before and {now} now: {entry.body['restated']['because']}"
