"""What was seen, judged and decided, and by whom: append-only, the negative decisions too.

Kept in a SQL database (SQLite embedded, PostgreSQL in production), since a
lease needs one place where two builds cannot both win.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sql

from nightshift.errors import NightshiftError, SettingsError, UnavailableError
from nightshift.files import canonical_json

METADATA = sql.MetaData()
LOCK = 8271
"""Number of the advisory lock that PostgreSQL's writers queue at; any number that nobody else uses."""
ENTRIES = sql.Table(
    "entries",
    METADATA,
    sql.Column("id", sql.Integer, primary_key=True, autoincrement=True),
    sql.Column("model", sql.String(64), nullable=False, index=True),
    sql.Column("kind", sql.String(16), nullable=False),
    sql.Column("start", sql.String(32), nullable=False),
    sql.Column("end", sql.String(32), nullable=False),
    sql.Column("at", sql.String(32), nullable=False),
    sql.Column("body", sql.Text, nullable=False),
)
LEASES = sql.Table(
    "leases",
    METADATA,
    sql.Column("model", sql.String(64), primary_key=True),
    sql.Column("fence", sql.Integer, nullable=False),
    sql.Column("holder", sql.String(256), nullable=False),
    sql.Column("until", sql.String(32), nullable=False),
)


class Kind(StrEnum):
    """What an entry tells of."""

    WINDOW = "window"
    PROMOTION = "promotion"
    BUILD = "build"
    CERTIFICATE = "certificate"
    BLOCK = "block"
    RELEASE = "release"
    HELP = "help"
    ACCEPTANCE = "acceptance"
    SNOOZE = "snooze"
    WISH = "wish"
    RESET = "reset"
    PAUSE = "pause"
    RESUME = "resume"
    APPROVAL = "approval"


@dataclass(frozen=True)
class Entry:
    """One line of the ledger. ``start`` and ``end`` are the model's time, ``at`` the wall clock's.

    ``text`` is what it says, as canonical JSON; ``body`` the same, read when somebody asks.
    """

    id: int
    model: str
    kind: Kind
    start: datetime
    end: datetime
    at: datetime
    text: str

    @cached_property
    def body(self) -> dict[str, Any]:
        """What the entry says; of a year of windows few are asked."""
        found: dict[str, Any] = msgspec.json.decode(self.text)
        return found


@dataclass(frozen=True)
class Lease:
    """Who may promote: the holder of the highest fence number, until it lets go or time is up."""

    model: str
    fence: int
    holder: str
    until: datetime


