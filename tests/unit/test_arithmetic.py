"""The same numbers on every machine: which instructions calculate does not depend on who is asked to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import nightshift
from nightshift import arithmetic
from nightshift.arithmetic import NEEDED, WIDER, is_settled, processor_flags, variables

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

    assert said(asked, **told) == arithmetic.CHOSEN


@needs_avx2
def test_numbers_are_the_same_bytes_where_other_instructions_are_asked_for() -> None:
    assert said(A_PRODUCT) != said(A_PRODUCT, **ELSEWHERE), "there is nothing to settle"

    assert said(f"import nightshift; {A_PRODUCT}") == said(f"import nightshift; {A_PRODUCT}", **ELSEWHERE)


@needs_avx2
def test_numpy_before_nightshift_is_no_environment_to_build_in(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.txt"
    lock.write_text("numpy==1\n")
    code = (
        "import numpy, scipy.linalg, nightshift; from pathlib import Path; "
        "from nightshift.lineage.environment import read_environment; "
        f"print(read_environment(Path({str(lock)!r})).problems()[-1])"
    )

    problem = said(code, **ELSEWHERE)

    assert problem.startswith("openblas Nehalem, NumPy ")
    assert f"calculates in this process, and in a rebuild {arithmetic.CHOSEN} would" in problem
    assert "imported before nightshift" in problem


def test_only_what_the_processor_has_is_switched_off() -> None:
    plain, wide = NEEDED, NEEDED | WIDER["X86_V4"]

    assert variables(plain)["NPY_DISABLE_CPU_FEATURES"] == ""
    assert variables(wide)["NPY_DISABLE_CPU_FEATURES"] == "X86_V4"
    assert variables(wide | WIDER["AVX512_ICL"])["NPY_DISABLE_CPU_FEATURES"] == "X86_V4 AVX512_ICL"


def test_a_processor_without_them_takes_what_it_has() -> None:
    assert variables(frozenset({"sse2", "fma"})) == {}
    assert is_settled("openblas Nehalem, NumPy X86_V2", frozenset({"sse2"}))


def test_the_flags_are_of_the_first_processor_that_tells_them(tmp_path: Path) -> None:
    told = tmp_path / "cpuinfo"
    told.write_text("processor\t: 0\nflags\t\t: fpu avx2 fma\n\nprocessor\t: 1\nflags\t\t: fpu\n")

    assert processor_flags(told) == {"fpu", "avx2", "fma"}


def test_where_nothing_tells_the_flags_nothing_is_settled(tmp_path: Path) -> None:
    other = tmp_path / "cpuinfo"
    other.write_text("processor\t: 0\nFeatures\t: fp asimd\n")

    assert processor_flags(other) == processor_flags(tmp_path / "none") == frozenset()
