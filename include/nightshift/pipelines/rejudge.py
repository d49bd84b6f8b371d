"""Stored nights judged and decided again under another policy: from the ledger and stored evidence, without raw data.

What was answered stays as it was: under another policy another champion might
have answered, which nobody can know. So the retrains that it would have asked
for are counted, and their effect is not imagined.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from nightshift.files import read_json
from nightshift.governor import Decision, Retrain, Situation, Trigger, decide
from nightshift.ledger import Entry, Kind
from nightshift.model.package import open_package
from nightshift.pipelines.judging import skewed, too_few, weigh
from nightshift.pipelines.measure import measured_checks
from nightshift.pipelines.movement import moved
from nightshift.pipelines.standing import of_kind, quiets, reset, retrains
from nightshift.profile.drift import DriftReport
from nightshift.registry import ModelRegistry
from nightshift.runs import RunFolder
from nightshift.settings import Settings
from nightshift.spec import ModelSpec
from nightshift.verdict import Check, Status, Verdict, judge_window

SILENT = (Status.HEALTHY, Status.UNKNOWN)
EVIDENCE = ("window.json", "profile.json", "drift.json", "performance.json", "quality.json")


@dataclass(frozen=True)
class Judged:
    """What one policy made of a window."""

    verdict: Verdict
    decision: Decision

    def to_json(self) -> dict[str, Any]:
        words = {"because": self.decision.sentence, "retrain": self.decision.retrain, "rule": str(self.decision.rule)}
        return {"verdict": str(self.verdict.status), "why": self.verdict.why, **words}


@dataclass(frozen=True)
class Night:
    """One window under both policies; ``incident`` is what was truly wrong with it, as known since, or nothing."""

    start: datetime
    end: datetime
    incident: str
    recorded: Judged
    policy: Judged
    has_evidence: bool

    def to_json(self) -> dict[str, Any]:
        moments = {"start": self.start.isoformat(), "end": self.end.isoformat()}
        sides = {"recorded": self.recorded.to_json(), "policy": self.policy.to_json()}
        return {**moments, **sides, "incident": self.incident, "has_evidence": self.has_evidence}


@dataclass(frozen=True)
class Replay:
    """All nights side by side, oldest first."""

    model: str
    nights: tuple[Night, ...]

    def totals(self, side: str) -> dict[str, int]:
        """Return how often ``recorded`` or ``policy`` alarmed, asked for a retrain, and missed an incident."""
        judged = [(night, getattr(night, side)) for night in self.nights]
        return {
            "windows": len(judged),
            "alerts": sum(one.verdict.status is not Status.HEALTHY for _, one in judged),
            "retrains": sum(one.decision.retrain for _, one in judged),
            "missed_incidents": sum(bool(night.incident) and one.verdict.status in SILENT for night, one in judged),
        }

    def to_json(self) -> dict[str, Any]:
        totals = {side: self.totals(side) for side in ("recorded", "policy")}
        return {"model": self.model, "totals": totals, "windows": [night.to_json() for night in self.nights]}


def replay(
    entries: Sequence[Entry], declared: ModelSpec, policy: ModelSpec, *, settings: Settings, registry: ModelRegistry
) -> Replay:
    """Return every window of the ledger as it was judged at the time, and as ``policy`` would have.

    Parameters
    ----------
    entries
        The model's ledger.
    declared
        The declaration; what counts as an incident is measured by its limits.
    policy
        The same with another ``monitor`` and ``governor``.
    registry
        Asked for the reference profile of a release only if the policy allows another drift.
    """
    evidence = _Evidence(declared, policy, settings, registry)
    nights: list[Night] = []
    for entry in _as_judged_then(entries):
        recorded = Judged(Verdict.from_json(entry.body["verdict"]), Decision.from_json(entry.body["decision"]))
        checks = evidence.checks(entry, quiets(entries, end=entry.end))
        verdict = judge_window(checks) if checks is not None else recorded.verdict
        decision = decide(policy.governor, _situation(entries, entry, verdict.status, nights, evidence))
        incident = _incident(entries, entry)
        nights.append(Night(entry.start, entry.end, incident, recorded, Judged(verdict, decision), checks is not None))
    return Replay(declared.name, tuple(nights))


def _as_judged_then(entries: Sequence[Entry]) -> list[Entry]:
    """Return the judgement of each window that was not restated later, by window."""
    windows = [entry for entry in of_kind(entries, Kind.WINDOW) if not entry.body.get("restated")]
    latest = {(entry.start, entry.end): entry for entry in windows}
    return [latest[window] for window in sorted(latest)]


@dataclass(frozen=True)
class _Evidence:
    declared: ModelSpec
    policy: ModelSpec
    settings: Settings
    registry: ModelRegistry

    def folder(self, entry: Entry) -> RunFolder:
        return RunFolder(self.settings.runs / self.declared.name / str(entry.body["run"]))

    def checks(self, entry: Entry, quiet: Mapping[str, Any]) -> list[Check] | None:
        """Return the window's checks under the policy; none if its evidence is gone, or was never gathered."""
        run, least = self.folder(entry), self.policy.monitor.rows_min
        judged = entry.body.get("signals", {}).get("judged")
        if judged is not None and judged < least:
            return [too_few(judged, least)]
        if not all(run.file(name).exists() for name in EVIDENCE):
            return None
        measured = run.read("performance.json")
        if "usual_errors" not in measured:
            return None
        quality = [Check.from_json(check) for check in run.read("quality.json")["checks"]]
        weighed = weigh(measured_checks(measured, self.policy), *self._moved(entry, run), quality, quiet)
        return [*skewed(run, quiet), *weighed]

    def _moved(self, entry: Entry, run: RunFolder) -> tuple[DriftReport, DriftReport]:
        if self._allows_the_same():
            drift = run.read("drift.json")
            return DriftReport.from_json(drift["inputs"]), DriftReport.from_json(drift["output"])
        name, version = self.declared.name, str(entry.body["version"])
        release = open_package(self.registry.fetch(name, version))
        importance = read_json(self.registry.evidence(name, version, "training.json"))["importance"]
        return moved(release.profile, run.read("profile.json"), importance=importance, policy=self.policy.monitor)

    def _allows_the_same(self) -> bool:
        before, now = self.declared.monitor, self.policy.monitor
        metrics: dict[str, Any] = {"performance": {}}
        return (before.false_alarm_rate, before.limits.model_copy(update=metrics)) == (
            now.false_alarm_rate,
            now.limits.model_copy(update=metrics),
        )


