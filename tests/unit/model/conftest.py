"""Packages are made once for all tests of the room: proving each takes a process of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest

from factories.model import copy_of, pack
from nightshift.model.package import ModelPackage, open_package


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One package for each task; not to be changed."""
    room = tmp_path_factory.mktemp("packages")
    for task in ("binary", "multiclass", "regression"):
        pack(room / task, task)
    return {task: room / task for task in ("binary", "multiclass", "regression")}


@pytest.fixture(scope="session")
def opened(packages: dict[str, Path]) -> dict[str, ModelPackage]:
    return {task: open_package(folder) for task, folder in packages.items()}


@pytest.fixture
def spoil(packages: dict[str, Path], tmp_path: Path) -> Callable[[], Path]:
    """Return a copy of the binary package that the test may change."""
    return lambda: copy_of(packages["binary"], tmp_path / "spoiled")
