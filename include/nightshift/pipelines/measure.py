"""How right the answers were, and probably are: performance of a window, with labels and without."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import pandas as pd

from nightshift.data.source import load_source
from nightshift.data.tables import labels as read_labels
from nightshift.errors import ReleaseError
from nightshift.files import read_json
from nightshift.interval import Interval
from nightshift.ledger import Kind
from nightshift.model.metrics import LARGER_IS_BETTER
from nightshift.pipelines.cost import probable_cost
from nightshift.pipelines.expect import FILE, Expected, Part, segments_of
from nightshift.pipelines.output import logged_output
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.shadowing import shadow_of
from nightshift.pipelines.window import has_too_few
from nightshift.pipelines.work import Outcome, Work
from nightshift.predictions.estimate import errors_of, root_mean_square
from nightshift.predictions.labels import join
from nightshift.predictions.log import PredictionLog
from nightshift.predictions.performance import Performance, measure
from nightshift.predictions.second_opinion import Opinion
from nightshift.profile.drift import DriftReport
from nightshift.spec import ModelSpec
from nightshift.verdict import Check, Status, judge_window

NOTHING = Expected({}, None, {})
WINDOWS = 60
"""So many windows tell how far estimates are off, usually."""


def performance(work: Work) -> Outcome:
    """Measure the newest cohort whose labels are mature, estimate the window itself; write ``performance.json``.

    The cohort is as long as the window and ends as long before its end as
    labels take to mature. Each limited metric is checked against the release's
    own on its test rows: as it came true, and as it is estimated.
    """
    if has_too_few(work):
        return Outcome("too few rows to measure")
    version = str(work.run.read("window.json")["version"])
    content = _seen(work, version, _expected(work, version))
    checks = measured_checks(content, work.spec)
    work.run.write("performance.json", {**content, "checks": [check.to_json() for check in checks]})
    known = f"{content['measured']['coverage']:.0%} of the mature labels are known"
    return Outcome(f"{known}; " + ("; ".join(check.sentence for check in checks) or "not enough to check a metric"))


def measured_checks(content: Mapping[str, Any], spec: ModelSpec) -> list[Check]:
    """Return the checks of what ``performance.json`` holds, under this declaration's policy or another's."""
    measured, promised = Performance.from_json(content["measured"]), content["expected"]
    estimated = {name: Interval.from_json(metric) for name, metric in content["estimated"].items()}
    return [
        *realised_checks(measured, promised, spec),
        *estimated_checks(estimated, promised, spec, content["usual_errors"], content["rows"]),
        *coverage_checks(measured, spec),
        *([Check.from_json(content["labels"])] if content.get("labels") else []),
    ]


def _seen(work: Work, version: str, expected: Expected) -> dict[str, Any]:
    """Return what was measured and estimated, without any opinion on it but the segments' own."""
    spec, estimator = work.spec, expected.estimator
    cohort = Cohort.of(work, version, MonitorRequest.of(work.run))
    window = pd.read_parquet(work.run.file("window.parquet"))
    classes = estimator.classes if estimator else _classes(work, version)
    measured = measure(cohort.rows, spec.task, classes=classes)
    known = cohort.rows[cohort.rows["label"].notna()]
    errors = errors_of(estimator.estimate(known), measured.metrics) if estimator else {}
    estimated = estimator.estimate(window) if estimator else {}
    return {
        "format": 2,
        "rows": len(window),
        "cohort": {"start": cohort.start.isoformat(), "end": cohort.end.isoformat()},
        "measured": measured.to_json(),
        "estimated": {name: metric.to_json() for name, metric in estimated.items()},
        "estimate_errors": errors,
        "usual_errors": _usual_errors(work, version, expected, errors),
        "expected": dict(expected.metrics),
        "new_labels": _new_labels(work) if spec.governor.new_labels else 0,
        "segments": _segments(window, cohort, expected, spec, classes),
        "labels": _labels(known["label"], expected, spec),
        "cost": _cost(work, version, window, expected),
        "shadow": shadow_of(work, window, cohort.rows),
    }