def _situation(
    entries: Sequence[Entry], entry: Entry, status: Status, nights: Sequence[Night], evidence: _Evidence
) -> Situation:
    """Return what the governor would have known then: of its own retrains, and of what people said."""
    known = [one for one in entries if one.id < entry.id]
    versions = {(one.start, one.end): one.body["version"] for one in of_kind(entries, Kind.WINDOW)}
    before = [night for night in nights if night.end < entry.end]
    promotions = of_kind(known, Kind.PROMOTION)
    run = evidence.folder(entry)
    measured = run.read("performance.json") if run.file("performance.json").exists() else {}
    mine = versions[entry.start, entry.end]
    return Situation(
        now=entry.end,
        status=status,
        earlier=[night.policy.verdict.status for night in before if versions[night.start, night.end] == mine],
        retrains=_retrains(known, before),
        champion_as_of=promotions[-1].end if promotions else None,
        new_labels=measured.get("new_labels", 0),
        wish=_wish(known, before),
        reset=reset(known),
    )


def _retrains(known: Sequence[Entry], before: Sequence[Night]) -> list[Retrain]:
    """Return what the policy would have asked for; what came of it is known where it was asked for in fact."""
    outcomes = {retrain.asked: retrain.helped for retrain in retrains(known, waiting=True)}
    return [Retrain(night.end, outcomes.get(night.end)) for night in before if night.policy.decision.retrain]


def _wish(known: Sequence[Entry], before: Sequence[Night]) -> str | None:
    wishes = of_kind(known, Kind.WISH)
    met = sum(night.policy.decision.retrain and night.policy.decision.trigger is Trigger.PERSON for night in before)
    return f"{wishes[-1].body['by']} ({wishes[-1].body['reason']})" if len(wishes) > met else None


def _incident(entries: Sequence[Entry], entry: Entry) -> str:
    """Return what was wrong in truth: broken data, or labels that show it by the declared limits; nothing if nothing.

    Labels speak of their own cohort: the judgement whose cohort covers most of the window is asked.
    """
    windows = of_kind(entries, Kind.WINDOW)
    own = [one for one in windows if (one.start, one.end) == (entry.start, entry.end)][-1]
    if Verdict.from_json(own.body["verdict"]).status is Status.BROKEN:
        return "broken"
    covering = max(windows, key=lambda one: (_overlap(one, entry), one.id))
    if not _overlap(covering, entry):
        return ""
    checks = Verdict.from_json(covering.body["verdict"]).checks
    worse = [check for check in checks if check.name.startswith("performance:") and check.status is Status.DEGRADED]
    return f"{worse[0].subject} was worse than allowed" if worse else ""


def _overlap(judged: Entry, window: Entry) -> timedelta:
    """Return how much of the window the cohort of a judgement covers."""
    cohort = judged.body.get("signals", {}).get("cohort")
    if cohort is None:
        return timedelta(0)
    start, end = (datetime.fromisoformat(cohort[name]) for name in ("start", "end"))
    return max(min(end, window.end) - max(start, window.start), timedelta(0))


def side_by_side(found: Replay) -> Iterator[tuple[str, ...]]:
    """Yield a row for each window: since when, both verdicts, both decisions, and what was truly wrong."""
    for night in found.nights:
        words = (
            "retrain" if side.decision.retrain else str(side.decision.rule) for side in (night.recorded, night.policy)
        )
        recorded, policy = words
        gone = "" if night.has_evidence else " (evidence is gone)"
        yield (
            f"{night.start:%Y-%m-%d}",
            str(night.recorded.verdict.status),
            f"{night.policy.verdict.status}{gone}",
            recorded,
            policy,
            night.incident,
        )
