"""How a model's rows are made of raw tables: by its feature service, by its own query, or they are ready."""

from collections.abc import Mapping

import pyarrow as pa

from nightshift.data.tables import How, Views
from nightshift.features.asof import join
from nightshift.features.declared import Service, load_service
from nightshift.features.on_demand import bare, compute_all
from nightshift.features.rows import MOMENT, rows_of
from nightshift.settings import Settings
from nightshift.spec import ModelSpec


def service_of(spec: ModelSpec, settings: Settings) -> Service | None:
    """Return the feature service that the declaration names; none if it names none.

    Raises
    ------
    FeatureError
        If nothing in ``include/features`` declares it.
    """
    return load_service(settings.features, spec.feature_service) if spec.feature_service else None


def recipe(spec: ModelSpec, settings: Settings) -> How:
    """Return how rows are made, for all that looks at them: the join of the store without the store around it."""
    service = service_of(spec, settings)
    if service is not None:
        return Views(service.queries, lambda events, views: _joined(service, events, views))
    query = settings.features / f"{spec.name}.sql"
    return query if query.exists() else None


def recipe_to_learn(spec: ModelSpec, settings: Settings) -> How:
    """Return how training frames are made: by the feature store, if the declaration names a service."""
    service = service_of(spec, settings)
    if service is None:
        return recipe(spec, settings)

    def frame(events: pa.Table, views: Mapping[str, pa.Table]) -> pa.Table:
        from nightshift.features.store import training_frame  # Feast takes seconds to import, and only this needs it

        return training_frame(service, events, views)

    return Views(service.queries, frame)


def _joined(service: Service, events: pa.Table, views: Mapping[str, pa.Table]) -> pa.Table:
    return compute_all(join(bare(events, service), rows_of(service, views), moment=MOMENT), service)
