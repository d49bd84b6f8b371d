"""The join by moment: to each event, the newest row of each view that was known then.

Feast's own join compares every event of a key with every row of it, which for
the events of three airports is billions of pairs. Here the rows of a key are put
in the order in which they became known and each event finds its own by an ASOF
join, in one pass.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import duckdb
import pyarrow as pa

from nightshift.errors import FeatureError

THREADS = 2
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Rows:
    """The rows of one view.

    Parameters
    ----------
    name
        For messages.
    table
        Columns ``keys``, ``moment``, ``created`` if there is one, and ``features``.
    keys
        Column of the view, and the event's column that it is compared with.
    moment
        Column that says from when a row holds.
    created
        Column that says when a row was written: nobody knew it before. None if that is ``moment``.
    ttl
        How long a row holds at most, its end included; None for ever.
    """

    name: str
    table: pa.Table
    keys: Mapping[str, str]
    features: Sequence[str]
    moment: str
    created: str | None = None
    ttl: timedelta | None = None


def join(events: pa.Table, views: Sequence[Rows], *, moment: str) -> pa.Table:
    """Return ``events``, in their order, with the features of ``views`` as they were known at ``moment``.

    Of all rows of the event's key that hold from the moment or before and were
    written by then, the one that holds from latest counts, and of several such
    the one written last. Null where there is none or it is older than the ttl.

    Raises
    ------
    FeatureError
        If two rows of a view say from when they hold, and when they were written, the same: either may be true.
    """
    with duckdb.connect(config={"threads": THREADS}) as database:
        database.execute("SET TimeZone = 'UTC'")
        place = pa.array(range(events.num_rows), pa.int64())
        database.register("events_", events.append_column("place_", place))
        for number, view in enumerate(views):
            database.register(f"view_{number}", view.table)
            _refuse_ties(database, f"view_{number}", view)
        return database.sql(_query(views, moment)).to_arrow_table().drop_columns("place_")


def states(view: Rows) -> pa.Table:
    """Return what was thought of each key from which moment on.

    Returns
    -------
    The view's keys, ``seen_`` (from when that was known), ``since_`` (from when it holds), and the features;
    moments are microseconds since 1970.
    """
    with duckdb.connect(config={"threads": THREADS}) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.register("view_0", view.table)
        _refuse_ties(database, "view_0", view)
        keys = ", ".join(map(_q, view.keys))
        parts = [f"epoch_us(r.{_q(view.moment)}) AS since_", *(f"r.{_q(name)} AS {_q(name)}" for name in view.features)]
        sql = f"SELECT {keys}, epoch_us(seen_) AS seen_, {', '.join(parts)} FROM ({_states(0, view)})"  # noqa: S608
        return database.sql(sql).to_arrow_table()


def _query(views: Sequence[Rows], moment: str) -> str:
    at = f"e.{_q(moment)}"
    chosen = [
        f"{_value(f's{number}', view, name, at)} AS {_q(name)}"
        for number, view in enumerate(views)
        for name in view.features
    ]
    joins = [_asof(number, view, at) for number, view in enumerate(views)]
    return f"SELECT {', '.join(['e.*', *chosen])} FROM events_ AS e {' '.join(joins)} ORDER BY place_"  # noqa: S608


def _value(state: str, view: Rows, name: str, at: str) -> str:
    """Return a feature of the state that was found, null if that is past its end: then older ones are too."""
    value = f"{state}.r.{_q(name)}"
    if view.ttl is None:
        return value
    end = f"{state}.r.{_q(view.moment)} + to_microseconds({view.ttl // MICROSECOND})"
    return f"CASE WHEN {end} >= {at} THEN {value} END"


def _asof(number: int, view: Rows, at: str) -> str:
    state = f"s{number}"
    same = " AND ".join(f"{state}.{_q(key)} = e.{_q(column)}" for key, column in view.keys.items())
    return f"ASOF LEFT JOIN ({_states(number, view)}) AS {state} ON {same} AND {state}.seen_ <= {at}"


def _states(number: int, view: Rows) -> str:
    """Return what was thought of each key from which moment on: the newest row of those seen until then."""
    keys, from_ = ", ".join(map(_q, view.keys)), _q(view.moment)
    fields = [from_, *([_q(view.created)] if view.created else []), *map(_q, view.features)]
    row = f"struct_pack({', '.join(f'{name} := {name}' for name in fields)})"
    if view.created is None:
        return f"SELECT {keys}, {from_} AS seen_, {row} AS r FROM view_{number}"  # noqa: S608
    created = _q(view.created)
    seen = f"SELECT *, greatest({from_}, {created}) AS seen_ FROM view_{number}"  # noqa: S608
    newest = f"arg_max({row}, row({from_}, {created})) OVER (PARTITION BY {keys} ORDER BY seen_)"
    return f"SELECT DISTINCT {keys}, seen_, {newest} AS r FROM ({seen})"  # noqa: S608


def _refuse_ties(database: duckdb.DuckDBPyConnection, name: str, view: Rows) -> None:
    by = ", ".join(map(_q, [*view.keys, view.moment, *([view.created] if view.created else [])]))
    found = database.sql(f"SELECT {by}, count(*) FROM {name} GROUP BY ALL HAVING count(*) > 1 LIMIT 1").fetchall()  # noqa: S608
    if found:
        raise FeatureError(
            f"view {view.name}: {found[0][-1]} rows of {', '.join(map(str, found[0][:-1]))}, no saying which is true; "
            "let its query answer one row for each key and moment, or declare created"
        )


def _q(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
