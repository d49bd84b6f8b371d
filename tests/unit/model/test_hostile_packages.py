"""Packages that somebody made to hurt: every one is refused, and nothing in them is run."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from factories.model import copy_of, pack, reseal
from nightshift.errors import PackageError
from nightshift.files import canonical_json, read_json
from nightshift.model import compatibility, first_load
from nightshift.model.manifest import FILES, MANIFEST
from nightshift.model.package import open_package
from nightshift.model.reading import read_package

Spoil = Callable[[], Path]


@pytest.mark.parametrize("name", sorted(FILES | {MANIFEST}))
def test_a_missing_file_is_refused(spoil: Spoil, name: str) -> None:
    folder = spoil()
    (folder / name).unlink()

    with pytest.raises(PackageError, match=f"{name} is missing"):
        open_package(folder)


@pytest.mark.parametrize("name", ["extra.bin", ".hidden", "booster.json"])
def test_an_extra_file_is_refused(spoil: Spoil, name: str) -> None:
    folder = spoil()
    (folder / name).write_text("?")

    with pytest.raises(PackageError, match=r"is not in the manifest"):
        open_package(folder)


def test_an_extra_folder_is_refused(spoil: Spoil) -> None:
    folder = spoil()
    (folder / "docs").mkdir()

    with pytest.raises(PackageError, match=r"'docs' is not in the manifest"):
        open_package(folder)


def test_swapped_files_are_named_both(spoil: Spoil) -> None:
    folder = spoil()
    profile, contract = (folder / "profile.json").read_bytes(), (folder / "contract.json").read_bytes()
    (folder / "profile.json").write_bytes(contract)
    (folder / "contract.json").write_bytes(profile)

    with pytest.raises(PackageError) as caught:
        open_package(folder)

    assert "profile.json has" in str(caught.value)
    assert "contract.json has" in str(caught.value)


def test_every_changed_file_is_named_at_once(spoil: Spoil) -> None:
    folder = spoil()
    for name in ("booster.ubj", "model.onnx"):
        content = bytearray((folder / name).read_bytes())
        content[len(content) // 2] ^= 1
        (folder / name).write_bytes(content)

    with pytest.raises(PackageError, match=r"booster.ubj has digest .* model.onnx has digest"):
        open_package(folder)


def test_a_soft_link_is_refused(spoil: Spoil, tmp_path: Path) -> None:
    folder = spoil()
    (folder / "booster.ubj").rename(tmp_path / "elsewhere")
    (folder / "booster.ubj").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(PackageError, match=r"booster.ubj cannot be opened, or is a link"):
        open_package(folder)


def test_a_hard_link_is_refused(spoil: Spoil, tmp_path: Path) -> None:
    folder = spoil()
    os.link(folder / "booster.ubj", tmp_path / "second name")

    with pytest.raises(PackageError, match=r"linked under 2 names"):
        open_package(folder)


def test_a_folder_that_is_a_link_is_refused(spoil: Spoil, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(spoil())

    with pytest.raises(PackageError, match=r"is no package folder"):
        open_package(tmp_path / "link")


def test_a_pipe_does_not_make_us_wait(spoil: Spoil) -> None:
    folder = spoil()
    (folder / "booster.ubj").unlink()
    os.mkfifo(folder / "booster.ubj")

    with pytest.raises(PackageError, match=r"booster.ubj is no plain file"):
        open_package(folder)


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"is no package folder"):
        open_package(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "name", ["../booster.ubj", "/etc/passwd", "sub/booster.ubj", "booster.ubj\x00", "..", "évil", "con", "-rf", ""]
)
def test_a_manifest_that_names_a_path_is_refused(spoil: Spoil, name: str) -> None:
    folder = spoil()
    manifest = read_json(folder / MANIFEST)
    manifest["files"][name] = manifest["files"].pop("profile.json")
    (folder / MANIFEST).write_bytes(canonical_json(manifest) + b"\n")

    with pytest.raises(PackageError, match=r"too many, 'profile.json' missing"):
        open_package(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format 2, expected 1"),
        ({"model": "../../etc"}, "model"),
        ({"task": "clustering"}, "task"),
        ({"requirements": ["numpy"]}, "requirements"),
        ({"threads": 10_000}, "threads"),
        ({"surprise": 1}, "surprise"),
        ({"encoding": {"columns": []}}, "categories"),
        ({"onnx": None}, "onnx"),
        ({"lineage_digest": "short"}, "lineage_digest"),
    ],
)
def test_a_manifest_of_another_kind_is_refused(spoil: Spoil, change: dict[str, Any], said: str) -> None:
    folder = spoil()
    (folder / MANIFEST).write_bytes(canonical_json(read_json(folder / MANIFEST) | change) + b"\n")

    with pytest.raises(PackageError, match=said):
        open_package(folder)


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"format": NaN}', b"[" * 100_000], ids=range(7)
)
def test_a_manifest_that_is_none_is_refused(spoil: Spoil, content: bytes) -> None:
    folder = spoil()
    (folder / MANIFEST).write_bytes(content)

    with pytest.raises(PackageError):
        open_package(folder)


def test_a_manifest_written_another_way_is_refused(spoil: Spoil) -> None:
    """Its digest is the package's: two ways to write it would be two digests of one thing."""
    folder = spoil()
    (folder / MANIFEST).write_text(json.dumps(read_json(folder / MANIFEST), indent=1))

    with pytest.raises(PackageError, match=r"canonical form"):
        open_package(folder)


