"""The log gives back what was put in: each row once, on its day, whatever happened in between."""

from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.predictions import DAY, HOUR, NOON, answered, columns, refused
from nightshift.errors import PredictionLogError
from nightshift.predictions.compaction import PARTS_MAX
from nightshift.predictions.frames import frame
from nightshift.predictions.log import PredictionLog
from nightshift.predictions.record import encode
from nightshift.predictions.segments import SegmentWriter, list_segments

WEEK = (NOON - DAY, NOON + 6 * DAY)


def ids(log: PredictionLog, start: datetime = WEEK[0], end: datetime = WEEK[1]) -> list[str]:
    return log.window(start, end)[0]["prediction_id"].tolist()


def files(log: PredictionLog) -> list[str]:
    return sorted(str(path.relative_to(log.folder)) for path in log.folder.rglob("*.parquet"))


def test_a_log_that_never_was_is_an_empty_window_with_columns(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path / "none")
    log.compact()

    rows, window = log.window(*WEEK)

    assert len(rows) == window.rows == window.refused == 0
    assert {"prediction_id", "time", "probability", "refused"} <= set(rows.columns)
    assert str(rows["time"].dtype) == "datetime64[us, UTC]"
    assert len(window.gaps) == 8
    assert not (tmp_path / "none").exists()


def test_rows_come_back_with_natural_types(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(
        columns(),
        [answered(times=(NOON, NOON + HOUR), rows=[(1, "UA"), (None, None)], outputs=[0.75, 0.5], keys=["f1", "f2"])],
    )
    log.compact()

    rows, _ = log.window(*WEEK)

    assert rows["distance"].dtype == float
    assert rows["distance"].isna().tolist() == [False, True]
    assert rows["carrier"].tolist() == ["UA", None]
    assert rows["probability"].tolist() == [0.75, 0.5]
    assert rows["prediction"].tolist() == [1.0, 1.0]
    assert rows["key"].tolist() == ["f1", "f2"]
    assert rows["time"].tolist() == [NOON, NOON + HOUR]


def test_refused_rows_are_kept_apart_and_show_what_was_sent(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered(), refused()])
    log.compact()

    rows, window = log.window(*WEEK)

    assert (window.rows, window.refused) == (1, 1)
    turned = rows[rows["refused"]].iloc[0]
    assert turned["sent"] == '{"distance":-5}'
    assert '"rule": "range"' in turned["problems"]
    assert pd.isna(turned["distance"])


def test_a_window_holds_its_start_and_not_its_end(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered("a", times=(NOON, NOON + HOUR))])
    log.compact()

    assert ids(log, NOON, NOON + HOUR) == ["a-0"]


def test_compacting_again_changes_nothing(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered()])
    once = log.compact()
    before = files(log)

    again = log.compact()

    assert again == once
    assert files(log) == before


def test_a_segment_still_written_to_is_read_on_from_where_it_was_left(tmp_path: Path) -> None:
    log, writer = PredictionLog(tmp_path), SegmentWriter(tmp_path, name="w")
    writer.write([(columns(), frame(encode(answered("a"))))])
    log.compact()
    writer.write([(columns(), frame(encode(answered("b"))))])
    log.compact()
    still_there = len(list_segments(tmp_path))
    writer.close()
    log.compact()

    assert sorted(ids(log)) == ["a-0", "b-0"]
    assert still_there == 1
    assert list_segments(tmp_path) == []


def test_half_a_frame_of_a_living_writer_is_no_damage(tmp_path: Path) -> None:
    log, writer = PredictionLog(tmp_path), SegmentWriter(tmp_path, name="w")
    second = frame(encode(answered("b")))
    writer.write([(columns(), frame(encode(answered("a")))), (columns(), second[:30])])
    log.compact()
    writer.write([(columns(), second[30:])])
    writer.close()
    log.compact()

    assert sorted(ids(log)) == ["a-0", "b-0"]
    assert log.window(*WEEK)[1].damaged == ()


