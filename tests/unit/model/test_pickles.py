"""A pickle may hold a booster and nothing else; none of these forms may run anything."""

import io
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xgboost

from factories.model import a_model, reseal, rides
from nightshift.errors import PackageError
from nightshift.model import compatibility, pickles
from nightshift.model.pickles import dump, load, open_pickle

SPRUNG: list[str] = []


def spring(*_: Any) -> str:
    SPRUNG.append("ran")
    return "ran"


class Reduces:
    def __reduce__(self) -> Any:
        return spring, ("now",)


class ReducesEx:
    def __reduce_ex__(self, protocol: Any) -> Any:
        return eval, ("__import__('os').getpid()",)


class Builds:
    def __setstate__(self, state: Any) -> None:
        spring()


def by_hand(text: str) -> bytes:
    """Return a protocol 0 pickle that calls the global in ``text`` with a string."""
    return f"c{text}\n(S'true'\ntR.".encode()


def hostile() -> dict[str, bytes]:
    found = {f"reduce in protocol {number}": pickle.dumps(Reduces(), protocol=number) for number in range(6)}
    found |= {f"eval in protocol {number}": pickle.dumps(ReducesEx(), protocol=number) for number in range(2, 6)}
    found |= {f"setstate in protocol {number}": pickle.dumps(Builds(), protocol=number) for number in range(2, 6)}
    for text in (
        "os\nsystem", "posix\nsystem", "subprocess\nPopen", "builtins\nexec", "builtins\neval", "builtins\ngetattr",
        "importlib\nimport_module", "marshal\nloads", "pickle\nloads", "runpy\nrun_path", "webbrowser\nopen",
        "numpy.testing._private.utils\nrunstring", "operator\nattrgetter", "xgboost.core\nDMatrix",
        "xgboost.core\nctypes.CDLL", "xgboost\nBooster", "xgboost.core\n_LIB",
    ):  # fmt: skip
        found[text.replace("\n", ".")] = by_hand(text)
    inner = pickle.dumps(Reduces())
    found["nested"] = pickle.dumps([inner, "load me"])
    found["a booster with a trap beside it"] = pickle.dumps([a_model().booster, Reduces()])
    found["a booster asked to read a file"] = b"cxgboost.core\nBooster\n(NNS'/etc/hostname'\ntR."
    found["persistent id"] = b"Ptrap\n."
    found["extension registry"] = b"\x80\x02\x82\x01."
    found["instance of old"] = b"(S'true'\nios\nsystem\n."
    found["memo tricks"] = b"\x80\x04\x8c\x02os\x94\x8c\x06system\x94h\x00h\x01\x93\x8c\x04true\x85R."
    found["not a booster"] = pickle.dumps({"harmless": True}, protocol=5)
    found["cut in the middle"] = dump(a_model().booster)[:400]
    found["no pickle"] = b"PK\x03\x04 a zip, or so it says"
    found["nothing"] = b""
    return found


@pytest.mark.parametrize("name", sorted(hostile()))
def test_a_hostile_pickle_is_refused_and_runs_nothing(name: str) -> None:
    SPRUNG.clear()

    with pytest.raises(PackageError):
        load(hostile()[name])

    assert SPRUNG == []


def test_the_traps_of_these_tests_do_spring_in_an_ordinary_unpickler() -> None:
    SPRUNG.clear()

    pickle.loads(hostile()["reduce in protocol 5"])

    assert SPRUNG == ["ran"]


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_a_booster_comes_back_and_answers_alike(task: str) -> None:
    booster = load(dump(a_model(task).booster))

    matrix = a_model(task).encoding.matrix(rides(task, rows=50))
    np.testing.assert_array_equal(booster.inplace_predict(matrix), a_model(task).booster.inplace_predict(matrix))


def test_people_with_a_plain_unpickler_can_open_it_too() -> None:
    booster = pickle.loads(dump(a_model().booster))

    assert isinstance(booster, xgboost.Booster)
    assert booster.feature_names == list(a_model().columns)


def test_only_operations_that_boosters_are_made_of_are_let_in() -> None:
    used = {operation.name for operation, _, _ in pickletools.genops(dump(a_model("multiclass").booster))}

    assert used <= pickles.OPERATIONS
    assert "REDUCE" not in pickles.OPERATIONS


def test_the_pickle_of_a_package_opens_after_everything_was_proven(packages: dict[str, Path]) -> None:
    booster = open_pickle(packages["binary"])

    matrix = a_model().encoding.matrix(rides(rows=5))
    np.testing.assert_array_equal(booster.inplace_predict(matrix), a_model().booster.inplace_predict(matrix))


def test_a_pickle_is_not_opened_in_another_environment(
    packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = compatibility.running_python()
    monkeypatch.setattr(compatibility, "running_python", lambda: manifest + "9")

    with pytest.raises(PackageError, match="policy exact"):
        open_pickle(packages["binary"])


def test_a_resealed_pickle_of_another_model_is_refused(spoil: Callable[[], Path], packages: dict[str, Path]) -> None:
    other = (packages["regression"] / "model.pkl").read_bytes()

    with pytest.raises(PackageError, match=r"model.pkl of rides answers"):
        open_pickle(reseal(spoil(), "model.pkl", other))


def test_serving_never_opens_the_pickle(spoil: Callable[[], Path]) -> None:
    """A package whose pickle is a trap opens, and the trap stays shut."""
    from nightshift.model.package import open_package

    SPRUNG.clear()

    found = open_package(reseal(spoil(), "model.pkl", pickle.dumps(Reduces())))
    found.warm()

    assert found.predict(rides(rows=1)).shape == (1,)
    assert SPRUNG == []


def test_a_stream_with_something_after_its_end_is_only_read_to_the_end() -> None:
    content = dump(a_model().booster)

    assert isinstance(pickle.Unpickler(io.BytesIO(content)).load(), xgboost.Booster)
    assert isinstance(load(content + pickle.dumps(Reduces())), xgboost.Booster)
