"""The first load of a model file nobody here has opened yet: in a process that may crash.

Native readers parse foreign bytes in C++. A crash, a hang or a memory hunger
there is a refusal here. ``python -m nightshift.model.first_load FOLDER DIGEST`` is the
child; it speaks one line of JSON.
"""

import json
import resource
import signal
import subprocess
import sys
from pathlib import Path

from nightshift.errors import NightshiftError, PackageError
from nightshift.files import digest_of, write_json
from nightshift.model.compatibility import installed, running_platform, running_python
from nightshift.model.golden import Golden, worst_difference
from nightshift.model.manifest import GOLDEN, NATIVE, ONNX, PICKLE, Manifest
from nightshift.model.reading import read_package
from nightshift.model.runtime import NativeRuntime, OnnxRuntime, Runtime

SECONDS = 120.0
MEMORY_BYTES = 6 * 1024**3


def prove(folder: Path, manifest: Manifest) -> None:
    """Load the package in a child, unless this very package was loaded here in this environment before.

    Remembers it in a hidden file beside ``folder``, where nothing that comes
    with a package is ever written.

    Raises
    ------
    PackageError
        If the child refuses it, crashes, or does not end in time.
    """
    if _read(_note(folder)) == _proof(manifest):
        return
    run_child(folder, manifest)
    remember(folder, manifest)


def remember(folder: Path, manifest: Manifest) -> None:
    """Note beside ``folder`` that this package was loaded in this environment."""
    try:
        write_json(_note(folder), {"format": 1, "proof": _proof(manifest)})
    except OSError:
        return  # a place that cannot be written to is proven anew each time


def run_child(folder: Path, manifest: Manifest, *, pickled: bool = False, seconds: float = SECONDS) -> None:
    """Run this module on ``folder`` and pass on what it says; it must find there the package of this manifest.

    Raises
    ------
    PackageError
        See :func:`prove`.
    """
    command = [sys.executable, "-P", "-m", "nightshift.model.first_load", str(folder.resolve()), manifest.digest]
    command += ["--pickle"] if pickled else []
    try:
        child = subprocess.run(command, capture_output=True, timeout=seconds, check=False)  # noqa: S603 - our own module
    except subprocess.TimeoutExpired:
        raise PackageError(f"{folder}: loading did not end within {seconds:.0f} s; do not use this package") from None
    if child.returncode == 0:
        return
    if child.returncode < 0:
        name = signal.Signals(-child.returncode).name
        raise PackageError(f"{folder}: loading crashed with {name} in a process of its own; do not use this package")
    raise PackageError(
        _words(child.stdout) or f"{folder}: loading failed: {child.stderr[-500:].decode(errors='replace')}"
    )


def load(folder: Path, digest: str, *, pickled: bool) -> None:
    """Load every native file of a package and replay its golden rows on each: the child's work.

    Another package than that of ``digest`` is refused: a folder that was changed meanwhile must not vouch for what the
    parent has read.
    """
    from nightshift.model.onnx_format import inspect  # heavy, and needed here only

    manifest, contents = read_package(folder)
    if manifest.digest != digest:
        raise PackageError(f"{folder}: holds package {manifest.digest}, expected {digest}; it was changed meanwhile")
    golden = Golden.from_json(json.loads(contents[GOLDEN]))
    runtimes: dict[str, Runtime] = {NATIVE: NativeRuntime(contents[NATIVE])}
    if manifest.has_onnx:
        inspect(contents[ONNX])
        runtimes[ONNX] = OnnxRuntime(contents[ONNX], manifest.task)
    if pickled:
        from nightshift.model import pickles

        booster = pickles.load(contents[PICKLE])
        runtimes[PICKLE] = lambda matrix: booster.inplace_predict(matrix, validate_features=False)
    for name, runtime in runtimes.items():
        replay(runtime, golden, manifest, name)


def replay(runtime: Runtime, golden: Golden, manifest: Manifest, name: str) -> float:
    """Return how far a runtime's answers to the golden rows are from the recorded ones.

    Raises
    ------
    PackageError
        If that is beyond the recorded tolerance, or there are more or fewer rows than the manifest says.
    """
    if len(golden.values) != manifest.golden_rows:
        raise PackageError(
            f"{GOLDEN} of {manifest.model} holds {len(golden.values)} rows, its manifest says {manifest.golden_rows}; "
            "do not use this package"
        )
    worst = worst_difference(runtime(manifest.encoding.matrix(golden.rows)), golden.answers)
    tolerance = manifest.onnx.tolerance
    if not worst <= tolerance:
        raise PackageError(
            f"{name} of {manifest.model} answers its {len(golden.values)} golden rows otherwise than recorded: differs "
            f"by {worst:.3g}, allowed is {tolerance:g}; do not use this package here, and compare the environments"
        )
    return worst


def _note(folder: Path) -> Path:
    return folder.parent / f".{folder.name}.proven.json"


def _proof(manifest: Manifest) -> str:
    here = installed(tuple(manifest.requirements))
    return digest_of([manifest.digest, running_python(), running_platform(), here])


def _read(note: Path) -> str | None:
    try:
        return str(json.loads(note.read_text())["proof"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _words(output: bytes) -> str:
    try:
        return str(json.loads(output.splitlines()[-1])["problem"])
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def _main(folder: Path, digest: str, *, pickled: bool) -> int:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # XGBoost imports scikit-learn if it is there, which takes this process three times as long as its own work
    sys.modules.setdefault("sklearn", None)  # type: ignore[arg-type]  # none is how Python says "not to be had"
    try:
        load(folder, digest, pickled=pickled)
    except NightshiftError as error:
        problem = str(error)
    except Exception as error:  # whatever a native reader throws is a refusal, and the parent's to tell
        problem = f"{folder}: cannot be loaded: {type(error).__name__}: {str(error)[:500]}; do not use this package"
    else:
        return 0
    sys.stdout.write(json.dumps({"problem": problem}) + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2], pickled="--pickle" in sys.argv[3:]))
