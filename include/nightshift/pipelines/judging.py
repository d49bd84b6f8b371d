"""The checks of a window, from the evidence in its run folder: what the verdict is made of."""

from collections.abc import Mapping, Sequence
from typing import Any

from nightshift.pipelines.quieting import hush
from nightshift.pipelines.standing import Quiet
from nightshift.profile.drift import DriftReport
from nightshift.runs import RunFolder
from nightshift.spec import Monitor
from nightshift.verdict import Check, Status, Verdict, judge_window


def checks_of(run: RunFolder, policy: Monitor, quiets: Mapping[str, Quiet]) -> list[Check]:
    """Return all checks of the window that ``run`` looked at, after people have spoken."""
    window = run.read("window.json")
    if window["judged"] < policy.rows_min:
        return [too_few(window["judged"], policy.rows_min)]
    measured, drift, quality = (run.read(f"{name}.json") for name in ("performance", "drift", "quality"))
    weighed = weigh(
        [Check.from_json(check) for check in measured["checks"]],
        DriftReport.from_json(drift["inputs"]),
        DriftReport.from_json(drift["output"]),
        [Check.from_json(check) for check in quality["checks"]],
        quiets,
    )
    # a column that was computed in another way names the cause of whatever else it set off
    return [*skewed(run, quiets), *weighed]


def skewed(run: RunFolder, quiets: Mapping[str, Quiet]) -> list[Check]:
    """Return what the window's answers were made from, against training's join; none if that was not compared."""
    checks = run.read("skew.json")["checks"] if run.file("skew.json").exists() else []
    return hush([Check.from_json(check) for check in checks], quiets)


def segments_of(run: RunFolder, quiets: Mapping[str, Quiet]) -> dict[str, Any]:
    """Return each segment's verdict, after people have spoken; none of a window that was too small to measure."""
    measured = run.read("performance.json") if run.file("performance.json").exists() else {}
    found = {}
    for name, segment in measured.get("segments", {}).items():
        verdict = judge_window(hush(Verdict.from_json(segment).checks, quiets))
        found[name] = {"rows": segment["rows"], "why": verdict.why, **verdict.to_json()}
    return found


def too_few(rows: int, least: int) -> Check:
    """Return the check of a window that is too small to say anything: silence is never health."""
    sentence = f"{rows:,} predictions in the window, at least {least:,} are needed to judge"
    return Check("rows", Status.UNKNOWN, "window", sentence, rows, least, rows)


def weigh(
    measured: Sequence[Check],
    inputs: DriftReport,
    output: DriftReport,
    quality: Sequence[Check],
    quiets: Mapping[str, Quiet],
) -> list[Check]:
    """Return all checks: performance first, then the answers, then columns by what matters.

    That labels are overdue makes a window UNKNOWN only if nothing else speaks:
    what is seen is not to be hidden by what is not.
    """
    overdue = [check for check in measured if check.status is Status.UNKNOWN]
    rest = [check for check in measured if check.status is not Status.UNKNOWN]
    checks = hush([*rest, *output.checks, *inputs.checks, *quality], quiets, inputs.columns)
    silent = all(check.status is Status.HEALTHY for check in checks)
    return [*hush(overdue, quiets), *checks] if silent else checks


def signals_of(run: RunFolder) -> dict[str, Any]:
    """Return what was seen, as small as a ledger keeps it: rows, drift, the columns that moved most, metrics."""
    window = run.read("window.json")
    found: dict[str, Any] = {
        name: window[name] for name in ("rows", "refused", "judged", "duplicates", "versions", "gaps") if name in window
    }
    if run.file("drift.json").exists():
        drift = run.read("drift.json")
        found["drift"] = drift["inputs"]["drift"]
        found["output_drift"] = drift["output"]["drift"]
        found["columns"] = {
            column["column"]: {name: column[name] for name in ("psi", "effect", "status")}
            for column in drift["inputs"]["columns"][:NAMED]
        }
        found["courses"] = drift.get("courses", [])
    if run.file("performance.json").exists():
        measured = run.read("performance.json")
        found |= {name: measured["measured"][name] for name in ("labelled", "coverage")}
        found["realised"] = measured["measured"]["metrics"]
        found |= {name: measured[name] for name in ("cohort", "estimated", "estimate_errors") if name in measured}
        found |= {name: measured[name] for name in ("cost", "shadow") if measured.get(name)}
    return found


NAMED = 5
