"""What a window's drift or fault probably costs, told before any label is in.

The build leaves a second opinion of the labels with the release, learned from
its test rows; the monitor asks it when a column speaks, and on no other night.
"""

from collections.abc import Sequence

import pandas as pd

from nightshift.model.package import ModelPackage
from nightshift.predictions.second_opinion import Opinion
from nightshift.profile.drift import DriftReport
from nightshift.profile.profile import Profile
from nightshift.profile.together import Bonds
from nightshift.replay.harm import expected_harm
from nightshift.spec import ModelSpec, Task
from nightshift.verdict import Check, Status


def opinion_of(test: pd.DataFrame, answered: pd.DataFrame, spec: ModelSpec, classes: Sequence[str]) -> Opinion | None:
    """Return a second opinion learned from test rows and what was answered to them; none from too few.

    Parameters
    ----------
    answered
        The same rows as the log would hold them, with their labels.
    """
    rows = test[list(spec.features)].assign(target=answered["label"], **_answers(answered, spec, classes))
    kinds = {name: str(kind) for name, kind in spec.kinds.items()}
    return Opinion.of(rows, kinds, str(spec.task), seed=spec.training.seed)


def probable_cost(
    opinion: Opinion, release: ModelPackage, window: pd.DataFrame, inputs: DriftReport, spec: ModelSpec
) -> Check | None:
    """Return the error to be expected of the window's answers; none if no column speaks.

    DEGRADED says that it is worse than usual, beyond chance and by a twentieth. It
    is no verdict: what was seen is not outranked by what is expected.
    """
    if all(check.status is Status.HEALTHY for check in inputs.checks):
        return None
    reference = Profile.from_json(release.profile["inputs"])
    rows = window[list(release.columns)].assign(**_answers(window, spec, release.classes))
    return expected_harm(opinion, reference, rows, inputs.checks, bound=Bonds.of(reference).foretold)


def _answers(rows: pd.DataFrame, spec: ModelSpec, classes: Sequence[str]) -> dict[str, "pd.Series[float]"]:
    found = {"prediction": rows["prediction"]}
    match spec.task:
        case Task.BINARY:
            return {**found, "probability": rows["probability"]}
        case Task.MULTICLASS:
            each = rows["probabilities"]
            return found | {f"probability_{name}": each.str[place] for place, name in enumerate(classes)}
        case _:
            return found
