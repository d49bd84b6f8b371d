"""A compaction killed at any touch of the file system loses nothing and doubles nothing."""

import json
import subprocess
import sys
from pathlib import Path

import nightshift
from factories.predictions import DAY, NOON, answered, columns
from nightshift.predictions.log import PredictionLog

VICTIM = Path(__file__).parent / "compaction_victim.py"


def test_a_compaction_killed_anywhere_loses_and_doubles_nothing(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log")
    log.append(columns(), [answered("old", times=(NOON, NOON + DAY))])
    log.compact()
    log.append(columns(), [answered("a", times=(NOON, NOON + 2 * DAY)), answered("b", times=(NOON,))])
    log.append(columns(), [answered("a", times=(NOON, NOON + 2 * DAY)), answered("c", times=(NOON + DAY,))])

    done = subprocess.run(
        [sys.executable, VICTIM, log.folder, tmp_path / "copies"],
        capture_output=True,
        text=True,
        timeout=300,
        env={"PYTHONPATH": str(Path(nightshift.__file__).parents[1]), "PYTHONDONTWRITEBYTECODE": "1"},
        check=True,
    )

    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(told) > 15, "hardly any place to be killed at was found"
    assert [one["killed"] for one in told] == [True] * (len(told) - 1) + [False]
    for one in told:
        assert sorted(one["ids"]) == ["a-0", "a-1", "b-0", "c-0", "old-0", "old-1"], one
        assert one["duplicates"] == 2, one
        assert one["tidy"], one
