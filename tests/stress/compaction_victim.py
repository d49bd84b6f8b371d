"""Compacts a log in child processes that are killed at one touch of the file system after another.

Usage: ``compaction_victim.py LOG COPIES``. Prints one line of JSON for each
place it was killed at: what a window of the log holds after the next
compaction. Ends after the first child that was not killed.
"""

import json
import os
import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

TOUCHES = {"os.rename", "os.remove", "os.mkdir", "os.replace"}
FIRST, LAST = datetime(2013, 1, 1, tzinfo=UTC), datetime(2014, 1, 1, tzinfo=UTC)


def main(source: Path, copies: Path) -> None:
    from nightshift.predictions.log import PredictionLog

    place = 0
    killed = True
    while killed:
        place += 1
        log = PredictionLog(copies / str(place))
        shutil.copytree(source, log.folder)
        killed = in_child(lambda log=log, place=place: (die_at(place), log.compact())) != 0
        in_child(lambda log=log, place=place, killed=killed: tell(log, place, killed))
        shutil.rmtree(log.folder)


def tell(log: object, place: int, killed: bool) -> None:
    manifest = log.compact()
    log.compact()
    rows, window = log.window(FIRST, LAST)
    on_disk = sorted(str(path.relative_to(log.folder / "days")) for path in log.folder.glob("days/*/*"))
    named = sorted(name for names in manifest.parts.values() for name in names)
    print(
        json.dumps(
            {
                "place": place,
                "killed": killed,
                "ids": rows["prediction_id"].tolist(),
                "duplicates": window.duplicates,
                "tidy": on_disk == named,
            }
        ),
        flush=True,
    )


def in_child(work: object) -> int:
    """Run ``work`` in a child of its own and return how it ended."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def die_at(place: int) -> None:
    """Die, as by kill -9, just before the ``place``-th touch of the file system."""
    seen = 0

    def look(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        writes = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if event in TOUCHES or writes:
            seen += 1
            if seen == place:
                os.kill(os.getpid(), 9)

    sys.addaudithook(look)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
