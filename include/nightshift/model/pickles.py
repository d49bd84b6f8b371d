"""The pickle, for those who must have it: opened with an allow-list, never by serving."""

import io
import pickle
import pickletools
from pathlib import Path
from typing import Any

import xgboost

from nightshift.errors import PackageError
from nightshift.model import compatibility, first_load
from nightshift.model.compatibility import Policy
from nightshift.model.manifest import PICKLE
from nightshift.model.reading import read_package

PROTOCOL = 5
CLASSES = {("xgboost.core", "Booster"): xgboost.Booster}
OPERATIONS = frozenset(
    {
        "PROTO", "FRAME", "STOP", "MARK", "MEMOIZE", "BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT",
        "STACK_GLOBAL", "NEWOBJ", "BUILD",
        "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "BINFLOAT",
        "SHORT_BINUNICODE", "BINUNICODE", "BYTEARRAY8",
        "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_LIST", "APPEND", "APPENDS",
        "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    }
)  # fmt: skip
"""What a pickled booster is made of. None of them calls anything but an allowed class's own making."""


def dump(booster: xgboost.Booster) -> bytes:
    """Return ``booster`` as a pickle."""
    return pickle.dumps(booster, protocol=PROTOCOL)


def load(content: bytes) -> xgboost.Booster:
    """Return the booster in a pickle that holds nothing else.

    Raises
    ------
    PackageError
        If it holds an operation or a class that no booster needs; before anything of it is run.
    """
    _refuse_operations(content)
    try:
        found = _Unpickler(io.BytesIO(content)).load()
    except PackageError:
        raise
    except Exception as error:
        raise PackageError(f"{PICKLE} cannot be read: {error}; use booster.ubj instead") from error
    if not isinstance(found, xgboost.Booster):
        raise PackageError(f"{PICKLE} holds a {type(found).__name__}, expected a Booster; do not use it")
    return found


def open_pickle(folder: Path, *, policy: Policy = "exact") -> xgboost.Booster:
    """Return the pickled booster of a package, after the package itself was proven.

    Raises
    ------
    PackageError
        If the package is not what its manifest says, does not fit this
        environment, or its pickle holds anything but a booster.
    """
    manifest, contents = read_package(folder)
    compatibility.check(manifest, policy)
    first_load.prove(folder, manifest)
    _refuse_operations(contents[PICKLE])
    first_load.run_child(folder, manifest, pickled=True)
    return load(contents[PICKLE])


def _refuse_operations(content: bytes) -> None:
    try:
        used = {operation.name for operation, _, _ in pickletools.genops(content)}
    except Exception as error:
        raise PackageError(f"{PICKLE} is no pickle: {error}; do not use it") from error
    strange = sorted(used - OPERATIONS)
    if strange:
        raise PackageError(f"{PICKLE} holds operations that no booster needs: {', '.join(strange)}; do not use it")


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return CLASSES[(module, name)]
        except KeyError:
            raise PackageError(
                f"{PICKLE} wants {module[:60]}.{name[:60]}, which no booster is made of; do not use it"
            ) from None
