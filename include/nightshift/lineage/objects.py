"""The contents of a data registry: DVC's objects, named by the digest of their bytes.

A remote (a folder, ``s3://…`` and whatever else DVC knows) holds everything; a
cache on this machine holds what was needed here. DVC trusts a read-only file to
be what its name says, so everything is hashed again before it is handed out.
"""

import hashlib
import io
import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from dvc.exceptions import DvcException
from dvc.fs import RemoteMissingDepsError, generic, localfs, parse_external_url
from dvc_data.hashfile.db import get_odb
from dvc_data.hashfile.db.local import LocalHashFileDB
from dvc_data.hashfile.tree import Tree

from nightshift.errors import DataRegistryError, DigestMismatchError, UnavailableError

LAYOUT = ("files", "md5")
"""Where DVC 3 keeps objects below a remote's address and below a cache."""
CHUNK = 1 << 20


class ObjectStore:
    """Objects of the remote at ``remote``, by way of the ``cache``; processes may share both.

    Objects appear under their names whole or not at all (DVC copies beside and
    renames; object stores do so by themselves).
    """

    def __init__(self, remote: str, cache: Path) -> None:
        self.remote = remote
        self._cache = get_odb(localfs, str(cache.joinpath(*LAYOUT)), hash_name="md5")
        self._opened: Any = None

    def keep(self, files: Mapping[str, Path]) -> None:
        """Put files into the cache under the digests they have; a damaged object there is replaced."""
        wanted = {digest: path for digest, path in files.items() if not self._is_whole(digest)}
        targets = [self._path(digest) for digest in wanted]
        generic.copy(localfs, list(map(str, wanted.values())), localfs, list(map(str, targets)))
        for target in targets:
            self._cache.protect(str(target))

    def keep_listing(self, files: Mapping[str, str]) -> str:
        """Put the listing of a folder (name to digest) into the cache and return its digest, ``….dir``."""
        tree = Tree.from_list([{"relpath": name, "md5": md5} for name, md5 in files.items()], hash_name="md5")
        tree.digest()
        if not self._is_whole(tree.oid):
            generic.copy(tree.fs, tree.path, localfs, str(self._path(tree.oid)))
            self._cache.protect(str(self._path(tree.oid)))
        return str(tree.oid)

    def push(self, digests: Iterable[str]) -> None:
        """Copy objects from the cache to the remote, as far as it lacks them.

        Raises
        ------
        UnavailableError
            If it cannot be reached or written.
        """
        self._copy(self._cache, self._remote, self.missing(digests))

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Return which objects the remote does not have; only names are looked at, and nothing is changed."""
        wanted = set(digests)
        if isinstance(self._remote, LocalHashFileDB):
            # of a folder DVC asks by hashing, and removes what differs: evidence that looking must not destroy
            return {each for each in wanted if not self._remote.fs.exists(self._remote.oid_to_path(each))}
        return wanted - set(self._reached(lambda: self._remote.oids_exist(sorted(wanted)))) if wanted else wanted

    def bring(self, digests: Iterable[str]) -> None:
        """Copy objects that the cache lacks from the remote; what neither has stays away."""
        lacking = {digest for digest in digests if not self._path(digest).exists()}
        self._copy(self._remote, self._cache, lacking - self.missing(lacking))

    def copy(self, digest: str, name: str, to: Path) -> None:
        """Write an object to ``to``: exactly the bytes that were hashed.

        A damaged object is fetched once more. ``name`` is what a person knows it by.

        Raises
        ------
        DataRegistryError
            If neither cache nor remote has it.
        DigestMismatchError
            If the remote's bytes have another digest too.
        """
        to.parent.mkdir(parents=True, exist_ok=True)

        def deliver() -> str:
            with self._path(digest).open("rb") as source, to.open("wb") as sink:
                return _copy_hashed(source, sink)

        self._twice(digest, name, deliver)

    def read_listing(self, digest: str, name: str) -> dict[str, str]:
        """Return a folder's listing, name to digest, sorted by name; errors as for :meth:`copy`."""
        sink = io.BytesIO()

        def deliver() -> str:
            sink.seek(0)
            sink.truncate()
            return _copy_hashed(io.BytesIO(self._path(digest).read_bytes()), sink)

        self._twice(digest, name, deliver)
        try:
            return {entry["relpath"]: entry["md5"] for entry in json.loads(sink.getvalue())}
        except (ValueError, TypeError, KeyError) as error:
            raise DataRegistryError(f"{name}: {digest} is no listing of a folder ({error!r})") from error

    def size(self, digest: str) -> int:
        """Return how many bytes an object has."""
        if self._path(digest).exists():
            return self._path(digest).stat().st_size
        return int(self._reached(lambda: self._remote.fs.size(self._remote.oid_to_path(digest))))

    def _twice(self, digest: str, name: str, deliver: Callable[[], str]) -> None:
        """Deliver an object from the cache; if it is damaged, once more after fetching it again."""
        found = []
        for _ in range(2):
            self.bring([digest])
            try:
                found.append(deliver())
            except FileNotFoundError:
                raise DataRegistryError(
                    f"{name}: neither {self.remote} nor the cache of this machine has its object {digest}; "
                    "push it again from where it was made, or restore the remote"
                ) from None
            if found[-1] == digest.removesuffix(".dir"):
                return
            self._path(digest).unlink(missing_ok=True)
        raise DigestMismatchError(
            f"{name}: its bytes have digest {found[-1]}, but it was stored as {digest}; fetched again from "
            f"{self.remote} they still differ. Put the right object back there, or build from other data."
        )

    @property
    def _remote(self) -> Any:
        if self._opened is None:
            try:
                filesystem, path = parse_external_url(self.remote)
            except (DvcException, RemoteMissingDepsError) as error:
                raise DataRegistryError(f"{self.remote}: is no address that DVC can use: {error}") from error
            self._opened = get_odb(filesystem, filesystem.join(path, *LAYOUT), hash_name="md5")
        return self._opened

    def _copy(self, source: Any, target: Any, digests: Iterable[str]) -> None:
        names = sorted(digests)
        if not names:
            return
        paths = [target.oid_to_path(name) for name in names]
        self._reached(lambda: generic.copy(source.fs, [source.oid_to_path(name) for name in names], target.fs, paths))
        for path in paths:
            target.protect(path)

    def _reached(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except Exception as error:  # each of DVC's backends has exceptions of its own
            raise UnavailableError(
                f"the remote {self.remote} cannot be used: {type(error).__name__}: {error}; "
                "see whether it is reachable, and whether it has room and lets us in"
            ) from error

    def _path(self, digest: str) -> Path:
        return Path(self._cache.oid_to_path(digest))

    def _is_whole(self, digest: str) -> bool:
        path = self._path(digest)
        return path.exists() and md5_of(path) == digest.removesuffix(".dir")


def md5_of(path: Path) -> str:
    """Return the MD5 of the bytes at ``path``, by which DVC names it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, _md5).hexdigest()


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)


def _copy_hashed(source: BinaryIO, sink: BinaryIO) -> str:
    total = _md5()
    while chunk := source.read(CHUNK):
        total.update(chunk)
        sink.write(chunk)
    return str(total.hexdigest())
