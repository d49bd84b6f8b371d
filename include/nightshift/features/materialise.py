"""From the views' rows to the online store: what has become known since the last time, and what is bound to change."""

from collections.abc import Iterator, Mapping
from datetime import datetime

import pyarrow as pa

from nightshift.features.asof import Rows, states
from nightshift.features.declared import Service
from nightshift.features.online import Held, Online, micros, online_name
from nightshift.features.rows import rows_of

BEGINNING = -1


def materialise(
    service: Service,
    online: Online,
    tables: Mapping[str, pa.Table],
    *,
    first: datetime,
    after: datetime | None,
    until: datetime,
) -> dict[str, int]:
    """Put the rows of all views online and return how many of each were put.

    Parameters
    ----------
    tables
        The rows of each view, as its query answered them for a time that ends at ``until``.
    first
        From when on the queries saw events: what was known before depends on none, and may be new (a plane).
    after
        Rows known by then are there already; None puts all. Later ones are replaced: they were what would become of
        the facts of that time.
    until
        Up to when facts are known.
    """
    since = BEGINNING if after is None else micros(after)
    put = {}
    for rows in rows_of(service, tables):
        name = online_name(service, rows.name)
        held = [row for row in _held(rows) if row.seen > since or row.seen < micros(first)]
        put[rows.name] = online.put(name, held, after=since, until=micros(until))
    return put


def _held(rows: Rows) -> Iterator[Held]:
    found = states(rows)
    (key,) = rows.keys
    columns = [found.column(name).to_pylist() for name in (key, "seen_", "since_", *rows.features)]
    for name, seen, since, *values in zip(*columns, strict=True):
        if name is not None:
            yield Held(str(name), seen, since, values)
