from pathlib import Path

import numpy as np
import pytest
import yaml

from factories.model import copy_of, rides
from nightshift.errors import PackageError
from nightshift.model import flavor
from nightshift.model.package import ModelPackage


def test_a_download_with_notes_of_mlflows_own_in_it_is_loaded_and_proven(
    packages: dict[str, Path], opened: dict[str, ModelPackage], tmp_path: Path
) -> None:
    folder = copy_of(packages["multiclass"], tmp_path / "download")
    (folder / "registered_model_meta").write_text("model_name: rides\n")

    found = flavor._load_pyfunc(str(folder)).predict(rides(rows=4))

    np.testing.assert_array_equal(found, opened["multiclass"].predict(rides(rows=4)))


def test_a_changed_download_is_refused(packages: dict[str, Path], tmp_path: Path) -> None:
    folder = copy_of(packages["binary"], tmp_path / "download")
    (folder / "booster.ubj").write_bytes(b"changed")

    with pytest.raises(PackageError, match=r"booster\.ubj has 7 bytes"):
        flavor._load_pyfunc(str(folder))


def test_mlflow_is_told_columns_kinds_and_what_comes_out(packages: dict[str, Path]) -> None:
    said = yaml.safe_load((packages["multiclass"] / "MLmodel").read_text())

    inputs = {column["name"]: column["type"] for column in yaml.safe_load(said["signature"]["inputs"])}
    (output,) = yaml.safe_load(said["signature"]["outputs"])

    assert inputs == {"distance": "double", "speed": "double", "weather": "double", "zone": "string"}
    assert output["tensor-spec"]["shape"] == [-1, 3]
    assert said["flavors"]["python_function"]["loader_module"] == "nightshift.model.flavor"
