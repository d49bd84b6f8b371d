"""What a window is: collected, profiled, validated, compared, measured."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from nightshift.data.source import load_source
from nightshift.data.tables import labels as read_labels
from nightshift.files import read_json
from nightshift.model.metrics import LARGER_IS_BETTER
from nightshift.model.package import ModelPackage, open_package
from nightshift.pipelines.output import OUTPUT, logged_output
from nightshift.pipelines.request import Cause, MonitorRequest, outside_calendar
from nightshift.pipelines.window import has_too_few
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.predictions.log import PredictionLog
from nightshift.profile.contract import Contract
from nightshift.profile.drift import compare as compare_profiles
from nightshift.profile.expectations import validate as validate_rows
from nightshift.profile.profile import Profile
from nightshift.profile.variation import Variation
from nightshift.spec import Kind as ColumnKind
from nightshift.spec import Monitor
from nightshift.verdict import Check, Status

if TYPE_CHECKING:
    from nightshift.predictions.performance import Interval, Performance


def collect(work: Work) -> Outcome:
    """Gather the window's predictions; write ``window.json`` and ``window.parquet``.

    Stops a night that lies outside the source's calendar. Which version is
    judged: the one that answered most rows of the window.
    """
    request = MonitorRequest.of(work.run)
    quiet = outside_calendar(work.spec, request.end) if request.cause is Cause.NIGHT else None
    if quiet:
        return Outcome(quiet, Then.STOP)
    log = PredictionLog(work.settings.predictions / work.spec.name)
    log.compact()
    rows, summary = log.window(request.start, request.end)
    answered = rows[~rows["refused"].astype(bool)]
    version = str(answered["version"].mode().iloc[0]) if len(answered) else None
    judged = answered[answered["version"] == version]
    judged.drop(columns=["problems", "sent"]).to_parquet(work.run.file("window.parquet"), index=False)
    work.run.write("window.json", {"format": 1, **summary.to_json(), "version": version, "judged": len(judged)})
    return Outcome(f"{summary.rows:,} predictions and {summary.refused:,} refusals; {_who(version, len(judged))}")


def profile(work: Work) -> Outcome:
    """Profile the window on the bins of the release that answered it; write ``profile.json``."""
    if has_too_few(work):
        return Outcome("too few rows to profile")
    rows, release = _window(work), _package(work)
    reference = _reference(release)
    # the release's own columns: the declaration may name others by now
    inputs = Profile.of(rows[list(release.columns)], dict(release.kinds), bins_of=reference["inputs"])
    answers = pd.DataFrame({OUTPUT: rows[logged_output(work.spec)]})
    output = Profile.of(answers, {OUTPUT: ColumnKind.NUMERIC}, bins_of=reference["output"])
    work.run.write("profile.json", {"format": 1, "inputs": inputs.to_json(), "output": output.to_json()})
    return Outcome(f"{inputs.rows:,} rows in {len(inputs.columns)} columns, and what was answered")


def validate(work: Work) -> Outcome:
    """Hold the window to the contract of the release that answered it; write ``quality.json`` and ``docs/``."""
    if has_too_few(work):
        return Outcome("too few rows to validate")
    release = _package(work)
    rows = _window(work)[list(release.columns)]
    report = validate_rows(
        rows, Contract.from_json(release.contract), docs=work.run.file("docs"), name=f"{work.spec.name} window"
    )
    work.run.write("quality.json", report.to_json())
    return Outcome("the contract is kept" if report.success else _sentences(report.checks))


def compare(work: Work) -> Outcome:
    """Measure how far inputs and answers have moved from the reference; write ``drift.json``."""
    if has_too_few(work):
        return Outcome("too few rows to compare")
    release, current = _package(work), work.run.read("profile.json")
    reference, limits = _reference(release), work.spec.monitor.limits
    own = {part: Variation.from_json(content) for part, content in release.profile["variation"].items()}
    inputs = compare_profiles(
        reference["inputs"],
        Profile.from_json(current["inputs"]),
        importance=_evidence(work, "training.json")["importance"],
        limits=limits,
        variation=own["inputs"],
    )
    output = compare_profiles(
        reference["output"],
        Profile.from_json(current["output"]),
        importance={},
        limits=limits,
        variation=own["output"],
        output=OUTPUT,
    )
    work.run.write("drift.json", {"format": 1, "inputs": inputs.to_json(), "output": output.to_json()})
    moved = [check for check in (*output.checks, *inputs.checks) if check.status is not Status.HEALTHY]
    return Outcome(_sentences(moved) or "nothing has moved that matters")


def performance(work: Work) -> Outcome:
    """Measure how right the answers were, as far as labels have matured at the window's end.

    Writes ``performance.json``; a metric is checked against the release's own
    on its test rows.
    """
    from nightshift.predictions.labels import join
    from nightshift.predictions.performance import measure  # brings scipy: a second that only this step pays

    request, spec = MonitorRequest.of(work.run), work.spec
    if has_too_few(work):
        return Outcome("too few rows to measure")
    source = load_source(spec, work.settings.sources, work.settings.project)
    labels = read_labels(source, spec, start=request.start, end=request.end, as_of=request.end)
    joined = join(_window(work), labels, key=spec.key, label=spec.label.column)
    measured = measure(joined, str(spec.task), classes=_package(work).classes)
    expected = _expected_metrics(work)
    checks = _performance_checks(measured, expected, spec.monitor)
    content = {"measured": measured.to_json(), "expected": expected, "checks": [check.to_json() for check in checks]}
    work.run.write("performance.json", {"format": 1, **content})
    known = f"{measured.coverage:.0%} of the labels are known"
    return Outcome(f"{known}; " + (_sentences(checks) or "not enough to check a metric"))


def _expected_metrics(work: Work) -> dict[str, float | None]:
    """Return the metrics that the release showed on its own test rows."""
    metrics = _evidence(work, "evaluation.json")["metrics"]
    return {name: interval["value"] for name, interval in metrics.items()}


def _performance_checks(measured: "Performance", expected: Mapping[str, float | None], policy: Monitor) -> list[Check]:
    """Return a check for each limited metric; none while too few labels are known, for not known is not good."""
    if measured.labelled < policy.rows_min:
        return []
    return [
        _performance_check(name, measured.metrics[name], promised, worse, measured.labelled)
        for name, worse in policy.limits.performance.items()
        if name in measured.metrics and (promised := expected.get(name)) is not None
    ]


def _performance_check(name: str, found: "Interval", promised: float, worse: float, rows: int) -> Check:
    """Call a metric degraded only if even the kind end of its interval is worse than allowed."""
    larger = name in LARGER_IS_BETTER
    bound, kind_end = (promised - worse, found.high) if larger else (promised + worse, found.low)
    fine = kind_end >= bound if larger else kind_end <= bound
    sentence = (
        f"{name} is {found.value:.3f} ({found.low:.3f} to {found.high:.3f}) on {rows:,} labelled rows, "
        f"was {promised:.3f} on the test rows; allowed is {'down' if larger else 'up'} to {bound:.3f}"
    )
    status = Status.HEALTHY if fine else Status.DEGRADED
    return Check(f"performance:{name}", status, name, sentence, found.value, bound, rows)


def _window(work: Work) -> pd.DataFrame:
    return pd.read_parquet(work.run.file("window.parquet"))


def _package(work: Work) -> ModelPackage:
    """Return the package of the version that answered the window."""
    version = str(work.run.read("window.json")["version"])
    return open_package(work.registry.fetch(work.spec.name, version))


def _evidence(work: Work, name: str) -> Any:
    """Return a piece of evidence of the version that answered the window."""
    version = str(work.run.read("window.json")["version"])
    return read_json(work.registry.evidence(work.spec.name, version, name))


def _reference(release: ModelPackage) -> dict[str, Profile]:
    content = release.profile
    return {part: Profile.from_json(content[part]) for part in ("inputs", "output")}


def _who(version: str | None, rows: int) -> str:
    return f"judging the {rows:,} of version {version}" if version else "nobody was asked"


def _sentences(checks: Any) -> str:
    return "; ".join(check.sentence for check in checks)
