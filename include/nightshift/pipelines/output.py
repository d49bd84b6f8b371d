"""What of a model's answer is profiled and compared: one number a row."""

import numpy as np

from nightshift.spec import Kind, ModelSpec, Task

OUTPUT = "output"
"""Name of that number in profiles."""


def output_of(answers: np.ndarray, spec: ModelSpec) -> np.ndarray:
    """Return the probability (binary), that of the likeliest class (multiclass) or the value (regression); (rows,)."""
    return answers.max(axis=1) if spec.task is Task.MULTICLASS else answers


def label_kind(spec: ModelSpec) -> Kind:
    """Return how a model's label is profiled: classes are names, all else numbers."""
    return Kind.CATEGORICAL if spec.task is Task.MULTICLASS else Kind.NUMERIC


def logged_output(spec: ModelSpec) -> str:
    """Return the column of the prediction log that holds the number: see :func:`output_of`."""
    return "prediction" if spec.task is Task.REGRESSION else "probability"
