"""First on PYTHONPATH: this process and its children cannot import what REFUSED_IMPORTS names, as if missing."""

import os
import sys
from collections.abc import Sequence
from types import ModuleType

REFUSED = frozenset(os.environ["REFUSED_IMPORTS"].split(","))


class Guard:
    """Asked before every other finder."""

    def find_spec(self, name: str, _path: Sequence[str] | None = None, _target: ModuleType | None = None) -> None:
        if name.partition(".")[0] in REFUSED:
            raise ModuleNotFoundError(f"{name} is not in the image that serves", name=name)


sys.meta_path.insert(0, Guard())
