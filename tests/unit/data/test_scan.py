"""Rows of any files or query: read as they are, and refused with what was found, where and what to do."""

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from factories.rows import hostile, written
from nightshift.data.scan import open_files, open_query
from nightshift.errors import RowsError


def rows_of(*paths: Path, without: tuple[str, ...] = ()) -> pa.Table:
    with open_files(paths, without=without) as scan:
        table = pa.Table.from_batches(list(scan.batches(scan.schema.names)), scan.schema)
        assert len(table) == scan.rows
        return table


def test_parquet_files_follow_one_another_and_can_be_read_twice(tmp_path: Path) -> None:
    paths = written(tmp_path, pa.table({"a": [1, 2], "b": ["x", None]}), pa.table({"a": [3], "b": ["y"]}))

    with open_files(paths) as scan:
        first, second = ([batch.to_pydict() for batch in scan.batches(["b"])] for _ in range(2))

    assert first == second == [{"b": ["x", None]}, {"b": ["y"]}]


def test_every_kind_of_column_comes_through_a_file(tmp_path: Path) -> None:
    (path,) = written(tmp_path, hostile())

    found = rows_of(path)

    assert found.column_names == hostile().column_names
    assert found.column("text").to_pylist() == hostile().column("text").to_pylist()


def test_whole_numbers_in_one_file_and_fractions_in_another_are_numbers(tmp_path: Path) -> None:
    paths = written(tmp_path, pa.table({"a": [1, 2]}), pa.table({"a": [0.5]}), pa.table({"a": pa.nulls(1)}))

    assert rows_of(*paths).column("a").to_pylist() == [1.0, 2.0, 0.5, None]


def test_columns_in_another_order_are_the_same_columns(tmp_path: Path) -> None:
    paths = written(tmp_path, pa.table({"a": [1], "b": ["x"]}), pa.table({"b": ["y"], "a": [2]}))

    assert rows_of(*paths).to_pydict() == {"a": [1, 2], "b": ["x", "y"]}


def test_a_csv_is_read_to_its_end_before_its_types_are_known(tmp_path: Path) -> None:
    path = tmp_path / "trips.csv.gz"
    path.write_bytes(gzip.compress(("id,speed\n" + "1,2\n" * 30_000 + "2,2.5\n").encode()))

    assert rows_of(path).column("speed").to_pylist()[-2:] == [2.0, 2.5]


def test_a_csv_may_be_called_anything(tmp_path: Path) -> None:
    path = tmp_path / "it's; DROP.csv"
    path.write_text("a,b\n1,x\n")

    assert rows_of(path).to_pydict() == {"a": [1], "b": ["x"]}


def test_a_query_gives_what_it_answers(tmp_path: Path) -> None:
    (path,) = written(tmp_path, pa.table({"a": [1, 2, 3]}))

    with open_query(f"SELECT a * 2 AS b FROM '{path}' WHERE a > 1;") as scan:
        assert [batch.to_pydict() for batch in scan.batches(["b"])] == [{"b": [4, 6]}]


def test_columns_may_be_left_out(tmp_path: Path) -> None:
    (path,) = written(tmp_path, pa.table({"a": [1], "b": [[1]]}))

    assert rows_of(path, without=("b",)).column_names == ["a"]
    with pytest.raises(RowsError, match=r"--without c: .* has no such column; it has a, b"):
        rows_of(path, without=("c",))


def test_a_file_that_cannot_be_read_says_what_was_found_and_what_to_do(tmp_path: Path) -> None:
    whole = written(tmp_path, hostile())[0].read_bytes()
    cases = {
        "empty.parquet": (b"", "is empty .0 bytes.; expected Parquet, or CSV"),
        "other.bin": (b"GIF89a", "is neither Parquet .it begins with b'GIF8'. nor CSV by its name"),
        "cut.parquet": (whole[: len(whole) // 2], "cannot be read: .*; it is damaged, or still written to"),
        "short.parquet": (b"PAR1", "cannot be read: .*; it is damaged, or still written to"),
    }
    for name, (content, told) in cases.items():
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(RowsError, match=f"{name} {told}"):
            rows_of(path)


def test_damage_in_the_middle_of_a_file_is_blamed_on_it(tmp_path: Path) -> None:
    path = tmp_path / "damaged.parquet"
    pq.write_table(pa.table({"a": list(range(10_000))}), path, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[100:2000] = bytes(1900)
    path.write_bytes(content)

    with pytest.raises(RowsError, match=r"damaged\.parquet cannot be read: "):
        rows_of(path)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RowsError, match=r"gone\.csv cannot be read: No such file"):
        rows_of(tmp_path / "gone.csv")
    with pytest.raises(RowsError, match=r"is a folder; expected files: .*/\*\.parquet"):
        rows_of(tmp_path)
    with pytest.raises(RowsError, match="no file was given"):
        rows_of()


def test_tables_of_other_kinds_are_not_one_table(tmp_path: Path) -> None:
    paths = written(tmp_path, pa.table({"a": [1]}), pa.table({"b": [1]}), pa.table({"a": ["x"]}))

    with pytest.raises(RowsError, match=r"part-1\.parquet has not the columns of .*part-0\.parquet: a, b"):
        rows_of(*paths[:2])
    with pytest.raises(RowsError, match=r"hold different types: .*cast them with --query"):
        rows_of(paths[0], paths[2])


def test_a_query_that_fails_says_why() -> None:
    with (
        pytest.raises(RowsError, match=r"the query 'SELECT \* FROM nowhere' does not give rows: .*nowhere"),
        open_query("SELECT * FROM nowhere"),
    ):
        pass
