import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.data import DAY, a_spec, at, rides
from nightshift.data.split import Splits, content_digest, make_splits, read_splits
from nightshift.errors import SplitError

AS_OF = at("2013-01-22")
SPEC = a_spec()


def a_table(**columns: object) -> pd.DataFrame:
    """Return rides of 32 days, the last of them just matured at AS_OF."""
    return rides(at("2012-12-20"), 32).assign(**columns)


def splits_of(table: pd.DataFrame) -> Splits:
    return make_splits(table, SPEC, as_of=AS_OF)


# ---------------------------------------------------------------- cutting


def test_time_is_cut_backward_from_as_of() -> None:
    splits = splits_of(a_table())

    bounds = {name: (record.start, record.end) for name, record in splits.records.items()}
    assert bounds == {
        "train": (at("2013-01-02"), at("2013-01-12")),
        "validation": (at("2013-01-12"), at("2013-01-17")),
        "test": (at("2013-01-17"), AS_OF),
    }
    assert [len(rows) for _, rows in splits.frames()] == [40, 20, 16]
    assert splits.records["train"].last == at("2013-01-11 18:00")
    splits.check(SPEC)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60))
def test_every_row_of_the_span_is_in_exactly_one_split(seed: int, size: int) -> None:
    table = a_table().sample(n=size, random_state=np.random.default_rng(seed))

    splits = splits_of(table)

    within = table[(table["started"] >= pd.Timestamp(AS_OF - 20 * DAY)) & (table["started"] < pd.Timestamp(AS_OF))]
    placed = pd.concat([rows for _, rows in splits.frames()])
    assert sorted(placed["ride_id"]) == sorted(within["ride_id"])


def test_the_order_of_the_table_does_not_matter() -> None:
    table = a_table()

    assert splits_of(table).digests == splits_of(table.sample(frac=1, random_state=3)).digests


def test_an_empty_split_has_a_record_without_rows() -> None:
    splits = splits_of(a_table()[:0])

    record = splits.records["test"]
    assert (record.rows, record.first, record.label_mean) == (0, None, None)
    assert len(set(splits.digests.values())) == 1


def test_a_row_that_only_repeats_an_older_one_is_counted() -> None:
    table = a_table()
    table.loc[table.index[-10:], ["distance", "zone"]] = table.loc[60, ["distance", "zone"]].to_list()

    records = splits_of(table).records

    assert records["train"].repeated == 0
    assert records["test"].repeated == 10


# ---------------------------------------------------------------- digests


def test_the_digest_does_not_depend_on_who_wrote_the_file(tmp_path: Path) -> None:
    rows = a_table(zone=["north", None, "", "süd"] * 32)
    pq.write_table(pa.Table.from_pandas(rows), tmp_path / "one", compression="none", row_group_size=7)
    pq.write_table(pa.Table.from_pandas(rows), tmp_path / "two", compression="gzip", use_dictionary=False)

    digests = {content_digest(pq.read_table(tmp_path / name).to_pandas()) for name in ("one", "two")}

    assert digests == {content_digest(rows)}


@pytest.mark.parametrize(
    "change",
    [
        {"distance": lambda t: t["distance"].where(t.index != 5, t["distance"] + 1e-12)},
        {"distance": lambda t: t["distance"].where(t.index != 5)},
        {"zone": lambda t: t["zone"].where(t.index != 5, "north ")},
        {"zone": lambda t: t["zone"].where(t.index != 5, None)},
        {"started": lambda t: t["started"].where(t.index != 5, t["started"] + pd.Timedelta(microseconds=1))},
        {"extra": 1.0},
    ],
    ids=["number", "missing", "text", "none", "time", "column"],
)
def test_one_changed_cell_changes_the_digest(change: dict) -> None:
    assert content_digest(a_table(**change)) != content_digest(a_table())


def test_another_order_of_rows_or_columns_is_another_digest() -> None:
    table = a_table()

    digests = {content_digest(each) for each in (table, table[::-1], table[table.columns[::-1]])}

    assert len(digests) == 3


def test_texts_that_meet_in_the_middle_are_told_apart() -> None:
    one, two = (pd.DataFrame({"a": a}, dtype=object) for a in (["ab", "c"], ["a", "bc"]))
    empty, none = (pd.DataFrame({"a": a}, dtype=object) for a in (["", "x"], [None, "x"]))

    assert len({content_digest(each) for each in (one, two, empty, none)}) == 4


def test_missing_and_zero_have_one_spelling_each() -> None:
    odd = struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000BAD))[0]
    one = pd.DataFrame({"a": [np.nan, 0.0], "b": pd.Series(["x", None], dtype=object)})
    two = pd.DataFrame({"a": [odd, -0.0], "b": pd.Series(["x", np.nan], dtype=object)})

    assert content_digest(one) == content_digest(two)


# ---------------------------------------------------------------- files


def test_splits_come_back_from_files_as_they_were(tmp_path: Path) -> None:
    splits = splits_of(a_table(zone=["north", None, "", "süd"] * 32))

    splits.write(tmp_path)
    again = read_splits(tmp_path)

    assert again.records == splits.records
    assert again.as_of == AS_OF
    for (_, rows), (_, before) in zip(again.frames(), splits.frames(), strict=True):
        pd.testing.assert_frame_equal(rows, before)


def test_the_same_splits_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        splits_of(a_table()).write(tmp_path / name)

    assert [path.read_bytes() for path in sorted((tmp_path / "one").iterdir())] == [
        path.read_bytes() for path in sorted((tmp_path / "two").iterdir())
    ]


def test_a_split_changed_on_disk_is_refused_with_both_digests(tmp_path: Path) -> None:
    splits = splits_of(a_table())
    splits.write(tmp_path)
    splits.test.assign(distance=0.0).to_parquet(tmp_path / "test.parquet")

    with pytest.raises(
        SplitError, match=rf"test.parquet: its rows have digest \w+, split.json says {splits.digests['test']}"
    ):
        read_splits(tmp_path)


def test_incomplete_splits_are_refused(tmp_path: Path) -> None:
    splits_of(a_table()).write(tmp_path)
    (tmp_path / "train.parquet").unlink()

    with pytest.raises(SplitError, match="holds no complete splits"):
        read_splits(tmp_path)
