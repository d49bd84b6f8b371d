"""What an approver reads before a yes: one page in Markdown, from what the build has proven."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from nightshift.ledger import Kind
from nightshift.lineage.record import Lineage
from nightshift.pipelines.approval import asked_by, started_by
from nightshift.pipelines.request import BuildRequest
from nightshift.pipelines.work import Work
from nightshift.verdict import Verdict


def subject(work: Work) -> str:
    """Return the question in one line."""
    return f"Should version {work.run.read('release.json')['version']} of {work.spec.name} go live?"


def evidence(work: Work) -> str:
    """Return why it was built, how it does beside the champion on the same rows, and what is proven of it."""
    parts = [*_cause(work), *_gates(work), *_comparison(work), *_weakest(work), *_proof(work)]
    return "\n".join(parts) + "\n"


def _cause(work: Work) -> Iterator[str]:
    request = BuildRequest.of(work.run)
    asking = asked_by(work.ledger.entries(work.spec.name), request)
    who = ", ".join(started_by(work)) or "nobody; a night or the monitor"
    when = f"as of {request.as_of:%Y-%m-%d %H:%M} UTC, started by {_text(who)}"
    yield f"**Why it was built.** {_text(request.reason)} ({when})"
    if asking is not None:
        verdict = Verdict.from_json(asking.body["verdict"])
        yield f"\nThe window {asking.start:%Y-%m-%d} to {asking.end:%Y-%m-%d} was {verdict.status}:\n"
        yield from (f"- {_text(check.sentence)}" for check in verdict.reasons[:5])


def _gates(work: Work) -> Iterator[str]:
    yield "\n**Gates**\n"
    for check in Verdict.from_json(work.run.read("verdict.json")).checks:
        yield f"- {check.status}: {_text(check.sentence)}"


def _comparison(work: Work) -> Iterator[str]:
    found = work.run.read("evaluation.json")
    compared = found["comparison"]
    if not compared:
        yield "\n**Beside the champion.** There is none: this is the first version.\n"
        yield from _table(("metric", "candidate", "interval"), [
            (name, _number(one["value"]), f"{_number(one['low'])} to {_number(one['high'])}")
            for name, one in found["metrics"].items()
        ])  # fmt: skip
        return
    rows = f"the same {compared['rows']:,} rows, which neither has learned from"
    yield f"\n**Beside the champion, version {compared['version']}**, on {rows}\n"
    if not compared["rows"]:
        yield f"Nothing could be compared: {_text(compared['why_not'])}"
        return
    head = ("", "rows", "candidate", "champion", "difference", "interval")
    whole = [_paired(name, compared["rows"], paired) for name, paired in compared["metrics"].items()]
    parts = [_paired(name, one["rows"], one["paired"]) for name, one in compared["segments"].items()]
    yield from _table(head, [*whole, *parts])


def _paired(name: str, rows: int, paired: Mapping[str, Any] | None) -> Sequence[str]:
    if paired is None:
        return name, f"{rows:,}", "–", "–", "–", "these rows do not tell it"
    difference = paired["difference"]
    interval = f"{difference['low']:+.4f} to {difference['high']:+.4f}"
    values = _number(paired["candidate"]), _number(paired["champion"]), f"{difference['value']:+.4f}"
    return name, f"{rows:,}", *values, interval


def _weakest(work: Work) -> Iterator[str]:
    found = work.run.read("evaluation.json")["weakest"]
    if found:
        yield "\n**Where it is weakest**\n"
        yield from _table(("segment", "rows", "metric", "value"), [
            (one["name"], f"{one['rows']:,}", one["metric"], _number(one["interval"]["value"])) for one in found
        ])  # fmt: skip


def _proof(work: Work) -> Iterator[str]:
    model, version = work.spec.name, work.run.read("release.json")["version"]
    lineage, rehearsal = Lineage.from_json(work.run.read("lineage.json")), work.run.read("rehearsal.json")
    page = f"{work.settings.pages}/nightshift/models/{model}/versions/{version}"
    yield "\n**Proven**\n"
    yield f"- rehearsed on the real server: {rehearsal['golden_rows']:,} golden rows answered as recorded"
    yield f"- code {lineage.code.commit[:12]}, data {lineage.data.commit[:12] if lineage.data else 'unknown'}; " + (
        "can be reproduced" if lineage.reproducible else "**CANNOT be reproduced**"
    )
    yield f"- [release card]({page}/card)"
    yield f"- {_certificate(work, version, page)}"


def _certificate(work: Work, version: str, page: str) -> str:
    said = [one.body for one in work.ledger.entries(work.spec.name, Kind.CERTIFICATE) if one.body["version"] == version]
    if not said:
        return f"no certificate yet: run reproduce_{work.spec.name} with version {version} to get one"
    word = "identical" if said[-1]["identical"] else f"differs: {_text(said[-1]['first_difference'])}"
    return f"[certificate]({page}/certificate): the rebuild is {word}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(map(_text, row))} |" for row in rows)
    yield ""


def _text(value: str) -> str:
    """Return text that is no markup: a category may be called anything."""
    plain = "".join(char if char.isprintable() else " " for char in value)
    return "".join(f"\\{char}" if char in "\\`*_[]<>|#!" else char for char in plain)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