@pytest.mark.parametrize("room", [0, 5000], ids=["at the end", "before room that was laid out"])
def test_a_torn_tail_is_cut_and_reported_with_its_file_and_offset(tmp_path: Path, room: int) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered("a"), answered("b")])
    path = list_segments(tmp_path)[0].path
    path.write_bytes(path.read_bytes()[:-5] + bytes(room))
    log.compact()

    rows, window = log.window(*WEEK)

    (lost,) = window.damaged
    assert rows["prediction_id"].tolist() == ["a-0"]
    assert (lost.segment, lost.torn, lost.day) == (path.name, True, NOON.date())
    assert (
        lost.offset + lost.bytes
        == len(frame(encode(columns())) + frame(encode(answered("a"))) + frame(encode(answered("b")))) - 5
    )


def test_room_that_a_killed_writer_laid_out_is_no_damage_and_keeps_no_segment(tmp_path: Path) -> None:
    log, writer = PredictionLog(tmp_path), SegmentWriter(tmp_path, name="w")
    writer.write([(columns(), frame(encode(answered("a"))))])
    path = list_segments(tmp_path)[0].path
    killed = path.read_bytes()
    writer.close()
    path.write_bytes(killed)

    log.compact()

    assert killed.endswith(bytes(1000))
    assert ids(log) == ["a-0"]
    assert log.window(*WEEK)[1].damaged == ()
    assert list_segments(tmp_path) == []


def test_room_that_is_filled_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    log, writer = PredictionLog(tmp_path), SegmentWriter(tmp_path, name="w")
    first, second = (frame(encode(one)) for one in (answered("a"), answered("b")))
    writer.write([(columns(), first)])
    path = list_segments(tmp_path)[0].path
    with path.open("r+b") as file:  # as a reader sees it who was past a page before its writer came there
        file.seek(len(frame(encode(columns())) + first) + 20)
        file.write(second[20:])
    log.compact()
    writer.write([(columns(), second)])
    log.compact()
    writer.close()
    log.compact()

    assert sorted(ids(log)) == ["a-0", "b-0"]
    assert log.window(*WEEK)[1].damaged == ()
    assert list_segments(tmp_path) == []


def test_a_hole_that_a_power_failure_left_at_the_end_is_torn(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered("a"), answered("b")])
    path = list_segments(tmp_path)[0].path
    whole = path.read_bytes()
    path.write_bytes(whole[:-30] + bytes(20) + whole[-10:] + bytes(500))
    log.compact()

    assert ids(log) == ["a-0"]
    assert [lost.torn for lost in log.window(*WEEK)[1].damaged] == [True]
    assert not (tmp_path / "damaged").exists()


def test_a_damaged_segment_costs_one_entry_and_is_kept_for_a_person(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered("a"), answered("b"), answered("c")])
    path = list_segments(tmp_path)[0].path
    path.write_bytes(path.read_bytes().replace(b'"id":"b"', b'"id":"B"'))
    log.compact()

    rows, window = log.window(*WEEK)

    assert rows["prediction_id"].tolist() == ["a-0", "c-0"]
    assert [lost.torn for lost in window.damaged] == [False]
    assert (tmp_path / "damaged" / path.name).exists()


def test_rows_whose_columns_were_lost_are_reported_as_lost(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered("a")])
    path = list_segments(tmp_path)[0].path
    path.write_bytes(path.read_bytes().replace(b'"package":"ab', b'"package":"AB'))
    log.compact()

    rows, window = log.window(*WEEK)

    assert len(rows) == 0
    assert len(window.damaged) == 2


def test_a_retry_counts_once_whichever_compaction_it_meets(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered("a"), answered("a")])
    log.compact()
    log.append(columns(), [answered("a", at=NOON + HOUR)])
    log.compact()

    rows, window = log.window(*WEEK)

    assert rows["prediction_id"].tolist() == ["a-0"]
    assert rows["at"].tolist() == [NOON]
    assert window.duplicates == 2


def test_a_retry_after_midnight_counts_once_though_the_rows_have_no_time(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered("a", times=None, rows=[(1.0, "UA")], at=NOON)])
    log.compact()
    log.append(columns(), [answered("a", times=None, rows=[(1.0, "UA")], at=NOON + DAY)])
    log.compact()

    assert ids(log) == ["a-0"]


