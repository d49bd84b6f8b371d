"""The online store: the same rows as offline, kept by key, so that a moment finds in one call what a frame would.

A key keeps its last rows with the moments from which they hold, not one value:
a share over the last day changes while nothing happens, because flights leave the
day. Those changes are known beforehand and are stored with the rest, so what
is read between two materialisations is what an offline join would say then.
SQLite or Redis hold them; neither needs Feast.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

import msgspec

from nightshift.errors import FeatureError, FeaturesUnavailableError
from nightshift.features.declared import Service

MICROSECOND = timedelta(microseconds=1)
SECONDS = 2.0
"""How long a server may say nothing; somebody waits for an answer."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Asked:
    """One question: what was known of ``key`` at ``moment`` (microseconds since 1970) by ``view``."""

    view: str
    key: str
    moment: int


@dataclass(frozen=True, slots=True)
class Held:
    """One row: it is known from ``seen``, holds from ``since``, and says ``values`` in the view's order."""

    key: str
    seen: int
    since: int
    values: Sequence[Any]


class Online(Protocol):
    """Where rows are kept by key. A view's name holds its definition's digest: another definition is another view."""

    def put(self, view: str, rows: Iterable[Held], *, after: int, until: int) -> int:
        """Put ``rows``, the only ones after ``after`` from now on; facts end at ``until``. Return how many were put."""
        ...

    def read(self, asked: Sequence[Asked]) -> tuple[list[tuple[int, list[Any]] | None], dict[str, int]]:
        """Return for each question (since, values) or None, and until when the facts of each view go. One call."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


def open_online(address: str) -> Online:
    """Return the store at ``sqlite:///<path>`` or ``redis://…``; a SQLite file is made.

    Raises
    ------
    FeatureError
        If the address is another.
    """
    if address.startswith("sqlite:///"):
        return SqliteOnline(Path(address.removeprefix("sqlite:///")))
    if address.startswith(("redis://", "rediss://", "unix://")):
        return RedisOnline(address)
    raise FeatureError(
        f"the online store is {address.split('@')[-1]!r}; give sqlite:///<path> or redis://<host>:<port>"
    )


def online_name(service: Service, view: str) -> str:
    """Return what a view is called online: another definition is another view, so that a champion keeps its own."""
    return f"{view}@{service.digests[view][:12]}"


def micros(moment: datetime) -> int:
    """Return a moment as whole microseconds since 1970.

    >>> micros(datetime(1970, 1, 2, tzinfo=UTC))
    86400000000
    """
    return (moment - EPOCH) // MICROSECOND


class SqliteOnline:
    """A file; any number of processes may read while one writes.

    Parameters
    ----------
    path
        The file; it is made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mine = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._telling() as database:
            database.execute("PRAGMA journal_mode = WAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS held (view TEXT, key TEXT, seen INTEGER, content BLOB, "
                "PRIMARY KEY (view, key, seen)) WITHOUT ROWID"
            )
            database.execute("CREATE TABLE IF NOT EXISTS views (view TEXT PRIMARY KEY, until INTEGER) WITHOUT ROWID")

    def put(self, view: str, rows: Iterable[Held], *, after: int, until: int) -> int:
        packed = [(view, row.key, row.seen, _pack(row)) for row in rows]
        with self._telling() as database, database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("DELETE FROM held WHERE view = ? AND seen > ?", (view, after))
            database.executemany("INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)", packed)
            database.execute("INSERT OR REPLACE INTO views VALUES (?, ?)", (view, until))
        return len(packed)

    def read(self, asked: Sequence[Asked]) -> tuple[list[tuple[int, list[Any]] | None], dict[str, int]]:
        questions = msgspec.json.encode([(one.view, one.key, one.moment) for one in asked]).decode()
        with self._telling() as database:
            found = database.execute(_READ, (questions,)).fetchall()
        answers: list[tuple[int, list[Any]] | None] = [None] * len(asked)
        untils: dict[str, int] = {}
        for place, content, view, until in found:
            if place is None:
                untils[view] = until
            else:
                answers[place] = _unpack(content)
        return answers, untils

    def close(self) -> None:
        connection = self._mine.__dict__.pop("connection", None)
        if connection is not None:
            connection.close()

    @contextmanager
    def _telling(self) -> Iterator[sqlite3.Connection]:
        """Give this thread's connection; tell what the file says no to as what it is."""
        try:
            if not hasattr(self._mine, "connection"):
                self._mine.connection = sqlite3.connect(self._path, timeout=30, isolation_level=None)
            yield self._mine.connection
        except sqlite3.Error as error:
            raise FeaturesUnavailableError(f"the online store {self._path.name} cannot be used: {error}") from error


