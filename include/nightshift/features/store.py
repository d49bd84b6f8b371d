"""Feast: the repository's objects, and training frames from it. No other room has heard of Feast.

Its offline store is DuckDB with a join of our own (``asof.py``). A frame is made
in a folder apart, from the rows that the views' queries answered: nothing of it
outlives the call but the frame.
"""

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import typeguard

from nightshift.features.asof import Rows, join
from nightshift.features.declared import KNOWN_AT, OnDemand, Service, Type
from nightshift.features.on_demand import bare, compute_frame
from nightshift.features.rows import MOMENT

os.environ.setdefault("FEAST_USAGE", "False")
# typeguard compiles each method of Feast anew at import, to check arguments that only we give: most of ten seconds
with warnings.catch_warnings(), patch.object(typeguard, "typechecked", lambda target: target):
    warnings.simplefilter("ignore")  # what Feast's own libraries deprecate is not ours to mend
    import feast
    from feast import types
    from feast.infra.offline_stores.duckdb import DuckDBOfflineStore, DuckDBOfflineStoreConfig
    from feast.infra.offline_stores.offline_store import RetrievalJob, RetrievalMetadata
    from feast.on_demand_feature_view import OnDemandFeatureView
    from feast.repo_config import RegistryConfig, RepoConfig

PROJECT = "nightshift"
TYPES = {Type.NUMBER: types.Float64, Type.TEXT: types.String, Type.MOMENT: types.UnixTimestamp}


def training_frame(service: Service, events: pa.Table, views: Mapping[str, pa.Table]) -> pa.Table:
    """Return ``events`` with the service's features as they were known at each event's moment.

    Parameters
    ----------
    events
        One row for each event: ``event_timestamp``, the keys of the entities, what computations on demand read,
        and whatever else is to be kept.
    views
        The rows of each view, as its query answered them.

    Raises
    ------
    FeatureError
        If a view has two rows for one moment, or a computation on demand fails.
    """
    with TemporaryDirectory(prefix="nightshift-feast-") as scratch:
        folder = Path(scratch)
        for name, rows in views.items():
            pq.write_table(rows, folder / f"{name}.parquet")
        store = feast.FeatureStore(config=_config(folder))
        _apply(store, feast_objects(service, folder))
        job = store.get_historical_features(
            entity_df=bare(events, service).to_pandas(),
            features=store.get_feature_service(service.name),
            filter_by_created_timestamp=True,
        )
        found: pa.Table = job.to_arrow()
    return found


def _apply(store: feast.FeatureStore, objects: list[Any]) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "On demand feature view is an experimental feature", RuntimeWarning)
        store.apply(objects)


def feast_objects(service: Service, folder: Path = Path()) -> list[Any]:
    """Return the service and all it names as Feast's objects; the rows of views are Parquet files in ``folder``."""
    entities = {
        name: feast.Entity(
            name=name, join_keys=[entity.key], description=entity.about, value_type=feast.ValueType.STRING
        )
        for name, entity in service.declared.entities.items()
    }
    views = {name: _view(service, name, entities, folder) for name in service.views}
    computed = {name: _on_demand(service, name, part, views) for name, part in service.on_demand.items()}
    owner = service.declared.owner.contact
    whole = feast.FeatureService(
        name=service.name, features=[*views.values(), *computed.values()], owner=owner, tags={"digest": service.digest}
    )
    return [*entities.values(), *views.values(), *computed.values(), whole]


def _view(service: Service, name: str, entities: Mapping[str, Any], folder: Path) -> feast.FeatureView:
    view = service.views[name]
    return feast.FeatureView(
        name=name,
        entities=[entities[view.entity]],
        ttl=view.ttl,
        schema=[
            feast.Field(name=service.key_of(name), dtype=types.String),
            *(
                feast.Field(name=feature, dtype=types.Float64, description=about)
                for feature, about in view.features.items()
            ),
        ],
        source=feast.FileSource(
            name=name,
            path=str(folder / f"{name}.parquet"),
            timestamp_field=KNOWN_AT,
            created_timestamp_column=view.created or "",
        ),
        owner=(view.owner or service.declared.owner).contact,
        tags={"version": str(view.version)},
    )


