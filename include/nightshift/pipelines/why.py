"""Why a night was judged and decided as it was: one window of the ledger, told whole."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from nightshift.errors import RequestError
from nightshift.ledger import Entry, Kind
from nightshift.pipelines.standing import blocks, of_kind, pause_words, quiets
from nightshift.verdict import Check, Status, Verdict

SPOKEN = (Kind.BLOCK, Kind.RELEASE, Kind.ACCEPTANCE, Kind.SNOOZE)


def window_at(entries: Sequence[Entry], model: str, moment: datetime) -> Entry:
    """Return the newest judgement of the window that holds ``moment``; of several windows, of the one that ends last.

    Raises
    ------
    RequestError
        If no window holds it; the judged ones nearest to it are named.
    """
    windows = of_kind(entries, Kind.WINDOW)
    found = [entry for entry in windows if entry.start <= moment < entry.end]
    if found:
        return max(found, key=lambda entry: (entry.end, entry.id))
    starts = sorted({entry.start for entry in windows}, key=lambda start: abs(start - moment))[:3]
    near = ", ".join(f"{start:%Y-%m-%d}" for start in sorted(starts)) or "none at all"
    raise RequestError(f"no judged window of {model} holds {moment:%Y-%m-%d %H:%M}; the nearest begin on: {near}")


def explain(entries: Sequence[Entry], entry: Entry) -> dict[str, Any]:
    """Return everything the ledger knows of one window, as JSON holds it."""
    body, window = entry.body, (entry.start, entry.end)
    judged = [one for one in of_kind(entries, Kind.WINDOW) if (one.start, one.end) == window]
    verdict = Verdict.from_json(body["verdict"])
    outcome = [one.body for one in of_kind(entries, Kind.HELP) if one.start == entry.end]
    return {
        "model": entry.model,
        "start": entry.start.isoformat(),
        "end": entry.end.isoformat(),
        "judged_at": entry.at.isoformat(),
        "run": body["run"],
        "rows": body["rows"],
        "version": body["version"],
        "signals": body.get("signals", {}),
        "verdict": str(verdict.status),
        "reasons": [check.to_json() for check in verdict.reasons],
        "checks": [check.to_json() for check in verdict.checks],
        "segments": body.get("segments", {}),
        "decision": "retrain" if body["decision"]["retrain"] else "no retrain",
        "rule": body["decision"]["rule"],
        "trigger": body["decision"].get("trigger"),
        "because": body["decision"]["sentence"],
        "paused": pause_words(entries),
        "blocked": window in {(block.start, block.end) for block in blocks(entries)},
        "quiet": {subject: quiet.words for subject, quiet in quiets(entries, end=entry.end).items()},
        "said": [_said(one) for one in of_kind(entries, *SPOKEN) if (one.start, one.end) == window],
        "restated": body.get("restated"),
        "judgements": [_judgement(one) for one in judged],
        "helped": outcome[-1] if outcome else None,
    }


def lines(told: Mapping[str, Any]) -> Iterator[str]:
    """Yield the same for a person, a line each."""
    yield f"{told['model']}, {told['start'][:16]} to {told['end'][:16]}: {told['verdict']}"
    yield f"  answered by version {told['version'] or '–'}, {told['rows']:,} rows, judged by {told['run']}"
    yield from _signals(told["signals"])
    yield "reasons:" if told["reasons"] else "reasons: none, nothing speaks"
    for check in map(Check.from_json, told["reasons"]):
        yield f"  {check.status}  {check.subject}: {check.sentence}"
        yield f"      observed {_number(check.observed)}, allowed {_number(check.allowed)}, rows {_number(check.rows)}"
    for name, segment in told["segments"].items():
        if segment["status"] != Status.HEALTHY:
            yield f"  segment {name}: {segment['status']} on {segment['rows']:,} rows: {segment['why']}"
    yield from (f"  quiet: {subject} {words}" for subject, words in told["quiet"].items())
    yield f"decision: {told['decision']}"
    yield f"  rule: {told['rule']}" + (f", asked for by: {told['trigger']}" if told["trigger"] else "")
    yield f"  {told['because']}"
    if told["helped"]:
        yield f"  since then: {told['helped']['sentence']}"
    yield from (f"  {word}" for word in told["said"])
    if told["paused"]:
        yield f"  builds promote nothing {told['paused']}"
        yield f"      to go on: promote_{told['model']}, Resume automatic promotion"
    if told["blocked"]:
        form = f"nightshift release {told['model']} {told['start'][:10]} --by YOU --reason WHY"
        yield f"  its days are kept from training until: {form}"
    if len(told["judgements"]) > 1:
        yield "judged more than once:"
        yield from (f"  {one['judged_at'][:19]}  {one['verdict']}{one['because']}" for one in told["judgements"])


def _signals(signals: Mapping[str, Any]) -> Iterator[str]:
    if "drift" in signals:
        most = ", ".join(f"{name} {one['psi']:.2f}" for name, one in signals["columns"].items())
        yield f"  drift {signals['drift']:.3f}, of the answers {signals['output_drift']:.3f}; PSI: {most}"
    yield from (f"  {_beside(course)}" for course in signals.get("courses", ()))
    yield from (f"  {signals[name]['sentence']}" for name in ("cost", "shadow") if name in signals)
    if "realised" in signals:
        yield f"  labels: {signals['labelled']:,} known, {signals['coverage']:.0%} of the mature cohort"
    for what in ("realised", "estimated"):
        for name, metric in signals.get(what, {}).items():
            error = signals.get("estimate_errors", {}).get(name)
            off = (
                f", was off by {error:+.4f} where labels are known" if what == "estimated" and error is not None else ""
            )
            yield f"  {name} {what}: {metric['value']:.4f} ({metric['low']:.4f} to {metric['high']:.4f}){off}"


def _beside(course: Mapping[str, Any]) -> str:
    """Say how far a column is from each baseline that is known."""
    known = {"training": course["training"], "the windows before": course["trailing"]}
    known |= {"the same weekday before": course["same_weekday"]}
    far = ", ".join(f"{size:.2f} from {name}" for name, size in known.items() if size is not None)
    return f"{course['column']} ({course['measure']}): {far}; {course['onset']}"


def _judgement(entry: Entry) -> dict[str, Any]:
    restated = entry.body.get("restated")
    return {
        "id": entry.id,
        "judged_at": entry.at.isoformat(),
        "run": entry.body["run"],
        "verdict": entry.body["verdict"]["status"],
        "because": f", restated: {restated['because']}" if restated else "",
    }


def _said(entry: Entry) -> str:
    if entry.kind is Kind.BLOCK:
        return f"blocked on {entry.at:%Y-%m-%d %H:%M}: {'; '.join(entry.body['reasons'][:3])}"
    word = "released" if entry.kind is Kind.RELEASE else str(entry.kind)
    return f"{word} by {entry.body['by']} on {entry.at:%Y-%m-%d %H:%M}: {entry.body['reason']}"


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
