"""What a window is: collected, profiled, validated, compared."""

from typing import Any

import pandas as pd

from nightshift.files import read_json
from nightshift.model.package import ModelPackage, open_package
from nightshift.pipelines.courses import since_when
from nightshift.pipelines.movement import moved
from nightshift.pipelines.output import OUTPUT, logged_output
from nightshift.pipelines.request import Cause, MonitorRequest, outside_calendar
from nightshift.pipelines.window import has_too_few
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.predictions.log import PredictionLog
from nightshift.profile.contract import Contract
from nightshift.profile.expectations import validate as validate_rows
from nightshift.profile.profile import Profile
from nightshift.spec import Kind as ColumnKind
from nightshift.verdict import Status


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
    """Measure how far inputs and answers have moved, and since when; write ``drift.json`` and ``baselines.json``."""
    if has_too_few(work):
        return Outcome("too few rows to compare")
    release, current = _package(work), work.run.read("profile.json")
    importance = _evidence(work, "training.json")["importance"]
    inputs, output = moved(release.profile, current, importance=importance, policy=work.spec.monitor)
    since = since_when(work, {"inputs": inputs, "output": output}, release.profile, current)
    content = {part: report.to_json() for part, report in since.reports.items()}
    work.run.write("drift.json", {"format": 1, **content, "courses": [course.to_json() for course in since.courses]})
    work.run.write("baselines.json", since.baselines)
    checks = (*since.reports["output"].checks, *since.reports["inputs"].checks)
    speaking = [check for check in checks if check.status is not Status.HEALTHY]
    return Outcome(_sentences(speaking) or "nothing has moved that matters")


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
