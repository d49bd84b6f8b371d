"""The profile of rows that come in batches, any number of them, in little memory.

Columns with no more than :data:`EXACT` different values are counted exactly in
one pass, and their bins drawn from all of them. Of the others rows drawn evenly
by position give the bins, and a second pass over these columns alone counts.
Everything follows from the sequence of rows: how they are parted into files or
batches changes nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from nightshift.errors import ProfileError
from nightshift.profile.arrow import kind_of, names_of, numbers_of, sampled
from nightshift.profile.column import NamesColumn, NumbersColumn
from nightshift.profile.distinct import mixed
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.profile import Profile
from nightshift.profile.sample import ROWS, Sample
from nightshift.spec import Kind

CHUNK = 2**18
"""Rows that are counted at once."""
PILOT = 2**16
"""About so many rows, drawn evenly, give the bins of columns that are not counted exactly."""
THREADS = 2
FIRST = 100
"""So many rows at the beginning, and the number of all, decide which rows are drawn."""

Batches = Callable[[Sequence[str]], Iterable[pa.RecordBatch]]
Work = Callable[[], None]


def profile_rows(schema: pa.Schema, rows: int, batches: Batches, *, like: Profile | None = None) -> Profile:
    """Return the profile of rows in batches.

    Parameters
    ----------
    rows
        How many there are.
    batches
        Gives the rows in the named columns, always in the same order; is asked up to twice.
    like
        Profile whose bins to count on; needed to compare with it, or to merge.

    Raises
    ------
    ProfileError
        If a column is nested, is named twice, or differs in kind from ``like``.

    Examples
    --------
    >>> table = pa.table({"a": [1.0, 2.0, 2.0, None]})
    >>> profile_rows(table.schema, 4, lambda names: table.select(names).to_batches()).columns["a"].mean
    1.6666666666666667
    """
    kinds = kinds_of(schema, like)
    states = {name: _state(kind) for name, kind in kinds.items()}
    drawn = _Drawn(rows)
    with ThreadPoolExecutor(THREADS) as threads, ThreadPoolExecutor(1) as reader:
        for chunk in _ahead(_chunks(batches(list(kinds))), reader):
            _each(threads, [partial(drawn.take, chunk, kinds), *_taking(chunk, {n: s.take for n, s in states.items()})])
        given: Mapping[str, FeatureProfile] = like.columns if like else {}
        pilot = drawn.table(schema)
        for name, state in states.items():
            state.settle(pilot.column(name), given.get(name))
        again = {name: state.take_again for name, state in states.items() if state.is_wide}
        for chunk in _ahead(_chunks(batches(list(again))), reader) if again else ():
            _each(threads, _taking(chunk, again))
    columns = {name: state.profile for name, state in states.items()}
    return Profile(rows, columns, drawn.sample(pilot, columns, like=like.sample if like else None))


def kinds_of(schema: pa.Schema, like: Profile | None = None) -> dict[str, Kind]:
    """Return how each column is read; a ProfileError if it cannot be, or not as in ``like``."""
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise ProfileError(f"column {twice[0]!r} is there twice; give every column a name of its own")
    kinds = {name: kind_of(name, schema.field(name).type) for name in schema.names}
    if not kinds:
        raise ProfileError("there is no column to profile; expected at least one")
    if like is not None:
        _hold_to(like, kinds)
        return {name: kinds[name] for name in like.columns}
    return kinds


def _hold_to(like: Profile, kinds: Mapping[str, Kind]) -> None:
    lacking, more = like.columns.keys() - kinds.keys(), kinds.keys() - like.columns.keys()
    if lacking or more:
        told = [
            f"{word} {', '.join(sorted(names))}" for word, names in (("lack", lacking), ("also have", more)) if names
        ]
        raise ProfileError(
            f"the rows {' and '.join(told)}; expected the columns of the given profile: "
            "choose them with --query, or leave columns out with --without"
        )
    for name, kind in kinds.items():
        if like.columns[name].kind is not kind:
            raise ProfileError(
                f"column {name!r} is {kind}; expected {like.columns[name].kind}, as in the given profile: cast it first"
            )


def _state(kind: Kind) -> NumbersColumn | NamesColumn:
    return NumbersColumn() if kind is Kind.NUMERIC else NamesColumn()


def _taking(chunk: pa.Table, columns: Mapping[str, Callable[[pa.ChunkedArray], None]]) -> Iterator[Work]:
    """Yield what is to be done that every column has its part of the chunk."""
    return (partial(take, chunk.column(name)) for name, take in columns.items())


def _each(threads: Executor, works: Iterable[Work]) -> None:
    """Do all, and wait until all are done."""
    for done in [threads.submit(work) for work in works]:
        done.result()


def _ahead(chunks: Iterator[pa.Table], reader: Executor) -> Iterator[pa.Table]:
    """Yield the chunks; while one is counted, the next is already read."""
    waiting = reader.submit(next, chunks, None)
    while (chunk := waiting.result()) is not None:
        waiting = reader.submit(next, chunks, None)
        yield chunk


def _chunks(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows as tables of :data:`CHUNK` rows, the last one shorter: always cut at the same places."""
    waiting: list[pa.RecordBatch] = []
    held = 0
    for batch in batches:
        rest = batch
        while held + rest.num_rows >= CHUNK:
            cut = CHUNK - held
            yield pa.Table.from_batches([*waiting, rest.slice(0, cut)])
            rest, waiting, held = rest.slice(cut), [], 0
        if rest.num_rows:
            waiting.append(rest)
            held += rest.num_rows
    if held:
        yield pa.Table.from_batches(waiting)


class _Drawn:
    """Rows drawn evenly: those whose chance number, which follows from the position, is small."""

    def __init__(self, rows: int) -> None:
        self.rows, self.seen, self.salt = rows, 0, np.uint64(0)
        self.tables: list[pa.Table] = []
        self.chances: list[np.ndarray] = []

    def take(self, chunk: pa.Table, kinds: Mapping[str, Kind]) -> None:
        if not self.seen:
            self.salt = _salt(self.rows, chunk.slice(0, FIRST), kinds)
        chances = mixed(np.arange(self.seen, self.seen + len(chunk), dtype=np.uint64) + self.salt)
        self.seen += len(chunk)
        kept = np.arange(len(chunk))
        if self.rows > PILOT:
            kept = np.flatnonzero(chances < np.uint64(PILOT / self.rows * 2**64))
        self.tables.append(chunk.take(kept))
        self.chances.append(chances[kept])

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return the rows that were drawn, some :data:`PILOT` of them, or all."""
        return pa.concat_tables(self.tables) if self.tables else schema.empty_table()

    def sample(self, pilot: pa.Table, columns: Mapping[str, FeatureProfile], *, like: Sample | None) -> Sample:
        chances = np.concatenate([*self.chances, np.empty(0, np.uint64)])
        kept = np.argsort(chances, kind="stable")[:ROWS]
        few = pilot.take(kept)
        cells = {name: sampled(few.column(name), column.kind) for name, column in columns.items()}
        return Sample.of_rows(cells, np.arange(len(kept)), chances[kept], columns, like=like)


def _salt(rows: int, first: pa.Table, kinds: Mapping[str, Kind]) -> np.uint64:
    """Return a number that follows from the rows: other rows are drawn at other positions."""
    told = [
        numbers_of(first.column(name)).tolist() if kind is Kind.NUMERIC else sorted(names_of(first.column(name)).names)
        for name, kind in kinds.items()
    ]
    return np.frombuffer(blake2b(repr((rows, told)).encode(), digest_size=8).digest(), np.uint64)[0]
