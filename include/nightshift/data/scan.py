"""Rows of any files or query, in batches, as often as wanted.

Parquet is read where it lies. CSV and what a query answers are first written to
a Parquet file in a temporary folder, by DuckDB: their types are known only when
all has been read.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from nightshift.errors import RowsError

BATCH = 2**17
CSV_ENDINGS = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".txt.gz")
MAGIC = b"PAR1"
THREADS = 2


@dataclass(frozen=True)
class Scan:
    """Rows of Parquet files, one file after the other; text comes as dictionaries."""

    files: tuple[Path, ...]
    schema: pa.Schema
    rows: int

    def batches(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield all rows in the named columns; a RowsError where a file is damaged."""
        wanted = pa.schema([self.schema.field(name) for name in names])
        for path in self.files:
            with _blamed(path), _parquet(path, wanted) as file:
                for batch in file.iter_batches(BATCH, columns=list(names)):
                    yield _as_wanted(batch, wanted)


@contextmanager
def open_files(paths: Iterable[Path], *, without: Sequence[str] = ()) -> Iterator[Scan]:
    """Yield the rows of Parquet and CSV files; ``without`` leaves columns out.

    Raises
    ------
    RowsError
        If a file is missing, is neither, is damaged, or has other columns than the first.
    """
    with TemporaryDirectory(prefix="nightshift-") as folder:
        found = [_as_parquet(Path(path), Path(folder) / f"{place}.parquet") for place, path in enumerate(paths)]
        yield _scan(found, list(map(Path, paths)), without)


@contextmanager
def open_query(query: str, *, without: Sequence[str] = ()) -> Iterator[Scan]:
    """Yield what a DuckDB query answers, for example over ``'trips/*.parquet'``; a RowsError if it fails."""
    with TemporaryDirectory(prefix="nightshift-") as folder:
        path = Path(folder) / "answer.parquet"
        _copy(query, path, told=f"the query {_short(query)!r}")
        yield _scan([path], [path], without)


def _scan(files: Sequence[Path], named: Sequence[Path], without: Sequence[str]) -> Scan:
    if not files:
        raise RowsError("no file was given; expected at least one Parquet or CSV file, or --query")
    heads = []
    for path, name in zip(files, named, strict=True):
        with _blamed(name), pq.ParquetFile(path) as file:
            heads.append((file.schema_arrow.remove_metadata(), file.metadata.num_rows))
    unknown = [name for name in without if name not in heads[0][0].names]
    if unknown:
        raise RowsError(f"--without {unknown[0]}: {named[0]} has no such column; it has {', '.join(heads[0][0].names)}")
    schemas = [pa.schema([field for field in schema if field.name not in without]) for schema, _ in heads]
    return Scan(tuple(files), _coded(_unified(schemas, named)), sum(rows for _, rows in heads))


def _unified(schemas: Sequence[pa.Schema], named: Sequence[Path]) -> pa.Schema:
    """Return one schema for all files; columns must be the same, whole numbers and fractions may mix."""
    first = schemas[0]
    for schema, path in zip(schemas[1:], named[1:], strict=True):
        differing = sorted(set(first.names) ^ set(schema.names))
        if differing:
            raise RowsError(
                f"{path} has not the columns of {named[0]}: {', '.join(differing)} is in one only; "
                "profile tables of one kind together, or leave columns out with --without"
            )
    if all(schema.equals(first) for schema in schemas):
        return first
    ordered = [pa.schema([schema.field(name) for name in first.names]) for schema in schemas]
    try:
        return pa.unify_schemas(ordered, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise RowsError(f"{_list(named)} hold different types: {error}; cast them with --query") from error


def _coded(schema: pa.Schema) -> pa.Schema:
    """Return the schema with text as dictionaries: most texts of a table come again and again."""
    coded, texts = pa.dictionary(pa.int32(), pa.string()), (pa.string(), pa.large_string(), pa.string_view())
    return pa.schema([field.with_type(coded) if field.type in texts else field for field in schema])


def _parquet(path: Path, wanted: pa.Schema) -> pq.ParquetFile:
    texts = [field.name for field in wanted if pa.types.is_dictionary(field.type)]
    # pre_buffer would hold whole row groups in memory
    return pq.ParquetFile(path, pre_buffer=False, read_dictionary=texts, page_checksum_verification=True)


def _as_wanted(batch: pa.RecordBatch, wanted: pa.Schema) -> pa.RecordBatch:
    if batch.schema.equals(wanted):
        return batch
    columns = [batch.column(field.name).cast(field.type, safe=False) for field in wanted]
    return pa.RecordBatch.from_arrays(columns, schema=wanted)


def _as_parquet(path: Path, target: Path) -> Path:
    """Return the file itself if it is Parquet, or what it is once written as such."""
    if path.is_dir():
        raise RowsError(f"{path} is a folder; expected files: name them, for example {path}/*.parquet")
    try:
        with path.open("rb") as file:
            begins = file.read(4)
    except OSError as error:
        raise RowsError(f"{path} cannot be read: {error.strerror}; expected a Parquet or CSV file") from error
    if begins == MAGIC:
        return path
    if not begins:
        raise RowsError(f"{path} is empty (0 bytes); expected Parquet, or CSV with a line of names")
    if not path.name.lower().endswith(CSV_ENDINGS):
        raise RowsError(
            f"{path} is neither Parquet (it begins with {begins!r}) nor CSV by its name "
            f"({', '.join(CSV_ENDINGS[:3])}); write it as one of them"
        )
    query = f"SELECT * FROM read_csv({_quoted(path)}, header = true, sample_size = -1)"  # noqa: S608 -- quoted
    _copy(query, target, told=str(path))
    return target


def _copy(query: str, target: Path, *, told: str) -> None:
    with duckdb.connect(config={"threads": THREADS, "temp_directory": str(target.parent)}) as database:
        try:
            database.execute(f"COPY ({query.rstrip().rstrip(';')}) TO {_quoted(target)} (FORMAT parquet)")
        except duckdb.Error as error:
            raise RowsError(f"{told} does not give rows: {_first_lines(error)}") from error


@contextmanager
def _blamed(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise RowsError(
            f"{path} cannot be read: {_first_lines(error)}; it is damaged, or still written to: get it anew"
        ) from error


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def _first_lines(error: Exception) -> str:
    return " ".join(line.strip() for line in str(error).splitlines()[:3] if line.strip())


def _short(text: str) -> str:
    joined = " ".join(text.split())
    return joined if len(joined) <= 80 else joined[:79] + "…"


def _list(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths[:5])) + ("" if len(paths) <= 5 else f" and {len(paths) - 5} more")
