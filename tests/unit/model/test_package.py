import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from factories.model import CONTRACT, PROFILE, a_model, a_spec, pack, rides
from nightshift.errors import PackageError
from nightshift.files import file_digest
from nightshift.model import first_load, package
from nightshift.model.golden import golden_rows
from nightshift.model.manifest import MANIFEST
from nightshift.model.package import MANY_ROWS, ModelPackage, open_package
from nightshift.model.train import train

TASKS = ("binary", "multiclass", "regression")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("rows", [1, MANY_ROWS - 1, MANY_ROWS, 2 * MANY_ROWS])
def test_few_rows_and_many_are_answered_as_the_trained_model_would(
    opened: dict[str, ModelPackage], task: str, rows: int
) -> None:
    asked = rides(task, rows=rows, seed=8)

    answers = opened[task].predict(asked)

    expected = a_model(task).predict(asked)
    assert answers.shape == expected.shape
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("task", TASKS)
def test_no_rows_get_no_answers(opened: dict[str, ModelPackage], task: str) -> None:
    assert len(opened[task].predict([])) == 0


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    "sizes",
    [[], [0], [1], [1] * 40, [1] * 150, [0, 3, 0, 60, 1, 62, 1, 63, 64, 1], [200, 1, 1], [100, 1, 40, 64, 3, 130]],
)
def test_several_matrices_are_answered_to_the_bit_as_one_by_one(
    opened: dict[str, ModelPackage], task: str, sizes: list[int]
) -> None:
    package = opened[task]
    matrix = package.encode(rides(task, rows=sum(sizes) or 1, seed=5))
    matrices = [matrix[end - size : end] for end, size in zip(np.cumsum(sizes), sizes, strict=True)]

    together = package.predict_each(matrices)

    one_by_one = [package.predict_encoded(one) for one in matrices]
    assert [one.shape for one in together] == [one.shape for one in one_by_one]
    assert all(np.array_equal(one, other) for one, other in zip(together, one_by_one, strict=True))


def test_a_package_knows_what_a_door_needs(opened: dict[str, ModelPackage]) -> None:
    found = opened["multiclass"]

    assert (found.model, found.task, found.key, found.time_column) == ("rides", "multiclass", "ride_id", "at")
    assert found.columns == ("distance", "speed", "weather", "zone")
    assert found.categories["zone"][:2] == ("centre", "east")
    assert found.classes == ("cancelled", "late", "on time")
    assert (found.contract, found.profile) == (CONTRACT, PROFILE)


def test_the_digest_of_a_package_is_that_of_its_manifest(packages: dict[str, Path]) -> None:
    assert open_package(packages["binary"]).digest == file_digest(packages["binary"] / MANIFEST)


def test_the_same_model_gives_the_same_package_whatever_threads_trained_it(tmp_path: Path) -> None:
    manifests = []
    for threads in (1, 2):
        training = {"rounds": 20, "seed": 3, "threads": threads, "parameters": {"subsample": 0.8}}
        model = train(rides(), rides(rows=400, seed=1), a_spec(training=training))
        manifests.append(pack(tmp_path / str(threads), model=model))

    assert manifests[0].digest == manifests[1].digest


def test_writing_again_replaces_the_whole_folder(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "left over").touch()

    manifest = pack(tmp_path / "package")

    assert {path.name for path in (tmp_path / "package").iterdir()} == {*manifest.files, MANIFEST}
    assert not [path for path in tmp_path.iterdir() if path.name.endswith(".tmp")]


def test_golden_rows_hold_real_ones_and_every_edge(opened: dict[str, ModelPackage]) -> None:
    golden = opened["binary"].golden

    assert set(golden.origins) == {"test", "earlier", "missing", "unseen", "split"}
    assert golden.origins.count("test") == 300
    assert golden.rows[0]["zone"] in (*opened["binary"].categories["zone"], None)


@pytest.mark.parametrize(
    ("tested", "earlier", "expected"),
    [(3000, 500, (1000, 0)), (1000, 500, (1000, 0)), (300, 3000, (300, 700)), (1, 40, (1, 40)), (300, 0, (300, 0))],
)
def test_a_thousand_real_rows_are_kept_and_a_small_test_split_is_filled_up_from_before_it(
    tested: int, earlier: int, expected: tuple[int, int]
) -> None:
    rows, before = rides(rows=tested, seed=4), rides(rows=earlier + 1, seed=1).iloc[1:]

    values, origins = golden_rows(rows, before, a_model().encoding, {})

    real = tuple(origins.count(origin) for origin in ("test", "earlier"))
    distance = list(a_model().encoding.columns).index("distance")
    assert real == expected
    assert values[sum(real) - 1][distance] == (before if real[1] else rows)["distance"].iloc[-1]


def test_every_test_row_is_asked_of_every_format(tmp_path: Path) -> None:
    manifest = pack(tmp_path / "package", golden=rides(rows=3000, seed=4))

    assert manifest.onnx.rows >= 3000 + 1000


