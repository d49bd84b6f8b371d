"""The Dockerfiles and what they copy. No image is built here."""

import re
import shlex
import subprocess
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from factories.deployment import (
    ROOT,
    Instruction,
    Service,
    commands_in,
    found,
    image_environment,
    read_dockerfile,
    tracked_files,
)

DOCKERFILES = sorted((ROOT / "docker").glob("*.Dockerfile"))
IGNORED = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]


def is_left_out(path: str) -> bool:
    """Whether .dockerignore keeps a path, or a folder above it, out of the images."""
    folders = [str(Path(*Path(path).parts[: depth + 1])) for depth in range(len(Path(path).parts))]
    return any(_matches(pattern, folder) for pattern in IGNORED for folder in folders)


def _matches(pattern: str, path: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatchcase(Path(path).name, pattern.removeprefix("**/"))
    return path == pattern.lstrip("/")


@pytest.fixture(params=DOCKERFILES, ids=lambda path: path.stem)
def dockerfile(request: pytest.FixtureRequest) -> list[Instruction]:
    return read_dockerfile(request.param)


def copies(dockerfile: list[Instruction]) -> list[str]:
    """Return what is copied from the project, without what is copied from another stage."""
    words = [shlex.split(line.rest) for line in dockerfile if line.word in ("COPY", "ADD")]
    return [word for line in words if not line[0].startswith("--from") for word in line[:-1]]


def test_there_is_an_image_for_each_service_of_ours(services: dict[str, Service]) -> None:
    assert {service.dockerfile for service in services.values() if service.is_ours} == set(DOCKERFILES)


def test_the_base_is_pinned_to_a_version_of_the_python_that_the_project_wants(dockerfile: list[Instruction]) -> None:
    bases = {line.rest.split()[0] for line in dockerfile if line.word == "FROM"}

    assert len(bases) == 1
    assert re.fullmatch(r"python:3\.11\.\d+-slim-bookworm", bases.pop())


def test_both_images_stand_on_the_same_base_and_write_as_the_same_user() -> None:
    texts = [path.read_text() for path in DOCKERFILES]

    for pattern in (r"^FROM (\S+)", r"^USER (\S+)", r"--uid (\d+) --gid (\d+)"):
        assert len({tuple(sorted(set(re.findall(pattern, text, re.MULTILINE)))) for text in texts}) == 1


def test_the_last_user_is_not_root(dockerfile: list[Instruction]) -> None:
    user = [line.rest for line in dockerfile if line.word == "USER"][-1]

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", user)


def test_whatever_is_copied_exists_is_tracked_and_is_let_in(dockerfile: list[Instruction]) -> None:
    tracked = tracked_files()

    for source in copies(dockerfile):
        if source == ".":
            continue
        files = [path for path in tracked if path == source or path.startswith(f"{source}/")]
        assert files, f"git tracks nothing at {source}"
        assert not any(is_left_out(path) for path in files)


def test_nothing_is_installed_that_is_not_in_a_lock(dockerfile: list[Instruction]) -> None:
    lines = [line.rest for line in dockerfile if line.word == "RUN"]
    installs = [
        command for line in lines for command in commands_in(line) if "install" in command and "/pip" in command[0]
    ]

    assert installs
    for command in installs:
        assert "--require-hashes" in command or "--no-index" in command
        assert "--no-deps" in command
        assert "--only-binary" in command or "--no-build-isolation" in command


def test_byte_code_is_written_while_the_image_is_built(dockerfile: list[Instruction]) -> None:
    lines = " ".join(line.rest for line in dockerfile if line.word in ("RUN", "ENV"))

    assert "-m compileall" in lines
    assert all("--compile" in line for line in re.findall(r"pip install[^&]*--require-hashes[^&]*", lines))
    assert "PYTHONDONTWRITEBYTECODE" not in lines


def test_the_lock_is_installed_as_it_is_written_in_the_dockerfile() -> None:
    text = (ROOT / "docker" / "airflow.Dockerfile").read_text()
    script = found(r"sed -n '([^']+)' requirements\.txt", text)

    done = subprocess.run(
        ["sed", "-n", script, "requirements.txt"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert re.fullmatch(r"setuptools==[\d.]+ \\\n(    --hash=sha256:\w{64}( \\)?\n)+", done.stdout)
    for name in found(r"--no-binary (\S+)", text).split(","):
        assert f"\n{name}==" in (ROOT / "requirements.txt").read_text()


def test_what_git_tracks_goes_into_the_image_that_keeps_the_checkout() -> None:
    """A tracked file that is missing would make every build in production an edited checkout."""
    assert [path for path in tracked_files() if is_left_out(path)] == []
    assert not is_left_out(".git/HEAD")


def test_git_believes_the_checkout_of_the_image_although_root_owns_it() -> None:
    path = ROOT / "docker" / "airflow.Dockerfile"

    assert found(r"--add safe\.directory (\S+)", path.read_text()) == image_environment(path)["NIGHTSHIFT_PROJECT"]


@pytest.mark.parametrize(
    "path",
    [".nightshift/airflow/secrets/jwt_secret", ".venv/bin/python", "docker/secrets/fernet_key", ".env", "a/b/.env",
     "include/nightshift/__pycache__/spec.cpython-311.pyc", "include/nightshift.egg-info/PKG-INFO", "x/y.log", "z.db"],
)  # fmt: skip
def test_state_and_secrets_stay_out_of_the_images_and_of_git(path: str) -> None:
    ignored = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", path], cwd=ROOT, check=False)

    assert is_left_out(path)
    assert ignored.returncode == 0


def test_a_volume_is_mounted_where_the_image_has_a_folder_of_its_user(services: dict[str, Service]) -> None:
    """A new volume takes the owner of the folder it covers; one that Docker has to make belongs to root."""
    for service in (service for service in services.values() if service.is_ours):
        made = next(line.rest for line in read_dockerfile(service.dockerfile) if "install --directory" in line.rest)
        folders = made.partition("--group nightshift")[2].partition("&&")[0].split()
        assert set(service.mounts) <= set(folders)
