"""The ledger for readers who want the newest of much: the same effort after a year as after a month."""

from typing import Any

import sqlalchemy as sql

from nightshift.ledger import ENTRIES, Entry, Kind, Ledger, entry_of

BATCH = 500
"""So many numbers every database takes as parameters of one query."""


class LedgerReader(Ledger):
    """A ledger that is asked for parts of itself.

    >>> from datetime import UTC, datetime, timedelta
    >>> from tempfile import mkdtemp
    >>> ledger = LedgerReader(f"sqlite:///{mkdtemp()}/ledger.db")
    >>> day = datetime(2026, 1, 1, tzinfo=UTC)
    >>> for rows in (3, 4):
    ...     told = ledger.append("a", Kind.WINDOW, start=day, end=day + timedelta(days=1), body={"rows": rows}, now=day)
    >>> [entry.body for entry in ledger.newest_windows(28)["a"]]
    [{'rows': 4}]
    """

    def newest_windows(self, count: int, *, model: str | None = None) -> dict[str, list[Entry]]:
        """Return the latest judgement of the last ``count`` windows, oldest first, by model or of one alone.

        Models without a window are left out.
        """
        columns = sql.select(ENTRIES.c.id, ENTRIES.c.model, ENTRIES.c.start, ENTRIES.c.end)
        query = _of(model, columns.where(ENTRIES.c.kind == str(Kind.WINDOW)).order_by(ENTRIES.c.id))
        with self._transaction() as connection:
            latest = {(row.model, row.start, row.end): row.id for row in connection.execute(query)}
            numbers: dict[str, list[int]] = {}
            for window in sorted(latest):
                numbers.setdefault(window[0], []).append(latest[window])
            found = _read(connection, [number for some in numbers.values() for number in some[-count:]])
        return {name: [found[number] for number in some[-count:]] for name, some in numbers.items()}

    def beside_windows(self, model: str | None = None) -> list[Entry]:
        """Return all entries but the windows, oldest first, of one model or of all."""
        query = _of(model, sql.select(ENTRIES).where(ENTRIES.c.kind != str(Kind.WINDOW)).order_by(ENTRIES.c.id))
        with self._transaction() as connection:
            return [entry_of(row) for row in connection.execute(query)]

    def judgements(self, model: str, number: int) -> list[Entry]:
        """Return all judgements of the window that entry ``number`` judges, oldest first; empty if it judges none."""
        ours = (ENTRIES.c.model == model) & (ENTRIES.c.kind == str(Kind.WINDOW))
        with self._transaction() as connection:
            one = connection.execute(sql.select(ENTRIES).where(ours, ENTRIES.c.id == number)).mappings().first()
            if one is None:
                return []
            same = (ENTRIES.c.start == one["start"]) & (ENTRIES.c.end == one["end"])
            query = sql.select(ENTRIES).where(ours, same).order_by(ENTRIES.c.id)
            return [entry_of(row) for row in connection.execute(query)]

    def newest(self, model: str, count: int, *, before: int | None = None) -> list[Entry]:
        """Return the last ``count`` entries of any kind, newest first; ``before`` an entry's number."""
        query = sql.select(ENTRIES).where(ENTRIES.c.model == model).order_by(ENTRIES.c.id.desc()).limit(count)
        if before is not None:
            query = query.where(ENTRIES.c.id < before)
        with self._transaction() as connection:
            return [entry_of(row) for row in connection.execute(query)]


def _of(model: str | None, query: "sql.Select[Any]") -> "sql.Select[Any]":
    return query if model is None else query.where(ENTRIES.c.model == model)


def _read(connection: sql.Connection, numbers: list[int]) -> dict[int, Entry]:
    found = {}
    for first in range(0, len(numbers), BATCH):
        query = sql.select(ENTRIES).where(ENTRIES.c.id.in_(numbers[first : first + BATCH]))
        found.update({row.id: entry_of(row) for row in connection.execute(query)})
    return found