def test_golden_rows_lie_on_both_sides_of_the_models_own_split_points(opened: dict[str, ModelPackage]) -> None:
    golden = opened["binary"].golden
    sides = [row["distance"] for row, origin in zip(golden.rows, golden.origins, strict=True) if origin == "split"]
    dump = a_model().booster.trees_to_dataframe()
    points = set(dump[dump["Feature"] == "distance"]["Split"])

    met = points & set(sides)

    assert len(met) == min(len(points), 400 // 3)
    assert {float(np.nextafter(np.float32(point), np.float32(-np.inf))) for point in met} <= set(sides)


def test_an_unfaithful_onnx_is_left_out_and_the_native_file_serves(tmp_path: Path) -> None:
    """The converter takes a multiclass model of two classes for a binary one, and answers upside down."""
    rows, validation, golden = (
        one[one["outcome"] != "late"]
        for one in (rides("multiclass"), rides("multiclass", rows=400, seed=1), rides("multiclass", seed=2))
    )
    model = train(rows, validation, a_spec("multiclass"))

    manifest = pack(tmp_path / "package", "multiclass", model=model, golden=golden)
    answers = open_package(tmp_path / "package").predict(golden[:3])

    assert not manifest.has_onnx
    assert "otherwise than the native file" in manifest.onnx.why
    assert manifest.onnx.worst_difference is not None
    assert not (tmp_path / "package" / "model.onnx").exists()
    np.testing.assert_array_equal(answers, model.predict(golden[:3]))


def test_a_model_that_the_converter_refuses_is_still_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from nightshift.model import onnx_format

    def refuse(*_: Any, **__: Any) -> bytes:
        raise RuntimeError("no such tree")

    monkeypatch.setattr(onnx_format, "convert", refuse)

    manifest = pack(tmp_path / "package")

    assert manifest.onnx.why == "cannot be converted: no such tree"
    assert open_package(tmp_path / "package").predict(rides(rows=1)).shape == (1,)


def test_no_rows_to_take_golden_ones_from_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="give the test split"):
        pack(tmp_path / "package", golden=rides()[:0])


def test_a_booster_that_no_process_can_open_is_never_given_the_folders_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = replace(a_model(), classes=("x" * 201,))

    with pytest.raises(ValueError, match="200 characters"):
        pack(tmp_path / "package", model=broken)

    assert not (tmp_path / "package").exists()


def test_opening_imports_no_training_library(packages: dict[str, Path]) -> None:
    code = (
        "import sys; from pathlib import Path; from nightshift.model.package import open_package; "
        "package = open_package(Path(sys.argv[1])); "
        "package.predict([dict.fromkeys(package.columns)]); "
        "print([name for name in ('pandas', 'sklearn', 'scipy', 'xgboost', 'onnx', 'mlflow') if name in sys.modules])"
    )

    child = subprocess.run(
        [sys.executable, "-c", code, str(packages["binary"])], capture_output=True, text=True, check=True
    )

    assert child.stdout.strip() == "[]"


def test_warming_up_loads_the_way_for_many_rows(packages: dict[str, Path]) -> None:
    found = open_package(packages["binary"])

    found.warm()

    assert found.predict(rides(rows=MANY_ROWS)).shape == (MANY_ROWS,)


def test_a_proven_package_is_opened_without_a_child(
    packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[Path] = []
    run = first_load.run_child
    monkeypatch.setattr(first_load, "run_child", lambda folder, *a: (children.append(folder), run(folder, *a)))
    foreign = shutil.copytree(packages["binary"], tmp_path / "foreign")

    open_package(foreign)
    open_package(foreign)

    assert children == [foreign]


def test_a_package_in_a_place_nobody_may_write_to_is_proven_each_time(
    packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[Path] = []
    run = first_load.run_child
    monkeypatch.setattr(first_load, "run_child", lambda folder, *a: (children.append(folder), run(folder, *a)))
    foreign = shutil.copytree(packages["binary"], tmp_path / "foreign")
    (tmp_path / ".foreign.proven.json").mkdir()  # even root cannot write a file there

    open_package(foreign)
    open_package(foreign)

    assert children == [foreign, foreign]


def test_a_package_that_changed_environments_is_proven_again(
    packages: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = shutil.copytree(packages["binary"], tmp_path / "foreign")
    open_package(foreign)
    before = (tmp_path / ".foreign.proven.json").read_bytes()
    monkeypatch.setattr(first_load, "running_python", lambda: "CPython 3.11.99")

    open_package(foreign)

    assert (tmp_path / ".foreign.proven.json").read_bytes() != before


def test_threads_may_ask_at_once(opened: dict[str, ModelPackage]) -> None:
    from concurrent.futures import ThreadPoolExecutor

    asked = [rides(rows=rows, seed=rows) for rows in (1, 300, 7, 400) * 5]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(opened["binary"].predict, asked))

    for rows, answer in zip(asked, answers, strict=True):
        np.testing.assert_allclose(answer, a_model().predict(rows), rtol=1e-5, atol=1e-5)


def test_the_note_of_a_proof_is_no_part_of_the_package(packages: dict[str, Path], spoil: Callable[[], Path]) -> None:
    folder = spoil()

    open_package(folder)

    assert {path.name for path in folder.iterdir()} == {path.name for path in packages["binary"].iterdir()}
    assert package.open_package(folder, policy="exact").model == "rides"
