"""What the libraries below would do unasked."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nightshift


def test_loading_the_runtime_leaves_nothing_in_the_callers_home(tmp_path: Path) -> None:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    kept |= {"HOME": str(tmp_path), "PYTHONPATH": str(Path(nightshift.__file__).parents[1])}

    subprocess.run([sys.executable, "-c", "import nightshift.model.runtime"], env=kept, check=True, timeout=60)

    assert [str(path) for path in tmp_path.rglob("*")] == []


@pytest.mark.parametrize(("told", "threads"), [(None, "1"), ("2", "2")])
def test_blas_has_one_thread_unless_somebody_says_otherwise(told: str | None, threads: str) -> None:
    kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    kept |= {"PYTHONPATH": str(Path(nightshift.__file__).parents[1])} | ({"OPENBLAS_NUM_THREADS": told} if told else {})
    code = "import nightshift.profile.drift; from threadpoolctl import threadpool_info; " + (
        "print(*{one['num_threads'] for one in threadpool_info() if one['internal_api'] == 'openblas'})"
    )

    said = subprocess.run(
        [sys.executable, "-c", code], env=kept, check=True, timeout=60, capture_output=True, text=True
    )

    assert said.stdout.split() == [threads]
