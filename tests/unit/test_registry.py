"""The registry against servers that are away, ill, foreign or lying."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.registry import Answer, as_json, digest, package, stub_server, version
from nightshift.errors import PackageError, RegistryUnavailableError, ReleaseError
from nightshift.files import file_digest
from nightshift.registry import ModelRegistry, Release
from nightshift.registry.copies import is_intact, make_copy
from nightshift.registry.release import first_of_each_lineage

ABSENT = as_json(
    404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "Registered Model with name=bikes not found"}
)
NO_ALIAS = as_json(
    400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Registered model alias champion not found."}
)
PATHS_OUT = (
    "..",
    "../x",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "",
    ".hidden",
    "a\0b",
    "%2e%2e",
    "a b",
    "~",
    "a" * 200,
    "ä",
    "x\n",
)


@contextmanager
def black_hole() -> Iterator[str]:
    """Yield the address of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.fixture
def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_closed_port_is_told_within_the_wait(closed_port: str, tmp_path: Path) -> None:
    registry = ModelRegistry(closed_port, tmp_path, wait_seconds=0.5)
    began = time.monotonic()

    with pytest.raises(RegistryUnavailableError, match=r"127\.0\.0\.1.*may take 0\.5 s.*`make up`"):
        registry.ping()

    assert time.monotonic() - began < 1.5


def test_a_server_that_never_answers_is_told_within_the_wait(tmp_path: Path) -> None:
    with black_hole() as url:
        registry = ModelRegistry(url, tmp_path, wait_seconds=0.5)
        began = time.monotonic()

        with pytest.raises(RegistryUnavailableError, match="ReadTimeout"):
            registry.champion("bikes")

        assert 0.4 < time.monotonic() - began < 1.5


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_passing_illness_is_waited_for(status: int, tmp_path: Path) -> None:
    answers = iter([(status, b"ill"), (status, b"ill"), as_json(200, {"model_version": version(3)})])

    with stub_server(lambda _: next(answers)) as url:
        champion = ModelRegistry(url, tmp_path, wait_seconds=10).champion("bikes")

    assert champion is not None
    assert champion.version == "3"


def test_a_race_lost_inside_mlflow_is_tried_again(tmp_path: Path) -> None:
    lost = {"error_code": "BAD_REQUEST", "message": "(sqlite3.IntegrityError) UNIQUE constraint failed: datasets.name"}
    answers = iter([as_json(400, lost), as_json(200, {"model_version": version(3)})])

    with stub_server(lambda _: next(answers)) as url:
        assert ModelRegistry(url, tmp_path, wait_seconds=10).champion("bikes") is not None


@pytest.mark.parametrize("body", [b'{"model_version": {"na', b"<html>a proxy</html>", b"[1]", b""])
def test_half_an_answer_is_no_answer(body: bytes, tmp_path: Path) -> None:
    with stub_server(lambda _: (200, body)) as url:
        registry = ModelRegistry(url, tmp_path, wait_seconds=0.3)

        with pytest.raises(RegistryUnavailableError, match="where JSON is due"):
            registry.champion("bikes")


def test_an_illness_that_stays_is_told_with_its_words(tmp_path: Path) -> None:
    with stub_server(lambda _: as_json(500, {"error_code": "INTERNAL_ERROR", "message": "database is locked"})) as url:
        registry = ModelRegistry(url, tmp_path, wait_seconds=0.3)

        with pytest.raises(RegistryUnavailableError, match="500 database is locked"):
            registry.versions("bikes")


@pytest.mark.parametrize("answer", [ABSENT, NO_ALIAS], ids=["no model", "no alias"])
def test_nobody_is_champion_before_the_first_promotion(answer: Answer, tmp_path: Path) -> None:
    with stub_server(lambda _: answer) as url:
        assert ModelRegistry(url, tmp_path, wait_seconds=5).champion("bikes") is None


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"404 page not found"),
        (401, b"who are you?"),
        as_json(403, {"error_code": "PERMISSION_DENIED", "message": "no"}),
        as_json(400, {"error_code": "INVALID_PARAMETER_VALUE", "message": "Invalid registered model name: alias"}),
    ],
    ids=["foreign server", "401", "403", "400"],
)
def test_a_refusal_is_never_taken_for_no_champion(answer: Answer, tmp_path: Path) -> None:
    with stub_server(lambda _: answer) as url:
        registry = ModelRegistry(url, tmp_path, wait_seconds=5)

        with pytest.raises(ReleaseError, match="refused GET"):
            registry.champion("bikes")