def _cost(work: Work, version: str, window: pd.DataFrame, expected: Expected) -> dict[str, Any] | None:
    """Return what the inputs' drift or faults probably cost; none if no column speaks, or nobody has an opinion."""
    inputs = DriftReport.from_json(work.run.read("drift.json")["inputs"])
    if expected.opinion is None or inputs.status is Status.HEALTHY:
        return None
    from nightshift.model.package import open_package  # brings ONNX: a second that only a night that speaks pays

    release = open_package(work.registry.fetch(work.spec.name, version))
    found = probable_cost(Opinion.from_json(expected.opinion), release, window, inputs, work.spec)
    return found.to_json() if found else None


def _labels(known: "pd.Series[Any]", expected: Expected, spec: ModelSpec) -> dict[str, Any] | None:
    """Return whether labels have moved from those of the test rows; none if there are too few to say."""
    if expected.labels is None or len(known) < spec.monitor.rows_min:
        return None
    limit = spec.monitor.limits.output_drift
    return expected.labels.check("label drift", "labels", "the labels", known, limit=limit).to_json()


@dataclass(frozen=True)
class Cohort:
    """The rows of one version with event times in [start, end), whose labels are mature, with what became of them."""

    start: datetime
    end: datetime
    rows: pd.DataFrame

    @classmethod
    def of(cls, work: Work, version: str, request: MonitorRequest) -> "Cohort":
        """Return the cohort that is as long as the window asked for, and mature at its end."""
        spec, age = work.spec, work.spec.label.mature_age
        start, end = request.start - age, request.end - age
        rows, _ = PredictionLog(work.settings.predictions / spec.name).window(start, end)
        answered = rows[rows["version"] == version]
        source = load_source(spec, work.settings.sources, work.settings.project)
        labels = read_labels(source, spec, start=start, end=end, as_of=request.known_until)
        return cls(start, end, join(answered, labels, key=spec.key, label=spec.label.column))


def realised_checks(measured: Performance, promised: Mapping[str, float], spec: ModelSpec) -> list[Check]:
    """Return a check for each limited metric; none while too few labels are known, for not known is not good."""
    if measured.labelled < spec.monitor.rows_min or measured.coverage < _coverage_min(spec):
        return []
    return [
        metric_check(name, measured.metrics[name], promised[name], worse, measured.labelled)
        for name, worse in spec.monitor.limits.performance.items()
        if name in measured.metrics and name in promised
    ]


def estimated_checks(
    estimated: Mapping[str, Interval],
    promised: Mapping[str, float],
    spec: ModelSpec,
    errors: Mapping[str, float],
    rows: int,
) -> list[Check]:
    """Return a check for each limited metric whose estimate is known to be off by so much, usually.

    An estimate nobody has held against what came true is told and judges nothing.
    """
    return [
        metric_check(name, _widened(estimated[name], errors[name]), promised[name], worse, rows, estimated=True)
        for name, worse in spec.monitor.limits.performance.items()
        if name in estimated and name in promised and name in errors
    ]


def coverage_checks(measured: Performance, spec: ModelSpec) -> list[Check]:
    """Return a check if labels that should be there by the declared curve are not, and somebody watches them."""
    least = _coverage_min(spec)
    watched = spec.monitor.limits.performance and measured.rows >= spec.monitor.rows_min
    if not watched or measured.coverage >= least:
        return []
    sentence = (
        f"only {measured.coverage:.0%} of the labels have come in that should be there by now; "
        f"{least:.0%} are wanted before performance is judged"
    )
    return [Check("labels", Status.UNKNOWN, "labels", sentence, measured.coverage, least, measured.rows)]


def metric_check(
    name: str, found: Interval, promised: float, worse: float, rows: int, *, estimated: bool = False
) -> Check:
    """Call a metric degraded only if even the kind end of its interval is worse than allowed."""
    larger = name in LARGER_IS_BETTER
    bound, kind_end = (promised - worse, found.high) if larger else (promised + worse, found.low)
    fine = kind_end >= bound if larger else kind_end <= bound
    verb, whose = ("is estimated at", "rows without labels") if estimated else ("is", "labelled rows")
    sentence = (
        f"{name} {verb} {found.value:.3f} ({found.low:.3f} to {found.high:.3f}) on {rows:,} {whose}, "
        f"was {promised:.3f} on the test rows; allowed is {'down' if larger else 'up'} to {bound:.3f}"
    )
    if fine and (found.value < bound if larger else found.value > bound):
        sentence += ", which the interval reaches"
    status = Status.HEALTHY if fine else Status.DEGRADED
    kind = "estimate" if estimated else "performance"
    return Check(f"{kind}:{name}", status, name, sentence, found.value, bound, rows)


