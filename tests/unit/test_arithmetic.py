"""The same numbers on every machine: which instructions calculate does not depend on who is asked to."""

import os
import platform
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import nightshift
from nightshift.arithmetic import CHOSEN, NEEDED, complaint, processor_flags, variables
from nightshift.lineage.environment import running_arithmetic

FLAGS = processor_flags()
ELSEWHERE = {"OPENBLAS_CORETYPE": "Nehalem", "NPY_DISABLE_CPU_FEATURES": "X86_V3"}
"""What a processor without AVX2 would take."""
A_PRODUCT = (
    "import hashlib, numpy as np; rows = np.random.default_rng(0).normal(size=(500, 40)); "
    "print(hashlib.sha256(np.linalg.inv(rows.T @ rows).tobytes() + np.log(rows**2).tobytes()).hexdigest())"
)
needs_avx2 = pytest.mark.skipif(not NEEDED <= FLAGS, reason="there is nothing to settle on a processor without AVX2")


def said(code: str, **variables: str) -> str:
    """Return what a new process says that is told ``variables``."""
    told = ("OPENBLAS_CORETYPE", "NPY_DISABLE_CPU_FEATURES", "NPY_ENABLE_CPU_FEATURES")
    kept = {name: value for name, value in os.environ.items() if name not in told}
    kept |= {"PYTHONPATH": str(Path(nightshift.__file__).parents[1]), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, check=True, timeout=120, capture_output=True, text=True
    )
    return done.stdout.strip()


@needs_avx2
@pytest.mark.parametrize("told", [{}, ELSEWHERE, {"NPY_ENABLE_CPU_FEATURES": "X86_V3"}])
def test_what_is_asked_for_outside_does_not_decide_what_calculates(told: dict[str, str]) -> None:
    asked = "from nightshift.lineage.environment import running_arithmetic as running; print(running())"

    assert said(asked, **told) == f"{CHOSEN}, {' '.join(platform.libc_ver())}"


@needs_avx2
def test_numbers_are_the_same_bytes_where_other_instructions_are_asked_for() -> None:
    assert said(A_PRODUCT) != said(A_PRODUCT, **ELSEWHERE), "there is nothing to settle"

    assert said(f"import nightshift; {A_PRODUCT}") == said(f"import nightshift; {A_PRODUCT}", **ELSEWHERE)


def problems_of(lock: Path, *, first: str = "", **variables: str) -> str:
    """Return what a new process that imports ``first`` before Nightshift has against its environment."""
    lock.write_text(f"numpy=={version('numpy')}\n")
    code = (
        f"{first}\nimport nightshift; from pathlib import Path; "
        "from nightshift.lineage.environment import read_environment; "
        f"print(*read_environment(Path({str(lock)!r})).problems())"
    )
    return said(code, **variables)


@needs_avx2
def test_numpy_before_nightshift_is_no_environment_to_build_in(tmp_path: Path) -> None:
    problem = problems_of(tmp_path / "lock", first="import numpy, scipy.linalg", **ELSEWHERE)

    assert problem.startswith("openblas Nehalem, NumPy ")
    assert f"calculates in this process, and in a rebuild {CHOSEN} would" in problem
    assert "imported before nightshift" in problem


@needs_avx2
def test_what_the_complaint_advises_helps(tmp_path: Path) -> None:
    problem = problems_of(tmp_path / "lock", first="import numpy", **ELSEWHERE)
    advised = dict(re.findall(r"([A-Z_]+)='([^']*)'", problem))

    assert advised == variables(FLAGS)
    assert problems_of(tmp_path / "lock", first="import numpy, scipy.linalg", **advised) == ""


def test_a_c_library_that_was_told_what_to_use_is_no_environment_to_build_in(tmp_path: Path) -> None:
    problem = problems_of(tmp_path / "lock", GLIBC_TUNABLES="glibc.cpu.hwcaps=-AVX2,-FMA")

    assert problem.startswith("GLIBC_TUNABLES is 'glibc.cpu.hwcaps=-AVX2,-FMA'")


def test_a_processor_that_lacks_any_takes_what_it_has() -> None:
    assert all(variables(NEEDED - {flag}) == {} for flag in NEEDED)
    assert variables(NEEDED | {"avx512f"}) == variables(NEEDED) != {}
    assert complaint("openblas Nehalem, NumPy X86_V2, glibc 2.36", flags={"sse2"}) == ""


def test_blas_that_does_not_tell_its_kernels_is_not_what_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("threadpoolctl.threadpool_info", lambda: [{"user_api": "blas", "internal_api": "mkl"}])

    calculates = running_arithmetic()

    assert calculates.startswith("mkl of its own choice, NumPy ")
    assert "calculates in this process" in complaint(calculates, flags=NEEDED)


def test_the_flags_are_of_the_first_processor_that_tells_them(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nflags\t\t: fpu avx2 fma\n\nprocessor\t: 1\nflags\t\t: fpu\n")

    assert processor_flags(told) == {"fpu", "avx2", "fma"}


def test_where_nothing_tells_the_flags_nothing_is_settled(tmp_path: Path) -> None:
    other = tmp_path / "cpuinfo"
    other.write_text("processor\t: 0\nFeatures\t: fp asimd\n")

    assert processor_flags(other) == processor_flags(tmp_path / "none") == frozenset()