_READ = """
SELECT asked.place, held.content, NULL, NULL
FROM (
    SELECT key AS place, value ->> 0 AS view, value ->> 1 AS name, value ->> 2 AS moment FROM json_each(?)
) AS asked
JOIN held ON held.view = asked.view AND held.key = asked.name AND held.seen = (
    SELECT max(seen) FROM held AS older
    WHERE older.view = asked.view AND older.key = asked.name AND older.seen <= asked.moment
)
UNION ALL
SELECT NULL, NULL, view, until FROM views
"""


class RedisOnline:
    """A Redis server: a sorted set for each key of a view, its rows by the moment from which they are known.

    Parameters
    ----------
    address
        ``redis://…`` with whatever user, password and database it takes.
    """

    VIEWS = "nightshift:views"

    def __init__(self, address: str) -> None:
        import redis  # only an installation that uses it has it

        self._problem = redis.RedisError
        self._redis: Any = redis.Redis.from_url(address, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)

    def put(self, view: str, rows: Iterable[Held], *, after: int, until: int) -> int:
        by_key: dict[str, dict[bytes, int]] = {}
        for row in rows:
            by_key.setdefault(row.key, {})[row.seen.to_bytes(8, "big") + _pack(row)] = row.seen
        with self._telling():
            known = {name.decode() for name in self._redis.smembers(_keys(view))}
            pipe = self._redis.pipeline(transaction=True)
            for key in sorted(known | by_key.keys()):
                pipe.zremrangebyscore(_place(view, key), f"({after}", "+inf")
                for seen in [seen for seen in by_key.get(key, {}).values() if seen <= after]:
                    pipe.zremrangebyscore(_place(view, key), seen, seen)
                if key in by_key:
                    pipe.zadd(_place(view, key), by_key[key])
            if by_key:
                pipe.sadd(_keys(view), *by_key)
            pipe.hset(self.VIEWS, view, until)
            pipe.execute()
        return sum(map(len, by_key.values()))

    def read(self, asked: Sequence[Asked]) -> tuple[list[tuple[int, list[Any]] | None], dict[str, int]]:
        with self._telling():
            pipe = self._redis.pipeline(transaction=False)
            for one in asked:
                pipe.zrevrangebyscore(_place(one.view, one.key), one.moment, "-inf", start=0, num=1)
            pipe.hgetall(self.VIEWS)
            *found, untils = pipe.execute()
        answers = [_unpack(rows[0][8:]) if rows else None for rows in found]
        return answers, {view.decode(): int(until) for view, until in untils.items()}

    def close(self) -> None:
        self._redis.close()

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except self._problem as error:
            raise FeaturesUnavailableError(f"the online store (Redis) did not answer: {error}") from error


def _place(view: str, key: str) -> str:
    return f"nightshift:{view}:{key}"


def _keys(view: str) -> str:
    return f"nightshift:keys:{view}"


def _pack(row: Held) -> bytes:
    return msgspec.json.encode((row.since, row.values))


def _unpack(content: bytes) -> tuple[int, list[Any]]:
    since, values = msgspec.json.decode(content)
    return since, values
