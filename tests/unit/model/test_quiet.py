"""What the libraries below would do unasked."""

import os
import subprocess
import sys
from pathlib import Path

import nightshift


def test_loading_the_runtime_leaves_nothing_in_the_callers_home(tmp_path: Path) -> None:
    kept = {
        name: value for name, value in os.environ.items() if name not in ("ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME")
    }
    kept |= {"HOME": str(tmp_path), "PYTHONPATH": str(Path(nightshift.__file__).parents[1])}

    subprocess.run([sys.executable, "-c", "import nightshift.model.runtime"], env=kept, check=True, timeout=60)

    assert [str(path) for path in tmp_path.rglob("*")] == []
