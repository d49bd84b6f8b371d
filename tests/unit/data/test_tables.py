from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from factories.data import FakeSource, a_spec, as_tables, at, rides
from nightshift.data.snapshot import write_partitions, write_table
from nightshift.data.tables import assemble, assemble_live, labels, to_arrow
from nightshift.errors import FeatureError, SourceError

START, END = at("2013-01-01"), at("2013-01-11")
DATED = a_spec(time={"column": "started", "first": "2013-01-01"}, source={"module": "rides", "stale_after": "30d"})


def a_query(folder: Path, sql: str) -> Path:
    path = folder / "rides.sql"
    path.write_text(sql)
    return path


def test_rows_come_in_one_shape_sorted_by_time_and_key(tmp_path: Path) -> None:
    events = rides(START, 3).sample(frac=1, random_state=1)
    events["extra"] = "not declared"
    tables = as_tables(tmp_path, rows=events)

    rows = assemble(tables, a_spec(), None, start=START, end=END, as_of=END)

    assert list(rows.columns) == ["ride_id", "started", "cancelled", "distance", "zone"]
    assert rows.dtypes.astype(str).tolist() == ["object", "datetime64[us, UTC]", "float64", "float64", "object"]
    assert rows["ride_id"].tolist() == sorted(events["ride_id"])


def test_categories_are_text_or_none_and_numbers_float(tmp_path: Path) -> None:
    events = rides(START, 1).assign(zone=[1, 2, None, 3], distance=[True, False, True, False])
    events["zone"] = events["zone"].astype("Int64")
    spec = a_spec(features={"distance": "numeric", "zone": "categorical"})

    rows = assemble(as_tables(tmp_path, rows=events), spec, None, start=START, end=END, as_of=END)

    assert rows["distance"].tolist() == [1.0, 0.0, 1.0, 0.0]
    assert rows["zone"].tolist()[2] is None
    assert all(isinstance(value, str) for value in rows["zone"].drop(2))


def test_a_null_is_its_default_in_training_too(tmp_path: Path) -> None:
    events = rides(START, 1).assign(zone=["north", None, "south", None], distance=[1.0, None, 3.0, None])
    features = {
        "distance": {"kind": "numeric", "missing": "default", "default": 0.5},
        "zone": {"kind": "categorical", "missing": "default", "default": "nowhere"},
    }

    rows = assemble(as_tables(tmp_path, rows=events), a_spec(features=features), None, start=START, end=END, as_of=END)

    assert rows["distance"].tolist() == [1.0, 0.5, 3.0, 0.5]
    assert rows["zone"].tolist() == ["north", "nowhere", "south", "nowhere"]


def test_partitions_and_single_files_are_one_table_each(tmp_path: Path) -> None:
    events = rides(START, 4)
    source = FakeSource(events, {"zones": pd.DataFrame({"zone": ["north", "south"], "size": [1.0, 2.0]})})
    write_partitions(source, DATED, have=set(), as_of=END, to=tmp_path)
    query = a_query(tmp_path, "SELECT rows.* REPLACE (zones.size AS distance) FROM rows JOIN zones USING (zone)")

    rows = assemble(tmp_path, a_spec(), query, start=START, end=END, as_of=END)

    assert len(rows) == 16
    assert rows["distance"].tolist() == rows["zone"].map({"north": 1.0, "south": 2.0}).tolist()


def test_a_label_that_had_not_matured_is_left_out(tmp_path: Path) -> None:
    tables = as_tables(tmp_path, rows=rides(START, 4))

    rows = assemble(tables, a_spec(), None, start=START, end=END, as_of=at("2013-01-03 12:00"))

    assert rows["started"].max() == pd.Timestamp(at("2013-01-02 12:00")), "a day is all a label takes"


