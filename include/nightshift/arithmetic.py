"""Which of a processor's instructions calculate: the same ones on every machine, or the same code makes other bytes.

OpenBLAS and NumPy look at the processor when they are loaded and take the widest
instructions it has. A sum of products in eight lanes is rounded otherwise than one
in four, so a profile made on a machine with AVX-512 differs in last digits from one
made without. Releases are compared byte for byte; so the choice is made here, for
what servers have had since 2015 ("x86-64-v3": AVX2, FMA and their like).

Both libraries read the environment once. Nightshift must be imported before them.
"""

from collections.abc import Iterable
from pathlib import Path

CORE, WIDEST = "Haswell", "X86_V3"
"""What OpenBLAS and NumPy call the kernels for them."""
CHOSEN = f"openblas {CORE}, NumPy {WIDEST}"
NEEDED = frozenset({"avx2", "fma", "bmi1", "bmi2", "abm", "f16c", "movbe"})
VARIABLES = {"OPENBLAS_CORETYPE": CORE, "NPY_DISABLE_CPU_FEATURES": "X86_V4 AVX512_ICL AVX512_SPR"}
"""What settles it; NumPy passes over what the processor does not have."""


def processor_flags(told: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return what Linux says that the processor can; empty where it says nothing, and on other processors than x86."""
    try:
        with told.open() as lines:
            line = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(line.partition(":")[2].split())


def variables(flags: Iterable[str]) -> dict[str, str]:
    """Return the environment that settles it; empty for a processor that lacks any, which takes what it has.

    >>> variables(["sse2", "avx2", "fma"])
    {}
    >>> variables(NEEDED)["OPENBLAS_CORETYPE"]
    'Haswell'
    """
    return dict(VARIABLES) if frozenset(flags) >= NEEDED else {}


def complaint(calculates: str, *, flags: Iterable[str], tunables: str = "") -> str:
    """Return why another process would calculate otherwise than this one; empty if it would not.

    Parameters
    ----------
    calculates
        What runs here, told beginning with :data:`CHOSEN` where it is that.
    flags
        What the processor can.
    tunables
        The C library's own settings, ``GLIBC_TUNABLES``: they choose the instructions of ``log`` and ``exp``.

    Examples
    --------
    >>> complaint(CHOSEN + ", glibc 2.36", flags=NEEDED)
    ''
    >>> complaint("openblas SkylakeX, NumPy X86_V3, glibc 2.36", flags=NEEDED)[:44]
    'openblas SkylakeX, NumPy X86_V3, glibc 2.36 '
    """
    if "hwcaps" in tunables:
        return (
            f"GLIBC_TUNABLES is {tunables!r}, which a rebuild would not have: other bytes. Start the process without it"
        )
    if not variables(flags) or calculates.startswith(CHOSEN):
        return ""
    advice = " ".join(f"{name}='{value}'" for name, value in VARIABLES.items())
    return (
        f"{calculates} calculates in this process, and in a rebuild {CHOSEN} would: other bytes. NumPy was imported "
        f"before nightshift: import it later, or start the process with {advice}"
    )