def test_a_giant_file_is_refused_before_it_is_read(spoil: Spoil) -> None:
    folder = spoil()
    os.truncate(folder / "golden.json", 1024**4)  # sparse: a terabyte that takes no room

    with pytest.raises(PackageError, match=r"golden.json has 1,099,511,627,776 bytes, expected"):
        open_package(folder)


def test_an_older_package_in_a_newer_folder_is_what_its_own_digest_says(
    packages: dict[str, Path], tmp_path: Path
) -> None:
    """A replayed package opens, but under its own digest: who asked for another sees it."""
    pack(tmp_path / "newer", lineage_digest="cd" * 32)
    copy_of(packages["binary"], tmp_path / "replayed")

    assert open_package(tmp_path / "replayed").digest != open_package(tmp_path / "newer").digest


# ---------------------------------------------------------------- resealed: the digests are right, the files are not


def test_golden_answers_that_the_model_does_not_give_are_refused(spoil: Spoil) -> None:
    folder = spoil()
    golden = read_json(folder / "golden.json")
    golden["answers"][7] += 1e-3

    with pytest.raises(PackageError, match=r"otherwise than recorded: differs by 0.001"):
        open_package(reseal(folder, "golden.json", canonical_json(golden)))


def test_golden_rows_that_were_taken_out_are_refused(spoil: Spoil) -> None:
    """No row is answered wrongly if none is asked."""
    folder = spoil()
    none = read_json(folder / "golden.json") | {"values": [], "origins": [], "answers": []}

    with pytest.raises(PackageError, match=r"golden.json of rides holds 0 rows, its manifest says \d+"):
        open_package(reseal(folder, "golden.json", canonical_json(none)))


def test_a_package_may_not_widen_its_own_tolerance(spoil: Spoil) -> None:
    folder = spoil()
    golden, onnx = read_json(folder / "golden.json"), read_json(folder / MANIFEST)["onnx"]
    golden["answers"] = [1 - answer for answer in golden["answers"]]

    with pytest.raises(PackageError, match=r"onnx.tolerance"):
        open_package(reseal(folder, "golden.json", canonical_json(golden), onnx=onnx | {"tolerance": 2.0}))


def test_another_models_native_file_is_refused(spoil: Spoil, packages: dict[str, Path]) -> None:
    other = (packages["regression"] / "booster.ubj").read_bytes()

    with pytest.raises(PackageError, match=r"booster.ubj of rides answers .* otherwise"):
        open_package(reseal(spoil(), "booster.ubj", other))


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"not a booster", b"\x00" * 4096], ids=["none", "json", "text", "zeros"]
)
@pytest.mark.parametrize("name", ["booster.ubj", "model.onnx", "golden.json"])
def test_a_file_that_no_reader_understands_is_refused(spoil: Spoil, name: str, content: bytes) -> None:
    with pytest.raises(PackageError):
        open_package(reseal(spoil(), name, content))


