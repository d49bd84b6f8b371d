"""Which of a processor's instructions calculate: the same ones on every machine, or the same code makes other bytes.

OpenBLAS and NumPy look at the processor when they are loaded and take the widest
instructions it has. A sum of products in eight lanes is rounded otherwise than one
in four, so a profile made on a machine with AVX-512 differs in last digits from one
made without. Releases are compared byte for byte; so the choice is made here, for
what every x86-64 processor of the last ten years has (AVX2 and FMA, "x86-64-v3").

Both libraries read the environment once. Nightshift must be imported before them.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

CORE = "Haswell"
"""What OpenBLAS calls its kernels for AVX2 and FMA."""
CHOSEN = f"openblas {CORE}, NumPy X86_V3"
NEEDED = frozenset({"avx2", "fma"})
WIDER: Mapping[str, frozenset[str]] = {
    "X86_V4": frozenset({"avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"}),
    "AVX512_ICL": frozenset({"avx512_vbmi2", "avx512_bitalg", "avx512_vpopcntdq"}),
    "AVX512_SPR": frozenset({"avx512_fp16"}),
}
"""What NumPy calls the sets of instructions beyond those, and the processor's flags that tell each."""
ADVICE = f"OPENBLAS_CORETYPE={CORE} and NPY_DISABLE_CPU_FEATURES='X86_V4 AVX512_ICL'"


def processor_flags(told: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return what Linux says that the processor can; empty where it says nothing, and on other processors than x86."""
    try:
        with told.open() as lines:
            line = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(line.partition(":")[2].split())


def variables(flags: Iterable[str]) -> dict[str, str]:
    """Return the environment that settles it; empty for a processor without AVX2 and FMA, which takes what it has.

    Examples
    --------
    >>> variables(["sse2", "avx2", "fma"])
    {'OPENBLAS_CORETYPE': 'Haswell', 'NPY_DISABLE_CPU_FEATURES': ''}
    >>> variables(["sse2"])
    {}
    """
    has = frozenset(flags)
    if not has >= NEEDED:
        return {}
    # NumPy complains of a name that the processor does not have
    wider = [name for name, told in WIDER.items() if has >= told]
    return {"OPENBLAS_CORETYPE": CORE, "NPY_DISABLE_CPU_FEATURES": " ".join(wider)}


def is_settled(calculates: str, flags: Iterable[str]) -> bool:
    """Whether what runs is what was settled; so too where nothing is.

    Examples
    --------
    >>> is_settled("openblas SkylakeX, NumPy X86_V3", ["avx2", "fma"])
    False
    """
    return not variables(flags) or calculates == CHOSEN
