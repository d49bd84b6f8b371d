"""What the views' queries answered, as the join takes it."""

from collections.abc import Mapping

import pyarrow as pa

from nightshift.features.asof import Rows
from nightshift.features.declared import KNOWN_AT, Service

MOMENT = "event_timestamp"
"""Column of events: the moment whose knowledge is asked for."""


def rows_of(service: Service, tables: Mapping[str, pa.Table]) -> list[Rows]:
    """Return the rows of each view of the service, in declared order."""
    return [
        Rows(
            name=name,
            table=tables[name],
            keys={service.key_of(name): service.key_of(name)},
            features=list(view.features),
            moment=KNOWN_AT,
            created=view.created,
            ttl=view.ttl,
        )
        for name, view in service.views.items()
    ]
