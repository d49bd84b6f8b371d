"""The texts that DVC keeps in git: the tracked folder's ``.dvc`` file and the repository's configuration."""

from dataclasses import dataclass
from pathlib import PurePosixPath

import yaml

from nightshift.errors import DataRegistryError


@dataclass(frozen=True)
class TrackedFolder:
    """What a ``.dvc`` file says of the folder beside it."""

    name: str
    digest: str
    files: int
    size: int

    def to_text(self) -> str:
        """Return the file as ``dvc add`` writes it.

        >>> print(TrackedFolder("flights", "d41d.dir", files=2, size=10).to_text(), end="")
        outs:
        - md5: d41d.dir
          size: 10
          nfiles: 2
          hash: md5
          path: flights
        """
        return (
            f"outs:\n- md5: {self.digest}\n  size: {self.size}\n  nfiles: {self.files}\n"
            f"  hash: md5\n  path: {self.name}\n"
        )

    @classmethod
    def from_text(cls, text: str, *, where: str) -> "TrackedFolder":
        """Return what a ``.dvc`` file says.

        Raises
        ------
        DataRegistryError
            If it tracks anything but one folder.
        """
        try:
            (out,) = yaml.safe_load(text)["outs"]
            if not out["md5"].endswith(".dir"):
                raise ValueError("it tracks a file")
            return cls(out["path"], out["md5"], int(out["nfiles"]), int(out["size"]))
        except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
            raise DataRegistryError(
                f"{where}: is not what DVC writes for one folder ({error!r}); was it changed by hand?"
            ) from error


def repository_files(remote: str) -> dict[str, str]:
    """Return the files that make a git repository one of DVC's, with its remote and without telemetry."""
    return {
        ".dvc/config": (
            "[core]\n    remote = storage\n    analytics = false\n    check_update = false\n"
            f"    autostage = false\n['remote \"storage\"']\n    url = {remote}\n"
        ),
        ".dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        ".dvcignore": "",
    }


def ignore_file(path: str) -> str:
    """Return the ``.gitignore`` beside a tracked folder."""
    return str(PurePosixPath(path).parent / ".gitignore")