class Ledger:
    """Append and read entries; hand out leases.

    >>> from tempfile import mkdtemp
    >>> ledger = Ledger(f"sqlite:///{mkdtemp()}/ledger.db")
    >>> day = datetime(2026, 1, 1, tzinfo=UTC)
    >>> _ = ledger.append("bikes", Kind.WINDOW, start=day, end=day + timedelta(days=1), body={"rows": 3}, now=day)
    >>> [entry.body for entry in ledger.windows("bikes")]
    [{'rows': 3}]
    """

    def __init__(self, url: str) -> None:
        try:
            self._url = sql.make_url(url)
            self._engine = sql.create_engine(self._url, pool_pre_ping=True)
            self._read: dict[str, tuple[Entry, ...]] = {}
        except (sql.exc.ArgumentError, ImportError, ValueError) as error:
            # the address may hold a password: it is not repeated
            raise SettingsError(
                f"NIGHTSHIFT_LEDGER is no database address that can be used here ({type(error).__name__}); give one "
                "such as sqlite:////var/lib/nightshift/ledger.db or postgresql+psycopg2://user:password@host/ledger"
            ) from None
        if self._url.get_backend_name() == "sqlite" and self._url.database:
            _make_folder(Path(self._url.database).parent)
        if self._url.get_backend_name() == "sqlite":
            sql.event.listen(self._engine, "connect", _prepare_sqlite)
            sql.event.listen(self._engine, "begin", _begin_immediate)
        if self._url.get_backend_name() == "postgresql":
            sql.event.listen(self._engine, "begin", _queue_writers)
        with self._transaction() as connection:
            METADATA.create_all(connection)

    def append(
        self, model: str, kind: Kind, *, start: datetime, end: datetime, body: dict[str, Any], now: datetime
    ) -> Entry:
        """Add an entry; it is never changed. A window judged again is a second entry; both are kept."""
        row = {"model": model, "kind": str(kind), "start": _text(start), "end": _text(end), "at": _text(now)}
        text = canonical_json(body).decode()
        with self._transaction() as connection:
            number = connection.execute(sql.insert(ENTRIES).values(**row, body=text)).inserted_primary_key
        return Entry(int(number[0]) if number else 0, model, kind, start, end, now, text)

    def entries(self, model: str, kind: Kind | None = None) -> list[Entry]:
        """Return the entries of a model, oldest first; empty if it has none.

        What was read once is not read again: entries are never changed, and
        whoever writes waits for whoever wrote before, so that none comes in between.
        """
        known = self._read.get(model, ())
        query = sql.select(ENTRIES).where(ENTRIES.c.model == model).order_by(ENTRIES.c.id)
        if known:
            query = query.where(ENTRIES.c.id > known[-1].id)
        with self._transaction() as connection:
            known = (*known, *map(entry_of, connection.execute(query).all()))
        self._read[model] = known
        return [entry for entry in known if kind is None or entry.kind is kind]

    def windows(self, model: str) -> list[Entry]:
        """Return the latest judgement of each window, by window; earlier ones stay in :meth:`entries`."""
        latest = {(entry.start, entry.end): entry for entry in self.entries(model, Kind.WINDOW)}
        return [latest[window] for window in sorted(latest)]

    def take_lease(self, model: str, holder: str, *, now: datetime, lasts: timedelta) -> Lease:
        """Return a lease for ``holder``; whoever held one before can no longer promote.

        The same holder keeps its fence number, so that a step tried again is not locked out by itself.
        """
        until = now + lasts
        with self._transaction() as connection:
            row = connection.execute(sql.select(LEASES).where(LEASES.c.model == model)).mappings().first()
            return _hand_over(connection, row, Lease(model, 1, holder, until))

    def reserve(self, model: str, holder: str, *, now: datetime, lasts: timedelta) -> Lease | None:
        """Return a lease for ``holder`` only if nobody else holds one now, else none; of two who ask at once one wins.

        For who asks for a build, until the build takes its own: no second one is asked for in between.
        """
        until = now + lasts
        with self._transaction() as connection:
            row = connection.execute(sql.select(LEASES).where(LEASES.c.model == model)).mappings().first()
            if row is not None and row["holder"] != holder and _moment(row["until"]) > now:
                return None
            return _hand_over(connection, row, Lease(model, 1, holder, until))

    def lease(self, model: str) -> Lease | None:
        """Return the newest lease of a model, lapsed or not; none if nothing was ever built."""
        with self._transaction() as connection:
            row = connection.execute(sql.select(LEASES).where(LEASES.c.model == model)).mappings().first()
        return Lease(model, row["fence"], row["holder"], _moment(row["until"])) if row else None

    def end_lease(self, model: str, holder: str, *, now: datetime) -> None:
        """Let go of a lease; nothing happens if somebody else holds it by now."""
        mine = (LEASES.c.model == model) & (LEASES.c.holder == holder)
        with self._transaction() as connection:
            connection.execute(sql.update(LEASES).where(mine).values(until=_text(now)))

    @contextmanager
    def _transaction(self) -> Iterator[sql.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except sql.exc.OperationalError as error:
            where = self._url.render_as_string(hide_password=True)
            raise UnavailableError(
                f"the ledger at {where} did not answer: {error.orig}. Is its database up?"
            ) from error
        except sql.exc.DatabaseError as error:
            where = self._url.render_as_string(hide_password=True)
            raise NightshiftError(f"the ledger at {where} is damaged or foreign: {error.orig}") from error
        finally:
            # Short-lived steps: no connection outlives its transaction on SQLite, so none is left open at exit.
            if self._url.get_backend_name() == "sqlite":
                self._engine.dispose()


def _hand_over(connection: sql.Connection, row: Any, lease: Lease) -> Lease:
    """Write down who holds the lease from now on; its fence rises with every change of hands."""
    if row is None:
        values = {"model": lease.model, "fence": lease.fence, "holder": lease.holder, "until": _text(lease.until)}
        connection.execute(sql.insert(LEASES).values(**values))
        return lease
    lease = replace(lease, fence=row["fence"] + (row["holder"] != lease.holder))
    values = {"fence": lease.fence, "holder": lease.holder, "until": _text(lease.until)}
    connection.execute(sql.update(LEASES).where(LEASES.c.model == lease.model).values(**values))
    return lease


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"the ledger's folder {folder} cannot be made: {error}; set NIGHTSHIFT_STATE") from None


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # The driver must not begin transactions of its own: two writers that both read
    # before they write would deadlock. BEGIN IMMEDIATE below queues them instead.
    connection.isolation_level = None
    connection.execute("PRAGMA busy_timeout = 60000")
    connection.execute("PRAGMA journal_mode = WAL")


def _begin_immediate(connection: sql.Connection) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _queue_writers(connection: sql.Connection) -> None:
    # What BEGIN IMMEDIATE is on SQLite: of two builds that take the lease at once, one is second.
    connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


def entry_of(row: Any) -> Entry:
    """Return a row of :data:`ENTRIES`, by attributes, as an entry."""
    start, end, at = _moment(row.start), _moment(row.end), _moment(row.at)
    return Entry(row.id, row.model, Kind(row.kind), start, end, at, row.body)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)  # in UTC, for so it was written; thirty times as fast as strptime
