"""What stands on a card, section by section: words, tables and pictures, in no markup yet."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from markupsafe import Markup
from pydantic import TypeAdapter

from nightshift.card.content import CardContent
from nightshift.card.limits import known_limits
from nightshift.card.pictures import bars, curve, profile_picture

SHOWN_FEATURES = 24
DIGEST_SHOWN = 16
DURATIONS = TypeAdapter(timedelta)


@dataclass(frozen=True)
class Table:
    """Cells as text; every row has as many as ``head``."""

    head: Sequence[str]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Picture:
    """A drawing for the page, and the words that stand for it elsewhere."""

    caption: str
    svg: Markup


@dataclass(frozen=True)
class Section:
    """A heading and what is below it."""

    title: str
    words: Sequence[str] = ()
    points: Sequence[str] = ()
    tables: Sequence[Table] = ()
    pictures: Sequence[Picture] = ()


def sections(content: CardContent) -> list[Section]:
    """Return the card's sections in the order a reader asks: what for, how good, from what, proven how, what not."""
    makers: Sequence[Callable[[CardContent], Section | None]] = (
        _purpose, _gates, _performance, _segments, _comparison, _weakest, _data, _lineage, _training, _inputs, _quality,
        _checklist, _decision, _certificate, _limits,
    )  # fmt: skip
    return [section for section in (make(content) for make in makers) if section is not None]


def _purpose(content: CardContent) -> Section:
    spec = content.spec
    owner = f"{spec['owner']['team']}, {spec['owner']['contact']}"
    target = f"{spec['label']['column']}, known {_duration(spec['label']['matures_after'])} after the event"
    rows = [("task", spec["task"]), ("predicts", target), ("owner", owner), ("one row is one", spec["key"])]
    return Section("Purpose", [spec["purpose"]], tables=[Table(("", ""), rows)])


def _gates(content: CardContent) -> Section:
    checks = content.verdict["checks"]
    words = [f"{content.verdict['status']}: {_passed(checks)}"]
    rows = [(check["status"], check["name"], check["sentence"]) for check in checks]
    return Section("Gates", words, tables=[Table(("", "gate", "what was found"), rows)] if rows else [])


def _passed(checks: Sequence[Mapping[str, Any]]) -> str:
    met = sum(check["status"] == "PASS" for check in checks)
    return f"{met} of {len(checks)} gates are met." if checks else "no gate is declared."


def _performance(content: CardContent) -> Section:
    evaluation = content.evaluation
    rows = [(name, *_interval(interval)) for name, interval in evaluation["metrics"].items()]
    rows += [(name, "not known", why) for name, why in evaluation.get("unknown", {}).items()]
    drawn = {"days": "whole days were drawn", "rows": "single rows were drawn"}.get(evaluation.get("resampled", ""), "")
    words = [
        f"On {evaluation['rows']:,} test rows that the model has not learned from. Intervals hold 95 %"
        + (f"; {drawn} for them." if drawn else ".")
    ]
    return Section("Performance", words, tables=[Table(("metric", "value", "interval"), rows)])


def _segments(content: CardContent) -> Section | None:
    found = content.evaluation.get("segments")
    if not found:
        return None
    against = content.spec["gates"]["champion"] or {"segments": (), "segment_rows_min": 0}
    words = ["Each category of the features that the declaration names, on the test rows."]
    if against["segments"]:
        named = ", ".join(against["segments"])
        words.append(
            f"In those of {named} with at least {against['segment_rows_min']:,} rows it may not be worse than the "
            "champion; of fewer rows no gate asks, since they would not tell."
        )
    rows = [
        (
            one["name"],
            f"{one['rows']:,}",
            one["metric"],
            *(_interval(one["interval"]) if one["interval"] else ("–", "–")),
        )
        for one in found
    ]
    return Section("Named segments", words, tables=[Table(("segment", "rows", "metric", "value", "interval"), rows)])


