"""Names of requests: the same for a retry, and for nothing else."""

from itertools import combinations

import pytest

from nightshift.serving.access import ANYBODY, Key
from nightshift.serving.predict import _name, asked_model

OTHER = Key("other", frozenset(), b"")


def test_a_retry_has_the_name_of_its_first_try_and_nothing_else_has() -> None:
    names = [
        _name("rides", b"id", ANYBODY, b"body"),
        _name("flights", b"id", ANYBODY, b"body"),
        _name("rides", b"id2", ANYBODY, b"body"),
        _name("rides", b"id", OTHER, b"body"),
        _name("rides", b"id", ANYBODY, b"body2"),
    ]

    assert _name("rides", b"id", ANYBODY, b"body") == names[0]
    assert all(one != other for one, other in combinations(names, 2))


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/v1/models/rides/predict", "rides"),
        ("/v1/models//predict", ""),
        ("/v1/models/a/b/predict", "a/b"),
        ("/v1/models/rides", None),
        ("/v1/models/rides/predict/", None),
        ("/v2/models/rides/predict", None),
    ],
)
def test_only_the_prediction_path_is_taken_from_the_framework(path: str, model: str | None) -> None:
    assert asked_model(path) == model