def test_a_label_that_came_late_is_left_out_until_it_came(tmp_path: Path) -> None:
    events = rides(START, 2)
    events["known_at"] = events["started"]
    events.loc[3, "known_at"] = pd.Timestamp(at("2013-01-09"))
    events.loc[4, ["known_at", "cancelled"]] = [pd.NaT, np.nan]
    tables = as_tables(tmp_path, rows=events)

    early, late = (
        assemble(tables, a_spec(), None, start=START, end=END, as_of=at(day)) for day in ("2013-01-08", "2013-01-09")
    )

    assert set(events["ride_id"]) - set(early["ride_id"]) == {"r00003", "r00004"}
    assert set(events["ride_id"]) - set(late["ride_id"]) == {"r00004"}


def test_nothing_known_gives_an_empty_table_of_the_same_shape(tmp_path: Path) -> None:
    tables = as_tables(tmp_path, rows=rides(START, 2))

    rows = assemble(tables, a_spec(), None, start=START, end=END, as_of=START)

    assert rows.empty
    assert rows.dtypes.astype(str).tolist() == ["object", "datetime64[us, UTC]", "float64", "float64", "object"]


def test_the_query_is_told_its_moments_and_spans(tmp_path: Path) -> None:
    spec = a_spec(time={"column": "started", "known_before": "2h", "lookback": "3d"})
    query = a_query(
        tmp_path,
        "SELECT * REPLACE (epoch($as_of) - epoch($end) + epoch($known_before) + epoch($lookback) AS distance) "
        "FROM rows WHERE started >= $start",
    )

    rows = assemble(
        as_tables(tmp_path, rows=rides(START, 3)),
        spec,
        query,
        start=at("2013-01-02"),
        end=END,
        as_of=END + timedelta(1),
    )

    assert set(rows["distance"]) == {4 * 86400.0 + 7200.0}
    assert rows["started"].min() == pd.Timestamp(at("2013-01-02"))


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("SELECT * EXCLUDE (zone, distance) FROM rows", "rides.sql: lacks distance, zone"),
        ("SELECT * FROM nowhere", "rides.sql: .*nowhere"),
        ("SELEKT", "rides.sql: .*syntax"),
        ("SELECT * REPLACE (NULL AS ride_id) FROM rows", "ride_id is null in 8 rows"),
        ("SELECT * REPLACE (NULL::TIMESTAMPTZ AS started) FROM rows", "started is null in 8 rows"),
        ("SELECT * REPLACE ('far' AS distance) FROM rows", "distance: is declared numeric"),
        ("SELECT *, $tomorrow FROM rows", "rides.sql: "),
    ],
)
def test_a_query_that_does_not_answer_says_where_and_why(tmp_path: Path, sql: str, message: str) -> None:
    tables = as_tables(tmp_path / "tables", rows=rides(START, 2))

    with pytest.raises(FeatureError, match=message):
        assemble(tables, a_spec(), a_query(tmp_path, sql), start=START, end=END, as_of=END)


def test_the_query_can_read_nothing_that_the_lineage_does_not_name(tmp_path: Path) -> None:
    tables = as_tables(tmp_path / "tables", rows=rides(START, 2))
    as_tables(tmp_path / "elsewhere", rows=rides(START, 2))
    query = a_query(tmp_path, f"SELECT * FROM read_parquet('{tmp_path}/elsewhere/rows/*.parquet')")

    with pytest.raises(FeatureError, match="disabled"):
        assemble(tables, a_spec(), query, start=START, end=END, as_of=END)


def test_the_query_cannot_open_the_door_again(tmp_path: Path) -> None:
    tables = as_tables(tmp_path / "tables", rows=rides(START, 2))
    query = a_query(tmp_path, "SET enable_external_access = true; SELECT * FROM rows")

    with pytest.raises(FeatureError):
        assemble(tables, a_spec(), query, start=START, end=END, as_of=END)


def test_a_folder_without_tables_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="holds no tables"):
        assemble(tmp_path, a_spec(), None, start=START, end=END, as_of=END)