def _comparison(content: CardContent) -> Section:
    found = content.evaluation.get("comparison")
    if not found:
        return Section("Against the champion", ["There was no champion to compare with."])
    words = [f"Champion: version {found['version']}, which learned from rows before {_moment(found['learned_until'])}."]
    if not found["rows"]:
        return Section("Against the champion", [*words, f"Nothing could be compared: {found['why_not']}."])
    words.append(
        f"Both were asked the same {found['rows']:,} later rows; the difference is this model less the champion."
    )
    pairs = [(name, found["rows"], one) for name, one in found["metrics"].items()]
    pairs += [(name, one["rows"], one["paired"]) for name, one in found.get("segments", {}).items()]
    rows = [(name, f"{count:,}", *_paired(one)) for name, count, one in pairs]
    table = Table(("", "rows", "this", "champion", "difference", "interval"), rows)
    return Section("Against the champion", words, tables=[table])


def _paired(pair: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield four cells; dashes where the rows do not tell it, for which the gate fails."""
    if pair is None:
        yield from ("–",) * 4
        return
    yield from (_number(pair["candidate"]), _number(pair["champion"]), *_interval(pair["difference"]))


def _weakest(content: CardContent) -> Section | None:
    found = content.evaluation.get("weakest")
    if not found:
        return None
    words = ["Where it is worst off, of all single categories, quarters of numbers and missing values."]
    rows = [(one["name"], f"{one['rows']:,}", one["metric"], *_interval(one["interval"])) for one in found]
    return Section("Weakest segments", words, tables=[Table(("segment", "rows", "metric", "value", "interval"), rows)])


def _data(content: CardContent) -> Section:
    rows = [
        (
            name,
            f"{one['rows']:,}",
            _moment(one["first"]),
            _moment(one["last"]),
            _share(one["label_mean"]),
            _short(one["digest"]),
        )
        for name, one in sorted(content.splits["splits"].items(), key=lambda split: split[1]["start"])
    ]
    head = ("split", "rows", "first", "last", "mean label", "content digest")
    words = [f"As it was known at {_moment(content.splits['as_of'])} UTC, split by time."]
    return Section("Data", words, tables=[Table(head, rows)])


def _lineage(content: CardContent) -> Section:
    lineage = content.lineage
    code, environment, data = lineage["code"], lineage["environment"], lineage["data"] or {}
    pushed = {True: "pushed", False: "NOT pushed", None: "no remote"}[code["pushed"]]
    rows = [
        ("lineage digest", lineage["digest"]),
        ("code", f"{code['commit']} on {code['branch'] or 'no branch'}, {pushed}"),
        ("changed files", ", ".join(code["changes"]) or "none"),
        ("data", f"{data.get('path', '–')} at {data.get('commit', '–')}, digest {data.get('digest', '–')}"),
        (
            "environment",
            f"{environment['python']}, {environment['platform']}, lock {_short(environment['lock_digest'])}",
        ),
        ("arithmetic", environment.get("arithmetic") or "not recorded"),
        ("declaration", _short(lineage["spec_digest"])),
    ]
    table = Table(("", ""), rows)
    if lineage["reproducible"]:
        return Section("Lineage", ["All that determines the model is recorded and was proven."], tables=[table])
    words = ["NOT REPRODUCIBLE. The model may not be made again from what is recorded:"]
    return Section("Lineage", words, lineage.get("problems", ()), [table])


def _training(content: CardContent) -> Section:
    training = content.training
    watched, history = next(iter(training["history"].items()), ("", []))
    best = training["best_iteration"]
    words = [f"{best + 1} rounds were kept of {len(history)} tried: the best on the validation rows by {watched}."]
    gains = sorted(training["importance"].items(), key=lambda one: -one[1])[:SHOWN_FEATURES]
    parameters = [(name, value) for name, value in sorted(training["parameters"].items())]
    pictures = [
        Picture(_told(watched, history, best), curve(history, marked=best)),
        Picture(f"Share of the gain each input carries: {_shares(gains)}", bars(gains)),
    ]
    return Section("Training", words, tables=[Table(("parameter", "value"), parameters)], pictures=pictures)


def _told(watched: str, history: Sequence[float], best: int) -> str:
    """Return in words what the curve of training shows."""
    if not history:
        return "No round was watched on the validation rows"
    told = f"{_number(history[0])} at first, {_number(history[best])} at best, {_number(history[-1])} at last"
    return f"{watched} on the validation rows, round by round: {told}"


def _shares(shares: Sequence[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {share:.1%}" for name, share in shares) or "none was used"


def _inputs(content: CardContent) -> Section | None:
    profile = content.profile
    if not profile:
        return None
    pictures = [
        Picture(_described(name, column, content), profile_picture(column))
        for name, column in profile["columns"].items()
    ]
    return Section("Inputs", [f"What {profile['rows']:,} training rows looked like."], pictures=pictures)


def _described(name: str, column: Mapping[str, Any], content: CardContent) -> str:
    about = content.spec["features"].get(name, {}).get("about", "")
    missing = column["missing"] / column["rows"] if column["rows"] else 0.0
    return f"{name}{f' ({about})' if about else ''}: {missing:.1%} missing"


def _quality(content: CardContent) -> Section | None:
    quality = content.quality
    if not quality:
        return None
    word = "all are kept" if quality["success"] else f"{len(quality['checks'])} are broken"
    words = [f"{quality['expectations']} expectations were held against {quality['rows']:,} training rows; {word}."]
    points = [check["sentence"] for check in quality["checks"]]
    changes = quality.get("changes")
    if changes is not None:
        words += [
            f"The contract differs from the reviewed one in {len(changes)} points."
            if changes
            else "The contract is the reviewed one."
        ]
        points += changes
    return Section("Data quality", words, points)


def _checklist(content: CardContent) -> Section | None:
    if not content.checklist:
        return None
    boxes = content.checklist["boxes"]
    ticked = sum(box["ticked"] for box in boxes)
    words = [f"{ticked} of {len(boxes)} boxes are ticked, by evidence that was looked at when it was registered."]
    rows = [("✓" if box["ticked"] else "✗", box["name"], "; ".join([box["found"], *box["missing"]])) for box in boxes]
    return Section("Checklist", words, tables=[Table(("", "box", "what was found"), rows)])


def _decision(content: CardContent) -> Section:
    request = content.request
    asked = f"Asked for by {request.get('user') or request['cause']}: {request['reason']}."
    policy = {
        "automatic": "It goes live by itself if all gates are met.",
        "approve": "It goes live when a person approves it, with this evidence in hand.",
        "manual": "It goes live when a person says so.",
    }
    said = [
        f"{one['answer']} at {_moment(one['at'])} UTC by {one['by'] or 'nobody'}: {one['reason']}."
        for one in content.decisions
    ]
    return Section("Decision", [asked, policy.get(content.spec["promotion"], "")], said)


def _certificate(content: CardContent) -> Section:
    found = content.certificate
    if not found:
        return Section(
            "Certificate", ["It has not been rebuilt yet; `reproduce` does that and attaches a certificate."]
        )
    when = f"Rebuilt from nothing but its lineage at {_moment(found['made_at'])} UTC by {found['made_by']}"
    if found["identical"]:
        return Section("Certificate", [f"{when}: identical, {len(found['compared'])} things compared."])
    points = [f"{one['what']}: recorded {one['recorded']}, rebuilt {one['rebuilt']}" for one in found["differences"]]
    return Section("Certificate", [f"{when}: NOT identical."], points=points)


def _limits(content: CardContent) -> Section:
    return Section("Known limits", points=list(known_limits(content)))


def _interval(interval: Mapping[str, float | None]) -> Iterator[str]:
    yield _number(interval["value"])
    yield f"{_number(interval['low'])} to {_number(interval['high'])}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


def _short(digest: str) -> str:
    return digest[:DIGEST_SHOWN]


def _moment(text: str | None) -> str:
    return f"{datetime.fromisoformat(text):%Y-%m-%d %H:%M}" if text else "–"


def _duration(text: str) -> str:
    """Return an ISO duration as people say it: ``P1DT12H`` is ``36 hours``."""
    hours = DURATIONS.validate_python(text).total_seconds() / 3600
    count, unit = (hours / 24, "day") if hours % 24 == 0 else (hours, "hour")
    return f"{count:g} {unit}" if count == 1 else f"{count:g} {unit}s"