def test_a_password_in_the_address_is_in_no_message(closed_port: str, tmp_path: Path) -> None:
    url = closed_port.replace("http://", "http://reader:c4nary@")

    with pytest.raises(RegistryUnavailableError) as caught:
        ModelRegistry(url, tmp_path, wait_seconds=0.1).ping()

    assert "c4nary" not in str(caught.value)
    assert "127.0.0.1" in str(caught.value)


def test_every_page_of_versions_is_read(tmp_path: Path) -> None:
    def answer(path: str) -> Answer:
        if "page_token=next" in path:
            return as_json(200, {"model_versions": [version(1, lineage="b")]})
        return as_json(200, {"model_versions": [version(2, lineage="a")], "next_page_token": "next"})

    with stub_server(answer) as url:
        releases = ModelRegistry(url, tmp_path, wait_seconds=5).versions("bikes")

    assert [release.version for release in releases] == ["1", "2"]


def test_a_missing_version_is_told_with_the_known_ones(tmp_path: Path) -> None:
    def answer(path: str) -> Answer:
        return ABSENT if "model-versions/get" in path else as_json(200, {"model_versions": [version(4)]})

    with stub_server(answer) as url:
        registry = ModelRegistry(url, tmp_path, wait_seconds=5)

        with pytest.raises(ReleaseError, match="bikes has no version 9; known are: 4"):
            registry.version("bikes", "9")


@pytest.mark.parametrize("name", PATHS_OUT)
def test_a_name_that_leaves_its_folder_never_reaches_the_server(name: str, tmp_path: Path) -> None:
    asked = []

    def answer(path: str) -> Answer:
        asked.append(path)
        return as_json(200, {"model_version": version(1, **{"nightshift.evidence." + name: digest("x")})})

    with stub_server(answer) as url:
        registry = ModelRegistry(url, tmp_path / "cache", wait_seconds=5)

        for call in (
            lambda: registry.champion(name),
            lambda: registry.versions(name),
            lambda: registry.find("bikes", name),
            lambda: registry.version("bikes", name),
            lambda: registry.fetch(name, "1"),
            lambda: registry.fetch("bikes", name),
        ):
            with pytest.raises(ReleaseError, match="expected"):
                call()
        assert asked == []
        with pytest.raises(ReleaseError, match="plain file name"):
            registry.evidence("bikes", "1", name)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "source", ["file:///etc", "http://169.254.169.254/x", "s3://b/p", "/etc", "mlflow-artifacts:/../x"]
)
def test_a_package_is_fetched_from_the_registry_itself_only(source: str, tmp_path: Path) -> None:
    with stub_server(lambda _: as_json(200, {"model_version": version(1) | {"source": source}})) as url:
        registry = ModelRegistry(url, tmp_path / "cache", wait_seconds=5)

        with pytest.raises(ReleaseError, match=r"behind the MLflow server|plain names"):
            registry.fetch("bikes", "1")

    assert not (tmp_path / "cache" / "bikes" / "1" / "package").exists()


def test_a_version_of_somebody_else_is_not_fetched(tmp_path: Path) -> None:
    with stub_server(lambda _: as_json(200, {"model_version": version(1) | {"tags": []}})) as url:
        registry = ModelRegistry(url, tmp_path, wait_seconds=5)

        with pytest.raises(ReleaseError, match="did not register it"):
            registry.fetch("bikes", "1")


@given(st.lists(st.tuples(st.integers(1, 40), st.sampled_from("abc")), unique_by=lambda pair: pair[0]))
def test_of_each_lineage_the_lowest_number_counts(pairs: list[tuple[int, str]]) -> None:
    releases = [Release.of_version(version(number, lineage=lineage)) for number, lineage in pairs]

    kept = first_of_each_lineage(releases)

    lowest = {lineage: min(n for n, other in pairs if other == lineage) for _, lineage in pairs}
    assert [release.number for release in kept] == sorted(lowest.values())