def test_a_crash_in_the_first_load_is_a_refusal(spoil: Spoil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader with a hole, as the child sees it: the library that parses kills its process."""
    (tmp_path / "path" / "onnxruntime").mkdir(parents=True)
    (tmp_path / "path" / "onnxruntime" / "__init__.py").write_text("import os\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"), prepend=os.pathsep)

    with pytest.raises(PackageError, match=r"crashed with SIGABRT in a process of its own"):
        open_package(spoil())


def test_a_folder_that_is_swapped_before_the_first_load_vouches_for_nothing(spoil: Spoil) -> None:
    folder = spoil()
    expected, _ = read_package(folder)
    reseal(folder, "contract.json", b"{}")
    found, _ = read_package(folder)

    with pytest.raises(PackageError, match=f"holds package {found.digest}, expected {expected.digest}"):
        first_load.run_child(folder, expected)


def test_a_load_that_does_not_end_is_a_refusal(spoil: Spoil, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "path" / "onnxruntime").mkdir(parents=True)
    (tmp_path / "path" / "onnxruntime" / "__init__.py").write_text("while True:\n    pass\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"), prepend=os.pathsep)

    folder = spoil()

    with pytest.raises(PackageError, match=r"did not end within 1 s"):
        first_load.run_child(folder, read_package(folder)[0], seconds=1)


def an_onnx(change: Callable[[Any], None]) -> Callable[[bytes], bytes]:
    def make(content: bytes) -> bytes:
        model = onnx.load_model_from_string(content)
        change(model)
        return bytes(model.SerializeToString())

    return make


def external(model: Any, location: str = "../../etc/passwd") -> None:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    model.graph.initializer.append(tensor)


def external_in_a_node(model: Any) -> None:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    tensor.data_location = TensorProto.EXTERNAL
    model.graph.node[0].attribute.append(helper.make_attribute("nodes_values_as_tensor", tensor))


def sparse_in_a_node(model: Any) -> None:
    attribute = model.graph.node[0].attribute.add()
    attribute.name, attribute.type = "nodes_values_as_tensor", onnx.AttributeProto.SPARSE_TENSOR
    attribute.sparse_tensor.values.data_location = TensorProto.EXTERNAL


def custom_operator(model: Any) -> None:
    model.graph.node.append(helper.make_node("Shell", [], ["x"], domain="evil.ops"))


def oversized(model: Any) -> None:
    tensor = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    del tensor.dims[:]
    tensor.dims.extend([2**31, 2**31])
    model.graph.initializer.append(tensor)


def function(model: Any) -> None:
    model.functions.append(helper.make_function("own", "f", [], [], [], [helper.make_opsetid("", 15)]))


def nested(model: Any) -> None:
    graph = helper.make_graph([], "inner", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("body", graph))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (external, "has its data outside the file"),
        (external_in_a_node, "has its data outside the file"),
        (sparse_in_a_node, "holds a sparse tensor"),
        (custom_operator, "operator evil.ops.Shell is not one of trees"),
        (oversized, "claims 4,611,686,018,427,387,904 numbers"),
        (function, "functions of its own"),
        (nested, "holds a graph"),
    ],
)
def test_an_onnx_file_that_is_more_than_trees_is_refused(
    spoil: Spoil, change: Callable[[Any], None], said: str
) -> None:
    folder = spoil()

    with pytest.raises(PackageError, match=said):
        open_package(reseal(folder, "model.onnx", an_onnx(change)((folder / "model.onnx").read_bytes())))


def test_a_refused_package_stays_refused(spoil: Spoil) -> None:
    folder = reseal(spoil(), "booster.ubj", b"not a booster")

    for _ in range(2):
        with pytest.raises(PackageError):
            open_package(folder)


# ---------------------------------------------------------------- environments


def test_another_environment_is_refused_with_a_table(
    packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compatibility, "running_python", lambda: "CPython 3.12.1")
    monkeypatch.setattr(
        compatibility, "installed", lambda _names: {"numpy": "1.26.0", "onnxruntime": "missing", "xgboost": "3.2.0"}
    )

    with pytest.raises(PackageError) as caught:
        open_package(packages["binary"])

    lines = [line.split() for line in str(caught.value).splitlines()]
    assert [line[0] for line in lines if line[-1] == "REFUSED"] == ["python", "numpy", "onnxruntime"]


def test_a_package_that_does_not_say_what_it_needs_is_refused(spoil: Spoil) -> None:
    folder = spoil()
    golden = (folder / "golden.json").read_bytes()

    with pytest.raises(PackageError, match=r"(?s)numpy +not recorded.*xgboost +not recorded .* REFUSED"):
        open_package(reseal(folder, "golden.json", golden, requirements={}))


@pytest.mark.parametrize(
    ("recorded", "here", "compatible"),
    [
        ("2.4.6", "2.4.6", True),
        ("2.4.6", "2.9.0", True),
        ("2.4.6", "2.4.5", False),
        ("2.4.6", "3.0.0", False),
        ("2.4.6", "missing", False),
    ],
)
def test_policies_allow_what_they_say(
    packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch, recorded: str, here: str, compatible: bool
) -> None:
    manifest, _ = read_package(packages["binary"])
    known = manifest.model_copy(update={"requirements": {**manifest.requirements, "numpy": recorded}})
    monkeypatch.setattr(compatibility, "installed", lambda _names: {**manifest.requirements, "numpy": here})

    allowed = [one.allowed for one in compatibility.differences(known, "compatible")]

    assert allowed == ([] if recorded == here else [compatible])
    assert all(not one.allowed for one in compatibility.differences(known, "exact"))


def test_another_patch_of_python_is_compatible_and_not_exact(
    packages: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, _ = read_package(packages["binary"])
    monkeypatch.setattr(compatibility, "running_python", lambda: manifest.python + "9")

    compatibility.check(manifest, "compatible")
    with pytest.raises(PackageError, match=r"policy exact"):
        compatibility.check(manifest, "exact")


def test_the_environment_is_checked_before_any_model_file_is_loaded(
    spoil: Spoil, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compatibility, "running_platform", lambda: "beos-ppc")

    with pytest.raises(PackageError, match=r"beos-ppc"):
        open_package(reseal(spoil(), "booster.ubj", b"not a booster"))


def test_files_are_checked_before_the_environment(spoil: Spoil, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = spoil()
    (folder / "extra").touch()
    monkeypatch.setattr(compatibility, "running_platform", lambda: "beos-ppc")

    with pytest.raises(PackageError, match=r"'extra' is not in the manifest"):
        open_package(folder)


# ---------------------------------------------------------------- any change at all


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(FILES | {MANIFEST})),
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    cut=st.booleans(),
)
def test_any_changed_bit_and_any_cut_is_refused(
    packages: dict[str, Path], name: str, place: float, bit: int, cut: bool
) -> None:
    content = bytearray((packages["binary"] / name).read_bytes())
    at = int(place * len(content))
    changed = content[:at] if cut else content
    if not cut:
        changed[at] ^= 1 << bit
    folder = packages["binary"].parent / "fuzzed"
    if not folder.exists():
        copy_of(packages["binary"], folder)
    try:
        (folder / name).write_bytes(changed)
        with pytest.raises(PackageError):
            read_package(folder)
    finally:
        (folder / name).write_bytes((packages["binary"] / name).read_bytes())


def test_what_was_hashed_is_what_is_used(spoil: Spoil) -> None:
    """A file that is swapped after it was read changes nothing."""
    folder = spoil()
    found = open_package(folder)
    before = found.predict([dict.fromkeys(found.columns)])
    (folder / "booster.ubj").write_bytes(b"swapped")

    found.warm()

    np.testing.assert_array_equal(found.predict([dict.fromkeys(found.columns)]), before)
