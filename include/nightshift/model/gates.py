"""Whether a candidate may go on: every gate of the declaration, answered in a sentence."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from nightshift.interval import Interval
from nightshift.model.metrics import LARGER_IS_BETTER
from nightshift.spec import AgainstChampion, Gate, ModelSpec
from nightshift.verdict import Check, Status, Verdict, judge_gates

if TYPE_CHECKING:
    from nightshift.model.comparison import Comparison, Paired
    from nightshift.model.evaluate import Evaluation


def judge(evaluation: "Evaluation", spec: ModelSpec) -> Verdict:
    """Return PASS only if every declared gate is met, and one of them measured something.

    An absolute gate is decided on the metric itself. Against the champion the
    interval decides: the candidate must not be worse by more than the margin
    even at the interval's far end, on the whole and in every named segment.
    """
    checks = [_gate(evaluation, name, gate) for name, gate in spec.gates.metrics.items()]
    if spec.gates.champion:
        checks += _against_champion(evaluation.comparison, spec.gates.champion)
    if all(check.status is Status.PASS and check.rows is None for check in checks):
        checks.append(_nothing_measured(evaluation.rows))
    return judge_gates(checks)


def _nothing_measured(rows: int) -> Check:
    sentence = (
        "no gate measured anything, and what is not measured is not blessed; give gates.metrics a threshold, "
        "for example auc: {at_least: 0.65}"
    )
    return Check("gates", Status.FAIL, "gates", sentence, rows=rows)


def _gate(evaluation: "Evaluation", name: str, gate: Gate) -> Check:
    found, rows = evaluation.metrics.get(name), evaluation.rows
    bound = gate.at_least if gate.at_least is not None else gate.at_most
    words = f"at least {bound:g}" if gate.at_least is not None else f"at most {bound:g}"
    if found is None:
        why = evaluation.unknown.get(name, "it was not measured")
        return _failed(f"gate:{name}", name, f"{name} is not known ({why}), and {words} is asked for", bound, rows)
    met = found.value >= gate.at_least if gate.at_least is not None else found.value <= float(gate.at_most or 0.0)
    sentence = f"{name} is {_shown(found)} on {rows:,} test rows; {words} is asked for"
    return Check(f"gate:{name}", Status.PASS if met else Status.FAIL, name, sentence, found.value, bound, rows)


def _against_champion(comparison: "Comparison | None", against: AgainstChampion) -> Iterator[Check]:
    name, metric = f"champion:{against.metric}", against.metric
    if comparison is None:
        yield Check(name, Status.PASS, metric, "there is no champion yet to compare with", None, against.margin)
    elif comparison.rows == 0:
        sentence = (
            f"nothing can be compared with the champion (version {comparison.version}): {comparison.why_not}; it stays"
        )
        yield _failed(name, metric, sentence, against.margin, 0)
    else:
        paired, rows = comparison.metrics.get(metric), comparison.rows
        yield _not_worse(name, f"version {comparison.version}", paired, rows, metric, against.margin)
        margin = against.margin if against.segment_margin is None else against.segment_margin
        for segment, (count, one) in comparison.segments.items():
            whom = f"version {comparison.version}, {segment}"
            yield _not_worse(f"{name}:{segment}", whom, one, count, metric, margin)


def _not_worse(name: str, whom: str, paired: "Paired | None", rows: int, metric: str, margin: float) -> Check:
    if paired is None:
        sentence = f"{metric} against the champion ({whom}) cannot be told of {rows:,} rows; the champion stays"
        return _failed(name, metric, sentence, margin, rows)
    difference = paired.difference
    worst = -difference.low if metric in LARGER_IS_BETTER else difference.high
    sentence = (
        f"{metric} is {paired.candidate:.4f}, the champion's ({whom}) {paired.champion:.4f} on the same {rows:,} rows: "
        f"{_how(worst)} with 95 % confidence, allowed is worse by {margin:g}"
    )
    return Check(name, Status.PASS if worst <= margin else Status.FAIL, metric, sentence, worst, margin, rows)


def _how(worst: float) -> str:
    return f"better by at least {-worst:.4f}" if worst < 0 else f"worse by at most {worst:.4f}"


def _failed(name: str, subject: str, sentence: str, allowed: float | None, rows: int | None) -> Check:
    return Check(name, Status.FAIL, subject, sentence, None, allowed, rows)


def _shown(interval: Interval) -> str:
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"