def test_a_release_comes_back_from_json() -> None:
    release = Release.of_version(version(7, as_of="2013-05-01", **{"nightshift.evidence.card.md": digest("card")}))

    again = Release.from_json(json.loads(json.dumps(release.to_json())))

    assert again == release
    assert again.tags == {"as_of": "2013-05-01"}
    assert again.evidence == {"card.md": digest("card")}


def test_a_copy_is_made_of_exactly_the_files_that_the_manifest_names(tmp_path: Path) -> None:
    kept = package(tmp_path / "kept", model="trees", more="leaves")
    (kept / "stray.txt").write_text("not named")
    name = file_digest(kept / "manifest.json")

    make_copy(tmp_path / "here" / "package", package_digest=name, read=lambda n, _: (kept / n).read_bytes(), what="it")

    assert {path.name for path in (tmp_path / "here" / "package").iterdir()} == {
        "manifest.json",
        "model.ubj",
        "more.ubj",
    }
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["package"]


@pytest.mark.parametrize("file", ["manifest.json", "model.ubj"])
def test_a_changed_package_is_refused_with_both_digests_and_leaves_nothing(file: str, tmp_path: Path) -> None:
    kept = package(tmp_path / "kept")
    expected = {path.name: file_digest(path) for path in kept.iterdir()}
    (kept / file).write_bytes((kept / file).read_bytes() + b" ")
    found = file_digest(kept / file)

    with pytest.raises(PackageError, match=f"(?s)the package.*{found}.*{expected[file]}"):
        make_copy(
            tmp_path / "here" / "package",
            package_digest=expected["manifest.json"],
            read=lambda name, _: (kept / name).read_bytes(),
            what="the package",
        )

    assert list((tmp_path / "here").iterdir()) == []


@pytest.mark.parametrize("name", PATHS_OUT)
def test_a_manifest_that_names_a_file_elsewhere_writes_nothing(name: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "manifest.json").write_text(json.dumps({"files": {name: {"sha256": digest("x"), "size": 1}}}))

    with pytest.raises(PackageError, match="does not name its files"):
        make_copy(
            tmp_path / "here" / "package",
            package_digest=file_digest(kept / "manifest.json"),
            read=lambda asked, _: (kept / "manifest.json").read_bytes() if asked == "manifest.json" else b"x",
            what="it",
        )

    assert sorted(path.name for path in tmp_path.rglob("*") if path.is_file()) == ["manifest.json"]


def test_a_copy_with_one_changed_byte_is_not_intact(tmp_path: Path) -> None:
    copy = package(tmp_path / "copy")
    name = file_digest(copy / "manifest.json")
    assert is_intact(copy, name)

    (copy / "model.ubj").write_text("treez")

    assert not is_intact(copy, name)


@pytest.mark.parametrize("spoiled", ["extra", "soft link", "hard link", "pipe"])
def test_a_copy_that_no_reader_would_open_is_made_anew(spoiled: str, tmp_path: Path) -> None:
    kept, copy = package(tmp_path / "kept"), package(tmp_path / "here" / "package")
    name, model = file_digest(kept / "manifest.json"), copy / "model.ubj"
    if spoiled == "extra":
        (copy / "stray.txt").touch()
    elif spoiled == "hard link":
        (tmp_path / "second name").hardlink_to(model)
    else:
        model.rename(tmp_path / "elsewhere")
        os.mkfifo(model) if spoiled == "pipe" else model.symlink_to(tmp_path / "elsewhere")

    assert not is_intact(copy, name)
    make_copy(copy, package_digest=name, read=lambda n, _: (kept / n).read_bytes(), what="it")

    assert is_intact(copy, name)


def test_asking_the_registry_does_not_load_mlflow() -> None:
    code = "import sys, nightshift.registry; sys.exit(bool({'mlflow', 'pandas', 'numpy'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
