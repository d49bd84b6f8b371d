"""How far a window has moved from what its model learned from: from stored profiles alone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from nightshift.pipelines.output import OUTPUT
from nightshift.profile.budget import Budget
from nightshift.profile.drift import DriftReport
from nightshift.profile.drift import compare as compare_profiles
from nightshift.profile.profile import Profile
from nightshift.profile.variation import Variation
from nightshift.spec import Monitor
from nightshift.verdict import Check, Status

OUTPUT_SHARE = 0.2
"""What the answers may spend of the false alarms that are allowed; the inputs, being many, get the rest."""

FAULTS_OF_ANSWERS = frozenset({"type", "missing", "infinite", "constant", "missing column"})
"""What no honest change of the inputs can do to the answers."""


def moved(
    reference: Mapping[str, Any], current: Mapping[str, Any], *, importance: Mapping[str, float], policy: Monitor
) -> tuple[DriftReport, DriftReport]:
    """Return how far the inputs and the answers have moved.

    Parameters
    ----------
    reference
        The profile in a release's package: ``inputs``, ``output`` and ``variation``.
    current
        What the monitor's step ``profile`` wrote: ``inputs`` and ``output`` on the same bins.
    importance
        Share of the model's gain by column.
    policy
        What is allowed, and how often it may be wrongly found.
    """
    rate = policy.false_alarm_rate
    inputs = compare_profiles(
        Profile.from_json(reference["inputs"]),
        Profile.from_json(current["inputs"]),
        importance=importance,
        limits=policy.limits,
        variation=Variation.from_json(reference["variation"]["inputs"]),
        budget=Budget(rate * (1 - OUTPUT_SHARE)),
    )
    output = compare_profiles(
        Profile.from_json(reference["output"]),
        Profile.from_json(current["output"]),
        importance={},
        limits=policy.limits,
        variation=Variation.from_json(reference["variation"]["output"]),
        output=OUTPUT,
        budget=Budget(rate * OUTPUT_SHARE),
    )
    return inputs, replace(output, checks=tuple(_of_an_answer(check) for check in output.checks))


def _of_an_answer(check: Check) -> Check:
    """Let odd values among the answers be: trees have few to give, and odd inputs are told by themselves."""
    odd = check.status is Status.BROKEN and check.name not in FAULTS_OF_ANSWERS
    return replace(check, status=Status.HEALTHY) if odd else check
