"""The compacted days of a log, copied to where other machines read them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nightshift.files import write_json
from nightshift.predictions.manifest import MANIFEST, Manifest


@dataclass(frozen=True)
class Shipped:
    """What one shipping moved: files that were new there, their bytes, and files taken away because replaced."""

    files: int
    bytes: int
    removed: int


def ship(log: Path, address: str, **options: Any) -> Shipped:
    """Copy a log's days and, last, its manifest to ``address``; what is there already is not sent again.

    A file of a day never changes its content, so its name and size tell whether
    it is there. A shipping that is killed anywhere is completed by the next
    one; until then the manifest there names only files that are there.

    Parameters
    ----------
    log
        The log's folder, compacted.
    address
        Any address fsspec understands: ``s3://bucket/predictions/flight_delay``, a folder, …
    options
        For fsspec: credentials, endpoint.
    """
    import fsspec  # brings nothing of the clouds before an address asks for it

    there, root = fsspec.core.url_to_fs(address, **options)
    manifest = Manifest.read(log)
    named = {f"days/{name}" for names in manifest.parts.values() for name in names}
    known = _sizes(there, root)
    files = sent = 0
    for name in sorted(named):
        size = (log / name).stat().st_size
        if known.get(name) != size:
            there.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
            there.put_file(str(log / name), f"{root}/{name}")
            files, sent = files + 1, sent + size
    _ship_manifest(there, root, log, manifest)
    replaced = sorted(known.keys() - named)
    for name in replaced:
        there.rm_file(f"{root}/{name}")
    return Shipped(files, sent, len(replaced))


def _ship_manifest(there: Any, root: str, log: Path, manifest: Manifest) -> None:
    """Put the manifest there as it was read, not as it may have become meanwhile."""
    draft = log / ".shipping.json"
    write_json(draft, manifest.to_json())
    there.makedirs(root, exist_ok=True)
    there.put_file(str(draft), f"{root}/{MANIFEST}")
    draft.unlink()


def _sizes(there: Any, root: str) -> dict[str, int]:
    """Return the sizes of the days' files at the address by their names below it; empty if nothing is there."""
    there.invalidate_cache()
    found = there.find(f"{root}/days", detail=True) if there.exists(f"{root}/days") else {}
    return {f"days/{path.rpartition('/days/')[2]}": int(about["size"]) for path, about in found.items()}