def _widened(found: Interval, error: float) -> Interval:
    """Return an estimate's interval with twice its usual error on either side."""
    return Interval(found.value, found.low - 2 * error, found.high + 2 * error)


def _coverage_min(spec: ModelSpec) -> float:
    """Return the share of labels without which a mature cohort is not judged: what cannot be known does not count."""
    return spec.label.coverage * spec.label.expected_share(spec.label.mature_age)


def _usual_errors(work: Work, version: str, expected: Expected, latest: Mapping[str, float]) -> dict[str, float]:
    """Return how far estimates of this release are off, usually: on its test rows, and in the newest windows since."""
    if expected.estimator is None:
        return {}
    told = [
        entry.body.get("signals", {}).get("estimate_errors", {})
        for entry in work.ledger.windows(work.spec.name)[-WINDOWS:]
        if entry.body["version"] == version
    ]
    found = {}
    for name, own in expected.estimator.errors.items():
        since = [errors[name] for errors in (*told, latest) if name in errors]
        found[name] = max(own, root_mean_square(since))
    return found


def _segments(
    window: pd.DataFrame, cohort: Cohort, expected: Expected, spec: ModelSpec, classes: tuple[str, ...]
) -> dict[str, Any]:
    """Return a verdict for each segment of the window that has rows enough and that the release knows."""
    known = dict(segments_of(cohort.rows, spec))
    found = {}
    for name, chosen in segments_of(window, spec):
        if chosen.sum() >= spec.monitor.segment_rows_min and name in expected.segments:
            labelled = cohort.rows[known[name]] if name in known else cohort.rows.head(0)
            measured = measure(labelled, spec.task, classes=classes)
            part = expected.segments[name]
            checks = [*_segment_checks(name, window[chosen], measured, part, spec)]
            found[name] = {"rows": int(chosen.sum()), **judge_window(checks).to_json()}
    return found


def _segment_checks(
    name: str, rows: pd.DataFrame, measured: Performance, part: Part, spec: ModelSpec
) -> Iterator[Check]:
    """Yield what a segment says for itself, measured by what it did itself on the test rows."""
    for metric, worse in spec.monitor.limits.performance.items():
        if measured.labelled >= spec.monitor.segment_rows_min and metric in measured.metrics and metric in part.metrics:
            check = metric_check(metric, measured.metrics[metric], part.metrics[metric], worse, measured.labelled)
            yield replace(check, subject=name, sentence=f"for {name}, {check.sentence}")
    answers, what = rows[logged_output(spec)], f"the answers for {name}"
    yield part.output.check("output drift", name, what, answers, limit=spec.monitor.limits.output_drift)


def _expected(work: Work, version: str) -> Expected:
    """Return what the version promised; its gates' metrics alone if it was built before there was more."""
    try:
        expected = Expected.from_json(read_json(work.registry.evidence(work.spec.name, version, FILE)))
    except ReleaseError:
        expected = NOTHING
    metrics = read_json(work.registry.evidence(work.spec.name, version, "evaluation.json"))["metrics"]
    values = {name: interval["value"] for name, interval in metrics.items() if interval["value"] is not None}
    return replace(expected, metrics={**expected.metrics, **values})


def _classes(work: Work, version: str) -> tuple[str, ...]:
    from nightshift.model.package import open_package  # brings ONNX: a second that only an older release pays

    return tuple(open_package(work.registry.fetch(work.spec.name, version)).classes)


def _new_labels(work: Work) -> int:
    """Return how many labels have matured of events since the champion learned."""
    request, spec = MonitorRequest.of(work.run), work.spec
    promotions = work.ledger.entries(spec.name, Kind.PROMOTION)
    if not promotions or promotions[-1].end >= request.end:
        return 0
    source = load_source(spec, work.settings.sources, work.settings.project)
    since = promotions[-1].end - spec.label.mature_age
    return len(read_labels(source, spec, start=since, end=request.end, as_of=request.known_until))
