"""An environment holds what its lock pins, is made once, and is whole or not there."""

import base64
import hashlib
import platform
import subprocess
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nightshift.errors import ReturnToSenderError
from nightshift.lineage.installation import install_lock, package_variables

PYTHON = platform.python_version()


@pytest.fixture(autouse=True)
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels instead of the package index."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("UV_FIND_LINKS", str(folder))
    monkeypatch.setenv("UV_NO_INDEX", "1")
    return folder


def a_wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel of one module that knows its version; return its line for a lock."""
    files = {
        f"{name}.py": f"version = {version!r}\n",
        f"{name}-{version}.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{name}-{version}.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{name}-{version}.dist-info/RECORD"
    lines = [f"{path},{_record_digest(text)},{len(text)}" for path, text in files.items()]
    path = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        for each, text in {**files, record: "\n".join([*lines, f"{record},,", ""])}.items():
            wheel.writestr(each, text)
    return f"{name}=={version} \\\n    --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


def _record_digest(text: str) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def a_lock(folder: Path, *lines: str) -> Path:
    path = folder / "requirements.txt"
    path.write_text("".join(lines))
    return path


def answer(python: Path, code: str) -> str:
    done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_environment_holds_what_the_lock_pins(tmp_path: Path, index: Path) -> None:
    lock = a_lock(tmp_path, a_wheel(index, "lamp", "1.2"))

    python = install_lock(lock, python=PYTHON, below=tmp_path / "environments")

    assert answer(python, "import lamp, platform; print(lamp.version, platform.python_version())") == f"1.2 {PYTHON}"


def test_an_environment_is_made_once(tmp_path: Path, index: Path) -> None:
    lock = a_lock(tmp_path, a_wheel(index, "lamp", "1.2"))
    first = install_lock(lock, python=PYTHON, below=tmp_path / "environments")
    for wheel in index.iterdir():
        wheel.unlink()

    assert install_lock(lock, python=PYTHON, below=tmp_path / "environments") == first


def test_another_lock_is_another_environment(tmp_path: Path, index: Path) -> None:
    old, new = a_wheel(index, "lamp", "1.2"), a_wheel(index, "lamp", "1.3")

    pythons = [install_lock(a_lock(tmp_path, line), python=PYTHON, below=tmp_path / "envs") for line in (old, new)]

    assert [answer(python, "import lamp; print(lamp.version)") for python in pythons] == ["1.2", "1.3"]


def test_twins_make_one_environment(tmp_path: Path, index: Path) -> None:
    lock = a_lock(tmp_path, a_wheel(index, "lamp", "1.2"))

    with ThreadPoolExecutor(2) as pool:
        made = list(pool.map(lambda _: install_lock(lock, python=PYTHON, below=tmp_path / "envs"), range(2)))

    assert made[0] == made[1]
    assert [path.name for path in (tmp_path / "envs").iterdir()] == [made[0].parent.parent.name]


def test_bytes_that_are_not_the_locks_are_refused_and_leave_nothing(tmp_path: Path, index: Path) -> None:
    line = a_wheel(index, "lamp", "1.2")
    (index / "lamp-1.2-py3-none-any.whl").unlink()
    a_wheel(index, "lamp", "1.2")
    with zipfile.ZipFile(index / "lamp-1.2-py3-none-any.whl", "a") as wheel:
        wheel.writestr("surprise.py", "print('hello')\n")

    with pytest.raises(ReturnToSenderError, match="cannot be installed") as refused:
        install_lock(a_lock(tmp_path, line), python=PYTHON, below=tmp_path / "environments")

    assert "hash" in str(refused.value).lower()
    assert list((tmp_path / "environments").iterdir()) == []


def test_a_python_that_is_not_here_is_named(tmp_path: Path, index: Path) -> None:
    lock = a_lock(tmp_path, a_wheel(index, "lamp", "1.2"))

    with pytest.raises(ReturnToSenderError, match=r"there is no Python 3\.11\.99 here"):
        install_lock(lock, python="3.11.99", below=tmp_path / "environments")


def test_only_the_way_to_packages_is_passed_on() -> None:
    here = {"PATH": "/bin", "UV_INDEX_URL": "x", "HTTPS_PROXY": "y", "PYTHONPATH": "/tricks", "NIGHTSHIFT_STATE": "z"}

    assert package_variables(here) == {"PATH": "/bin", "UV_INDEX_URL": "x", "HTTPS_PROXY": "y"}