def test_a_late_row_opens_its_own_day_only(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered("a", times=(NOON, NOON + DAY))])
    log.compact()
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*.parquet")}
    log.append(columns(), [answered("late", times=(NOON,), at=NOON + 3 * DAY)])
    log.compact()

    fresh = [path for path in tmp_path.rglob("*.parquet") if path not in before]
    assert [path.parent.name for path in fresh] == ["day=2013-05-01"]
    assert all(path.stat().st_ino == inode for path, inode in before.items())
    assert sorted(ids(log)) == ["a-0", "a-1", "late-0"]


def test_a_day_of_many_files_is_written_anew_as_one(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    for number in range(PARTS_MAX + 1):
        log.append(columns(), [answered(f"a{number}")])
        log.compact()

    log.compact()  # sweeps what the last one replaced

    assert len(files(log)) == 1
    assert len(set(ids(log))) == PARTS_MAX + 1


def test_versions_with_other_columns_share_a_window(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    second = columns("2", kinds={"distance": "numeric", "seats": "numeric"})
    log.append(columns("1"), [answered("a")])
    log.append(second, [answered("b", version="2", rows=[(5.0, 180.0)])])
    log.compact()

    rows, window = log.window(*WEEK)

    assert window.versions == {"1": 1, "2": 1}
    assert rows.set_index("prediction_id")["seats"].isna().to_dict() == {"a-0": True, "b-0": False}


def test_a_column_that_changed_its_kind_between_versions_is_text(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns("1"), [answered("a")])
    log.append(columns("2", kinds={"distance": "categorical"}), [answered("b", version="2", rows=[("far",)])])
    log.compact()

    rows, _ = log.window(*WEEK)

    assert sorted(rows["distance"].astype(str)) == ["100", "far"]


def test_a_multiclass_answer_keeps_all_its_probabilities(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    weather = columns(task="multiclass", classes=("dry", "wet"))
    log.append(weather, [answered("a", outputs=[[0.25, 0.75]])])
    log.compact()

    rows, _ = log.window(*WEEK)

    assert rows["prediction"].tolist() == ["wet"]
    assert rows["probabilities"].iloc[0].tolist() == [0.25, 0.75]


def test_days_without_an_answer_are_gaps(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered("a", times=(NOON, NOON + 2 * DAY)), refused(time=NOON + DAY)])
    log.compact()

    _, window = log.window(NOON, NOON + 2 * DAY + HOUR)

    assert window.gaps == ((NOON + DAY).date(),)


def test_only_the_owner_may_read_what_was_asked(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered()])
    log.compact()

    assert {path.stat().st_mode & 0o777 for path in tmp_path.rglob("*.parquet")} == {0o600}


def test_a_manifest_of_another_format_is_refused(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    (tmp_path / "compacted.json").write_text('{"format": 99}')

    with pytest.raises(PredictionLogError, match="format 99"):
        PredictionLog(tmp_path).compact()


def test_the_summary_is_json(tmp_path: Path) -> None:
    log = PredictionLog(tmp_path)
    log.append(columns(), [answered()])
    log.compact()

    content = log.window(NOON, NOON + DAY)[1].to_json()

    assert content["rows"] == 1
    assert content["start"] == "2013-05-01T12:00:00+00:00"
    assert content["gaps"] == ["2013-05-02"]


hours = st.integers(0, 24 * 5)
requests = st.lists(st.tuples(st.integers(0, 6), st.lists(hours, min_size=1, max_size=3)), max_size=6)


@settings(max_examples=25, deadline=None)
@given(st.lists(requests, min_size=1, max_size=3))
def test_however_writing_and_compacting_alternate_each_row_is_there_once(
    rounds: list[list[tuple[int, list[int]]]],
) -> None:
    first: dict[int, list[int]] = {}
    with TemporaryDirectory() as folder:
        log = PredictionLog(Path(folder))
        for entries in rounds:
            for name, when in entries:
                kept = first.setdefault(name, when)  # the same request is the same bytes, so the same times
                log.append(columns(), [answered(f"r{name}", times=[NOON + timedelta(hours=hour) for hour in kept])])
            log.compact()
        found = Counter(ids(log, NOON, NOON + 7 * DAY))

    assert found == Counter(f"r{name}-{row}" for name, when in first.items() for row in range(len(when)))
