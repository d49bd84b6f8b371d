"""Shipped days are the log's days, each sent once."""

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from factories.predictions import DAY, NOON, answered, columns
from nightshift.predictions.compaction import PARTS_MAX
from nightshift.predictions.log import PredictionLog
from nightshift.predictions.manifest import Manifest
from nightshift.predictions.shipping import ship


@pytest.fixture(params=["folder", "memory"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield str(tmp_path / "there") if request.param == "folder" else "memory://there/flights"
    fsspec.filesystem("memory").store.clear()


def grown(log: PredictionLog, name: str) -> None:
    log.append(columns(), [answered(name, times=(NOON, NOON + DAY))])
    log.compact()


def test_the_days_arrive_and_are_not_sent_again(tmp_path: Path, address: str) -> None:
    log = PredictionLog(tmp_path / "log")
    grown(log, "a")

    first, again = ship(log.folder, address), ship(log.folder, address)

    assert (first.files, again.files) == (2, 0)
    assert first.bytes > 0


def test_only_what_is_new_is_sent_and_what_was_replaced_taken_away(tmp_path: Path, address: str) -> None:
    log = PredictionLog(tmp_path / "log")
    for number in range(PARTS_MAX):
        grown(log, f"a{number}")
    ship(log.folder, address)
    grown(log, "last")  # writes both days anew as one file each

    shipped = ship(log.folder, address)

    assert (shipped.files, shipped.removed) == (2, 2 * PARTS_MAX)


def test_what_arrived_can_be_read_like_the_log_itself(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log")
    grown(log, "a")
    ship(log.folder, str(tmp_path / "there"))

    rows, _ = PredictionLog(tmp_path / "there").window(NOON, NOON + 2 * DAY)

    assert rows["prediction_id"].tolist() == ["a-0", "a-1"]
    assert Manifest.read(tmp_path / "there") == Manifest.read(log.folder)


def test_a_file_that_arrived_torn_is_sent_again(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "log")
    grown(log, "a")
    ship(log.folder, str(tmp_path / "there"))
    torn = next((tmp_path / "there" / "days").glob("*/*.parquet"))
    torn.write_bytes(torn.read_bytes()[:-7])

    shipped = ship(log.folder, str(tmp_path / "there"))

    assert shipped.files == 1
    assert len(PredictionLog(tmp_path / "there").window(NOON, NOON + 2 * DAY)[0]) == 2


def test_an_empty_log_ships_an_empty_manifest(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()

    assert ship(tmp_path / "log", str(tmp_path / "there")).files == 0
    assert PredictionLog(tmp_path / "there").window(NOON, NOON + DAY)[1].rows == 0
