from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from factories.data import FakeSource, a_spec, at, rides
from nightshift.data.snapshot import SnapshotReport, days_in, write_partitions, write_table
from nightshift.errors import SourceError
from nightshift.files import file_digest

SPEC = a_spec(time={"column": "started", "first": "2013-01-01"})


def files(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): file_digest(p) for p in folder.rglob("*.parquet")}


def test_each_day_becomes_a_file_and_timeless_tables_one(tmp_path: Path) -> None:
    source = FakeSource(rides(at("2013-01-01"), 3), {"zones": pd.DataFrame({"zone": ["north"]})})

    report = write_partitions(source, SPEC, have=set(), as_of=at("2013-01-05"), to=tmp_path)

    assert set(files(tmp_path)) == {"zones.parquet", *(f"rows/2013-01-0{day}.parquet" for day in (1, 2, 3))}
    assert report == SnapshotReport(tuple(date(2013, 1, day) for day in (1, 2, 3)), (), {"rows": 12}, date(2013, 1, 3))


def test_only_days_whose_last_label_has_matured_are_taken(tmp_path: Path) -> None:
    source = FakeSource(rides(at("2013-01-01"), 9))

    just, before = (
        write_partitions(source, SPEC, have=set(), as_of=at(moment), to=tmp_path)
        for moment in ("2013-01-05 00:00", "2013-01-04 23:59")
    )

    assert (just.newest, before.newest) == (date(2013, 1, 3), date(2013, 1, 2))


def test_days_that_are_there_are_not_asked_for_again(tmp_path: Path) -> None:
    source = FakeSource(rides(at("2013-01-01"), 3))

    report = write_partitions(
        source, SPEC, have={date(2013, 1, 1), date(2013, 1, 3)}, as_of=at("2013-01-05"), to=tmp_path
    )

    assert report.days == (date(2013, 1, 2),)
    assert source.asked == [(at("2013-01-02"), at("2013-01-03"))]


def test_nothing_new_is_no_error_and_an_empty_folder(tmp_path: Path) -> None:
    source = FakeSource(rides(at("2013-01-01"), 1))

    report = write_partitions(source, SPEC, have={date(2013, 1, 1)}, as_of=at("2013-01-03"), to=tmp_path / "new")

    assert (report.days, report.newest) == ((), date(2013, 1, 1))
    assert list((tmp_path / "new").iterdir()) == []


def test_a_day_without_events_is_recorded_and_asked_for_again(tmp_path: Path) -> None:
    events = rides(at("2013-01-01"), 3)
    source = FakeSource(events[events["started"].dt.day != 2])

    report = write_partitions(source, SPEC, have=set(), as_of=at("2013-01-05"), to=tmp_path / "first")
    source.events = events
    later = write_partitions(source, SPEC, have=set(report.days), as_of=at("2013-01-05"), to=tmp_path / "later")

    assert report.empty == (date(2013, 1, 2),)
    assert "rows/2013-01-02.parquet" not in files(tmp_path / "first")
    assert later.days == (date(2013, 1, 2),)


class Shifted(FakeSource):
    """Answers for other days than it was asked for."""

    def extract(self, start: datetime, end: datetime) -> dict[str, pd.DataFrame]:
        return super().extract(start + timedelta(days=3), end + timedelta(days=3))


def test_events_of_another_day_are_refused_and_nothing_is_taken(tmp_path: Path) -> None:
    source = Shifted(rides(at("2013-01-01"), 9))

    with pytest.raises(SourceError, match=r"4 of 4 events for 2013-01-01 that are not of that day, the first at 2013"):
        write_partitions(source, SPEC, have=set(), as_of=at("2013-01-05"), to=tmp_path)

    assert files(tmp_path) == {}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (OSError("the disk is on fire"), "failed on 2013-01-01: OSError: the disk is on fire; mend it"),
        (None, "gave NoneType for 2013-01-01; expected tables"),
        ({"rows": [1, 2]}, "gave dict for 2013-01-01; expected tables"),
    ],
)
def test_a_source_that_fails_is_told_with_the_day(tmp_path: Path, given: Any, said: str) -> None:
    class Failing(FakeSource):
        def extract(self, start: datetime, end: datetime) -> dict[str, pd.DataFrame]:
            if isinstance(given, Exception):
                raise given
            return given  # type: ignore[no-any-return]

    with pytest.raises(SourceError, match=said):
        write_partitions(Failing(rides(at("2013-01-01"), 3)), SPEC, have=set(), as_of=at("2013-01-05"), to=tmp_path)


def test_a_source_without_any_event_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="rides gave no events up to 2013-01-05 00:00 UTC"):
        write_partitions(FakeSource(rides(at("2013-01-01"), 0)), SPEC, have=set(), as_of=at("2013-01-05"), to=tmp_path)


def test_a_source_that_fell_silent_is_refused_once_it_is_too_old(tmp_path: Path) -> None:
    source = FakeSource(rides(at("2013-01-01"), 2))

    write_partitions(source, SPEC, have=set(), as_of=at("2013-01-07"), to=tmp_path)
    with pytest.raises(SourceError, match=r"newest events of rides are of 2013-01-02, 3 days, 0:01:00 older"):
        write_partitions(source, SPEC, have=set(), as_of=at("2013-01-07 00:01"), to=tmp_path)


def test_no_day_after_the_calendars_last_is_asked_for(tmp_path: Path) -> None:
    spec = a_spec(time={"column": "started", "first": "2013-01-01", "last": "2013-01-02"})

    report = write_partitions(
        FakeSource(rides(at("2013-01-01"), 9)), spec, have=set(), as_of=at("2013-01-05"), to=tmp_path
    )

    assert report.newest == date(2013, 1, 2)


def test_a_source_without_a_first_day_is_read_from_before_the_oldest_split(tmp_path: Path) -> None:
    source = FakeSource(rides(at("2013-03-01"), 9))

    write_partitions(source, a_spec(), have=set(), as_of=at("2013-03-11"), to=tmp_path)

    assert source.asked[0][0] == at("2013-01-20"), "20 days of splits and 30 more for features"


def test_the_same_rows_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        source = FakeSource(rides(at("2013-01-01"), 3))
        write_partitions(source, SPEC, have=set(), as_of=at("2013-01-05"), to=tmp_path / name)

    assert files(tmp_path / "one") == files(tmp_path / "two")


def test_how_a_frame_came_to_be_does_not_change_its_bytes(tmp_path: Path) -> None:
    rows = rides(at("2013-01-01"), 3)
    write_table(tmp_path / "one.parquet", rows)
    other = rows.copy()
    other.attrs["note"], other.index = "elsewhere", other.index + 7
    other["started"] = other["started"].dt.tz_convert("America/New_York").dt.as_unit("ns")

    write_table(tmp_path / "two.parquet", other)

    assert file_digest(tmp_path / "one.parquet") == file_digest(tmp_path / "two.parquet")


def test_days_are_told_from_names() -> None:
    assert days_in(["rows/2013-01-01.parquet", "zones.parquet", "2013-01-02.parquet", "rows/notes.txt"]) == {
        date(2013, 1, 1)
    }


def test_a_report_comes_back_from_json_as_it_was() -> None:
    report = SnapshotReport((date(2013, 1, 1),), (date(2013, 1, 2),), {"rows": 4}, date(2013, 1, 1))

    assert SnapshotReport.from_json(report.to_json()) == report
