"""What every test may rely on: no setting of this machine, no state but in temporary folders, equal random numbers."""

import atexit
import os
import shutil
import tempfile

from hypothesis import settings

import nightshift  # noqa: F401 - before anything here imports NumPy: it settles which instructions calculate

ELSEWHERE = tempfile.mkdtemp(prefix="nightshift-tests-")
atexit.register(shutil.rmtree, ELSEWHERE, ignore_errors=True)
os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())  # what a failed test leaves can be looked at
tempfile.tempdir = ELSEWHERE  # for what a docstring's example leaves behind

for name in [name for name in os.environ if name.startswith(("NIGHTSHIFT_", "AIRFLOW__"))]:
    if not name.startswith("NIGHTSHIFT_TEST_"):
        del os.environ[name]
# what a careless test would write must not land in the checkout, nor Airflow's home in a person's
os.environ |= {
    "NIGHTSHIFT_STATE": f"{ELSEWHERE}/state",
    "AIRFLOW_HOME": f"{ELSEWHERE}/airflow",
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "1",
    "GX_ANALYTICS_ENABLED": "false",
    "HYPOTHESIS_STORAGE_DIRECTORY": f"{ELSEWHERE}/hypothesis",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "NO_PROXY": "127.0.0.1,localhost",
}
os.environ.pop("AIRFLOW_CONFIG", None)
os.environ.pop("COLUMNS", None)  # tables are as wide as in a pipe

# a law that fails, fails for everybody: the same examples each time, and no clock on a busy machine
settings.register_profile("steady", derandomize=True, database=None, deadline=None, max_examples=50)
# and new ones for whoever has the time to look for what is still wrong
settings.register_profile("long", database=None, deadline=None, max_examples=2000, print_blob=True)
settings.load_profile("long" if os.environ.get("NIGHTSHIFT_TEST_LONG") else "steady")