def _on_demand(
    service: Service, name: str, part: OnDemand, views: Mapping[str, feast.FeatureView]
) -> OnDemandFeatureView:
    code = service.folder / f"{name}.py"
    asked = feast.RequestSource(
        name=f"{name}_request", schema=[feast.Field(name=n, dtype=TYPES[kind]) for n, kind in part.request.items()]
    )
    read = [
        view[[feature for feature in part.reads if feature in service.views[name].features]]
        for name, view in views.items()
        if set(part.reads) & set(service.views[name].features)
    ]
    return OnDemandFeatureView(
        name=name,
        sources=[asked, *read],
        # without the descriptions: Feast compares these with what it infers, to the letter
        schema=[feast.Field(name=n, dtype=TYPES[f.kind]) for n, f in part.features.items()],
        mode="pandas",
        udf=lambda rows: compute_frame(rows, part, code),
        udf_string=_CALL.format(declared=part.model_dump_json(), code=str(code)),
        owner=(part.owner or service.declared.owner).contact,
        tags={"version": str(part.version)},
    )


_CALL = """\
def compute(rows):
    from pathlib import Path
    from nightshift.features.declared import OnDemand
    from nightshift.features.on_demand import compute_frame
    return compute_frame(rows, OnDemand.model_validate_json({declared!r}), Path({code!r}))
"""
"""What Feast keeps of a computation: it runs the text it finds in its registry, not the function it was given."""


def _config(folder: Path) -> RepoConfig:
    """Return a Feast of one call: everything in one folder, nothing online."""
    return RepoConfig(
        project=PROJECT,
        provider="local",
        registry=RegistryConfig(path=str(folder / "registry.db")),
        offline_store={"type": f"{__name__}.AsofOfflineStore"},
        online_store=None,
        entity_key_serialization_version=3,
        repo_path=folder,
    )


class AsofOfflineStoreConfig(DuckDBOfflineStoreConfig):
    """What Feast reads of the store's configuration."""

    type: str = f"{__name__}.AsofOfflineStore"


class AsofOfflineStore(DuckDBOfflineStore):
    """Feast's DuckDB store with a join in one pass."""

    @staticmethod
    def get_historical_features(
        feature_views: list[feast.FeatureView],
        feature_refs: list[str],
        entity_df: pd.DataFrame,
        registry: Any,
        project: str,
        **_: Any,
    ) -> RetrievalJob:
        """Return a job that joins the views to ``entity_df``; Feast calls it."""
        computed = OnDemandFeatureView.get_requested_odfvs(feature_refs, project, registry)
        views = [_rows(view, feature_refs) for view in feature_views]
        return AsofJob(pa.Table.from_pandas(entity_df, preserve_index=False), views, computed, feature_refs)


class AsofJob(RetrievalJob):
    """One join, made when it is asked for."""

    def __init__(
        self, events: pa.Table, views: list[Rows], computed: list[OnDemandFeatureView], refs: list[str]
    ) -> None:
        self._events, self._views, self._computed, self._refs = events, views, computed, refs

    @property
    def full_feature_names(self) -> bool:
        """Never: a name has one meaning in the repository."""
        return False

    @property
    def on_demand_feature_views(self) -> list[OnDemandFeatureView]:
        """What Feast computes on the joined rows."""
        return self._computed

    @property
    def metadata(self) -> RetrievalMetadata:
        """What was asked for."""
        return RetrievalMetadata(
            features=self._refs, keys=[name for view in self._views for name in view.keys.values()]
        )

    def _to_arrow_internal(self, timeout: int | None = None) -> pa.Table:  # noqa: ARG002 - Feast's signature
        return join(self._events, self._views, moment=MOMENT)

    def _to_df_internal(self, timeout: int | None = None) -> pd.DataFrame:
        return self._to_arrow_internal(timeout).to_pandas()

    def persist(self, *_: Any, **__: Any) -> None:
        """Refuse: frames are kept by the data registry."""
        raise NotImplementedError("a training frame is kept by the data registry, not by Feast")


def _rows(view: feast.FeatureView, refs: list[str]) -> Rows:
    source = view.batch_source
    wanted = [ref.split(":", 1)[1] for ref in refs if ref.split(":", 1)[0] == view.projection.name_to_use()]
    return Rows(
        name=view.name,
        table=pq.read_table(source.path),
        keys=view.projection.join_key_map or {column.name: column.name for column in view.entity_columns},
        features=wanted,
        moment=source.timestamp_field,
        created=source.created_timestamp_column or None,
        ttl=view.ttl or None,
    )