def test_a_day_whose_every_value_is_missing_fits_the_others(tmp_path: Path) -> None:
    events = rides(START, 2)
    events.loc[events["started"] < pd.Timestamp(at("2013-01-02")), ["zone", "distance"]] = None

    write_partitions(FakeSource(events), DATED, have=set(), as_of=END, to=tmp_path)
    rows = assemble(tmp_path, DATED, None, start=START, end=END, as_of=END)

    assert rows["zone"].isna().tolist() == [True] * 4 + [False] * 4


def test_a_column_that_was_whole_numbers_and_became_broken_ones_is_one_column(tmp_path: Path) -> None:
    events = rides(START, 2)
    early = events["started"] < pd.Timestamp(at("2013-01-02"))
    write_table(tmp_path / "rows" / "2013-01-01.parquet", events[early].assign(distance=7))
    write_table(tmp_path / "rows" / "2013-01-02.parquet", events[~early].assign(distance=7.5, new="later"))

    rows = assemble(tmp_path, a_spec(), None, start=START, end=END, as_of=END)

    assert rows["distance"].tolist() == [7.0] * 4 + [7.5] * 4


def test_live_rows_have_the_features_of_the_snapshot_and_unlabelled_rows_too(tmp_path: Path) -> None:
    events = rides(START, 6)
    events.loc[17, "cancelled"] = np.nan
    source, spec = FakeSource(events), DATED
    query = a_query(
        tmp_path,
        "SELECT * REPLACE (avg(distance) OVER (ORDER BY started ROWS 7 PRECEDING) AS distance) FROM rows "
        "QUALIFY started >= $start AND started < $end",
    )
    write_partitions(source, spec, have=set(), as_of=END, to=tmp_path / "tables")
    day = {"start": at("2013-01-05"), "end": at("2013-01-06")}

    live = assemble_live(source, spec, query, **day, lookback=timedelta(days=3))
    stored = assemble(tmp_path / "tables", spec, query, **day, as_of=END)

    assert live["ride_id"].tolist() == ["r00016", "r00017", "r00018", "r00019"]
    assert live["cancelled"].isna().tolist() == [False, True, False, False]
    pd.testing.assert_frame_equal(live.drop(1).reset_index(drop=True), stored)


def test_labels_are_what_was_known_and_when(tmp_path: Path) -> None:
    events = rides(START, 2)
    events["known_at"] = events["started"] + pd.Timedelta(hours=1)
    events.loc[0, "known_at"] = pd.Timestamp(at("2013-01-02 23:00"))
    events.loc[1, ["known_at", "cancelled"]] = [pd.NaT, np.nan]

    found = labels(FakeSource(events), a_spec(), start=START, end=at("2013-01-02"), as_of=at("2013-01-02 23:00"))

    assert found["ride_id"].tolist() == ["r00002", "r00003", "r00000"]
    assert found["known_at"].tolist() == [at(f"2013-01-02 {hour}") for hour in ("12:00", "18:00", "23:00")]
    assert found.dtypes.astype(str).tolist() == ["object", "float64", "datetime64[us, UTC]"]


def test_classes_are_labels_as_text(tmp_path: Path) -> None:
    events = rides(START, 1).assign(cancelled=["yes", "no", "maybe", "yes"])
    spec = a_spec(task="multiclass")

    rows = assemble(as_tables(tmp_path, rows=events), spec, None, start=START, end=END, as_of=END)

    assert rows["cancelled"].tolist() == ["yes", "no", "maybe", "yes"]


def test_labels_must_be_in_exactly_one_table() -> None:
    class Twice(FakeSource):
        def extract(self, start, end):  # type: ignore[no-untyped-def]
            return {"one": self.events, "two": self.events}

    with pytest.raises(SourceError, match=r"2 of the source's tables \(one, two\)"):
        labels(Twice(rides(START, 1)), a_spec(), start=START, end=END, as_of=END)


def test_values_that_no_file_can_hold_are_named() -> None:
    with pytest.raises(SourceError, match="cannot be stored"):
        to_arrow(pd.DataFrame({"mixed": ["a", 1, {}]}))
