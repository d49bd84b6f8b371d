"""A release on one page, for people: what it is, what made it, how good it is, what is not known."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2

from nightshift.files import write_text

MARKDOWN = """\
# {{ spec.name }}
{% if not lineage.reproducible %}
> **Not reproducible.** {% for problem in lineage.problems %}{{ problem }}{{ "; " if not loop.last }}{% endfor %}
{% endif %}
{{ spec.purpose }}

Owner: {{ spec.owner.team }}, {{ spec.owner.contact }} · predicts `{{ spec.label.column }}` ({{ spec.task }}) from \
{{ spec.features | length }} features · built because: {{ request.reason }}

## What made it

| what | which |
|---|---|
{% for name, value in origins -%}
| {{ name }} | `{{ value }}` |
{% endfor %}
## Data

| split | from | to | rows | mean label | digest |
|---|---|---|---|---|---|
{% for name, split in splits.splits.items() -%}
| {{ name }} | {{ split.start[:10] }} | {{ split.end[:10] }} | {{ "{:,}".format(split.rows) }} \
| {{ "–" if split.label_mean is none else "%.3f" | format(split.label_mean) }} | `{{ split.digest[:12] }}` |
{% endfor %}
## How good it is

On {{ "{:,}".format(evaluation.rows) }} test rows it has not seen; intervals are 95 %.

| metric | value | from | to |
|---|---|---|---|
{% for name, metric in evaluation.metrics.items() -%}
| {{ name }} | {{ "%.4f" | format(metric.value) }} | {{ "%.4f" | format(metric.low) }} | {{ "%.4f" | format(metric.high) }} |
{% endfor %}
## Gates: {{ verdict.status }}

{% for check in verdict.checks -%}
- {{ check.status }}: {{ check.sentence }}
{% endfor %}
## What it listens to

| feature | share of gain |
|---|---|
{% for name, share in importance -%}
| {{ name }} | {{ "%.1f %%" | format(100 * share) }} |
{% endfor %}
## Known limits

- It learned from {{ splits.splits.train.start[:10] }} to {{ splits.splits.train.end[:10] }} and knows no other season.
- Features are taken {{ spec.time.known_before }} before `{{ spec.time.column }}`; later facts would help and are not used.
- Labels are trusted {{ spec.label.matures_after }} after the event.
"""

PAGE = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1c2733 }
table { border-collapse: collapse; margin: .5rem 0 1.5rem } td, th { padding: .2rem .8rem .2rem 0; text-align: left }
tr + tr td { border-top: 1px solid #dde3ea } code { font-size: 90%; overflow-wrap: anywhere }
.warning { background: #fff3d6; padding: .6rem 1rem; border-radius: .3rem }
</style>
<h1>{{ title }}</h1>
{% if not lineage.reproducible %}<p class="warning"><strong>Not reproducible.</strong> {{ lineage.problems | join("; ") }}</p>
{% endif %}<p>{{ spec.purpose }}</p>
<p>Owner: {{ spec.owner.team }}, {{ spec.owner.contact }}. Built because: {{ request.reason }}</p>
{% for heading, columns, rows in tables %}<h2>{{ heading }}</h2>
<table><tr>{% for column in columns %}<th>{{ column }}</th>{% endfor %}</tr>
{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>
{% endfor %}</table>
{% endfor %}</html>
"""


@dataclass(frozen=True)
class CardContent:
    """What a card is made of: the JSON of the steps, as they wrote it."""

    spec: Mapping[str, Any]
    lineage: Mapping[str, Any]
    splits: Mapping[str, Any]
    training: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    verdict: Mapping[str, Any]
    request: Mapping[str, Any]

    @property
    def origins(self) -> list[tuple[str, str]]:
        """Name and value of each thing that determined the model."""
        lineage, data = self.lineage, self.lineage["data"] or {}
        return [
            ("code", lineage["code"]["commit"]),
            ("declaration", lineage["spec_digest"]),
            ("data", f"{data.get('path')} {data.get('digest')} at {data.get('commit')}"),
            ("lock", lineage["environment"]["lock_digest"]),
            ("Python, platform", f"{lineage['environment']['python']}, {lineage['environment']['platform']}"),
            ("lineage", lineage["digest"]),
            ("as of", lineage["as_of"]),
        ]

    @property
    def importance(self) -> list[tuple[str, float]]:
        """Each feature's share of the gain, the largest first."""
        return sorted(self.training["importance"].items(), key=lambda item: -item[1])


def write_card(folder: Path, content: CardContent) -> None:
    """Write ``card.md`` and ``card.html`` (one file, nothing loaded from elsewhere, everything escaped)."""
    words = {**content.__dict__, "origins": content.origins, "importance": content.importance}
    plain = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - Markdown, not HTML
    write_text(folder / "card.md", plain.from_string(MARKDOWN).render({**words, **_for_markdown(words)}))
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
    title = f"{content.spec['name']} as of {content.lineage['as_of'][:10]}"
    write_text(folder / "card.html", page.from_string(PAGE).render(**words, title=title, tables=_tables(content)))


def _for_markdown(words: Mapping[str, Any]) -> dict[str, Any]:
    """Return the free texts with what Markdown or HTML would act upon taken out of action."""
    spec, request = dict(words["spec"]), dict(words["request"])
    spec["purpose"], request["reason"] = _tame(spec["purpose"]), _tame(request["reason"])
    spec["owner"] = {name: _tame(value) for name, value in spec["owner"].items()}
    return {"spec": spec, "request": request}


def _tame(text: str) -> str:
    return " ".join(text.split()).replace("<", "&lt;").replace("|", "\\|")


def _tables(content: CardContent) -> list[tuple[str, tuple[str, ...], list[tuple[Any, ...]]]]:
    splits, evaluation, verdict = content.splits["splits"], content.evaluation, content.verdict
    sizes = [
        (name, part["start"][:10], part["end"][:10], f"{part['rows']:,}", part["digest"][:12])
        for name, part in splits.items()
    ]
    metrics = [
        (name, f"{metric['value']:.4f}", f"{metric['low']:.4f}", f"{metric['high']:.4f}")
        for name, metric in evaluation["metrics"].items()
    ]
    return [
        ("What made it", ("what", "which"), content.origins),
        ("Data", ("split", "from", "to", "rows", "digest"), sizes),
        (f"How good it is, on {evaluation['rows']:,} test rows", ("metric", "value", "from", "to (95 %)"), metrics),
        (
            f"Gates: {verdict['status']}",
            ("", ""),
            [(check["status"], check["sentence"]) for check in verdict["checks"]],
        ),
        ("What it listens to", ("feature", "share of gain"), [(n, f"{100 * s:.1f} %") for n, s in content.importance]),
    ]
