"""What the feature repository declares: entities, views, what is computed on demand, and a service for each model.

``features.yaml`` is read here without Feast, so that serving, which has none,
knows the same views as the training frame. ``store.py`` makes Feast's objects
of it.
"""

import importlib.util
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pydantic import Field, ValidationError, model_validator

from nightshift.errors import FeatureError
from nightshift.files import digest_of
from nightshift.spec import Column, Count, Name, Owner, Part, Stretch
from nightshift.yaml_file import YamlFile, read_yaml

FILE = "features.yaml"
KNOWN_AT = "known_at"
"""Column of a view's rows: the moment from which a row holds."""
Compute = Callable[[Mapping[str, Any]], Mapping[str, Any]]


class Type(StrEnum):
    """What a value that is computed on demand, or that a request brings, is."""

    NUMBER = "number"
    TEXT = "text"
    MOMENT = "moment"


class Entity(Part):
    """What features are about; ``key`` is the column that names one."""

    key: Column
    about: str = ""


class View(Part):
    """Features of one entity over time, as ``<view>.sql`` answers them.

    A row holds from its ``known_at`` until the next row of its key, but no
    longer than ``ttl``. ``created`` names a column that says when a row was
    written, for views whose values may come late or be corrected. Online, a view
    whose facts end more than ``stale_after`` before the moment asked about is
    stale.
    """

    version: Count
    entity: Name
    owner: Owner | None = None
    ttl: Stretch | None = None
    stale_after: Stretch | None = None
    created: Column | None = None
    features: dict[Column, str] = Field(min_length=1)


class Computed(Part):
    """One feature that is computed from a request."""

    kind: Type = Type.NUMBER
    about: str = ""


class OnDemand(Part):
    """Features that ``<name>.py`` computes, row by row, from what a request brings and what views say.

    Its ``compute(row)`` gets a mapping of the names in ``request`` and ``reads``;
    moments are aware datetimes in UTC, what is not known is None.
    """

    version: Count
    owner: Owner | None = None
    request: dict[Column, Type] = Field(default_factory=dict)
    reads: tuple[Column, ...] = ()
    features: dict[Column, Computed] = Field(min_length=1)


class ServiceOf(Part):
    """Which views a model takes its features from."""

    views: tuple[Name, ...] = ()
    on_demand: tuple[Name, ...] = ()


class Declared(Part):
    """The whole of ``features.yaml``."""

    owner: Owner
    entities: dict[Name, Entity]
    views: dict[Name, View]
    on_demand: dict[Name, OnDemand] = Field(default_factory=dict)
    services: dict[Name, ServiceOf]

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name, view in self.views.items():
            if view.entity not in self.entities:
                raise ValueError(f"views.{name}.entity names {view.entity}; declared are {', '.join(self.entities)}")
        for name, service in self.services.items():
            missing = [view for view in service.views if view not in self.views]
            missing += [view for view in service.on_demand if view not in self.on_demand]
            if missing:
                raise ValueError(
                    f"services.{name} names {', '.join(missing)}, which nothing declares; declare or drop it"
                )
        return self

    @model_validator(mode="after")
    def _one_meaning_each(self) -> Self:
        seen: dict[str, str] = {entity.key: f"entities.{name}" for name, entity in self.entities.items()}
        for name, features in [(n, v.features) for n, v in self.views.items()] + [
            (n, v.features) for n, v in self.on_demand.items()
        ]:
            for feature in features:
                if feature in seen:
                    raise ValueError(f"{name}.{feature} is declared by {seen[feature]} too; a name has one meaning")
                seen[feature] = name
        return self


@dataclass(frozen=True)
class Service:
    """The features of one model: the views it joins, and what it computes on demand.

    Parameters
    ----------
    name
        As the model's declaration says it.
    folder
        Where the queries and modules are.
    declared
        The repository it is part of.
    """

    name: str
    folder: Path
    declared: Declared

    @property
    def views(self) -> dict[str, View]:
        """The views it joins, in declared order."""
        return {name: self.declared.views[name] for name in self.declared.services[self.name].views}

    @property
    def on_demand(self) -> dict[str, OnDemand]:
        """What it computes from the request, in declared order."""
        return {name: self.declared.on_demand[name] for name in self.declared.services[self.name].on_demand}

    @property
    def queries(self) -> dict[str, Path]:
        """The query of each view."""
        return {name: self.folder / f"{name}.sql" for name in self.views}

    @property
    def request(self) -> dict[str, Type]:
        """What a request has to bring besides the keys."""
        return {name: kind for part in self.on_demand.values() for name, kind in part.request.items()}

    @property
    def features(self) -> frozenset[str]:
        """Names of all it joins and computes."""
        joined = {name for view in self.views.values() for name in view.features}
        return frozenset(joined | {name for part in self.on_demand.values() for name in part.features})

    @property
    def keys(self) -> tuple[str, ...]:
        """Columns of the entities it asks about, each once."""
        return tuple(dict.fromkeys(self.key_of(view) for view in self.views))

    def to_json(self) -> dict[str, Any]:
        """Return which definitions it is made of, by digest and by version."""
        parts: dict[str, View | OnDemand] = {**self.views, **self.on_demand}
        versions = {name: part.version for name, part in parts.items()}
        return {"service": self.name, "digest": self.digest, "views": self.digests, "versions": versions}

    def key_of(self, view: str) -> str:
        """Return the column that names an entity of ``view``."""
        return self.declared.entities[self.declared.views[view].entity].key

    def compute_of(self, name: str) -> Compute:
        """Return the function that computes the features of ``name``.

        Raises
        ------
        FeatureError
            If its module is missing or has no ``compute``.
        """
        return load_compute(self.folder / f"{name}.py")

    @cached_property
    def digests(self) -> dict[str, str]:
        """SHA-256 of each view and each computation: declaration and code; prose and owners do not count."""
        return {name: digest_of_part(self.declared, name, self.folder) for name in (*self.views, *self.on_demand)}

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides what the features are."""
        return digest_of(self.digests)


def digests_of(declared: Declared, folder: Path) -> dict[str, str]:
    """Return the digest of each view and computation in ``folder`` whose code is there."""
    found = {}
    for name in (*declared.views, *declared.on_demand):
        with suppress(FileNotFoundError):
            found[name] = digest_of_part(declared, name, folder)
    return found


def digest_of_part(declared: Declared, name: str, folder: Path) -> str:
    """Return the SHA-256 of all that decides what a view or a computation says; its version, owner and prose do not."""
    if name in declared.views:
        view = declared.views[name]
        return _digest(view, declared.entities[view.entity].key, folder / f"{name}.sql")
    return _digest(declared.on_demand[name], "", folder / f"{name}.py")


def load_repository(folder: Path) -> Declared:
    """Return what ``features.yaml`` in ``folder`` declares.

    Raises
    ------
    SpecError
        If it cannot be read.
    FeatureError
        If it says something wrong; every problem with file and line.
    """
    written = read_yaml(folder / FILE)
    try:
        return Declared.model_validate(written.content)
    except ValidationError as error:
        raise FeatureError("\n".join(_explain(written, problem) for problem in error.errors())) from None


def load_service(folder: Path, name: str) -> Service:
    """Return the feature service called ``name``.

    Raises
    ------
    FeatureError
        If there is none, or a query or module of it is missing.
    """
    declared = load_repository(folder)
    if name not in declared.services:
        known = ", ".join(declared.services) or "none"
        raise FeatureError(f"{FILE}: no feature service is called {name!r}; declared are: {known}")
    service = Service(name, folder, declared)
    needed = [*service.queries.values(), *(folder / f"{part}.py" for part in service.on_demand)]
    missing = [path.name for path in needed if not path.is_file()]
    if missing:
        raise FeatureError(f"{FILE}: service {name} needs {', '.join(missing)}, which {folder} lacks; write it")
    return service


def load_compute(path: Path) -> Compute:
    """Return the function ``compute`` of the module at ``path``, which is not put among the importable ones."""
    described = importlib.util.spec_from_file_location(f"nightshift_feature_{path.stem}", path)
    assert described is not None
    assert described.loader is not None
    module = importlib.util.module_from_spec(described)
    try:
        described.loader.exec_module(module)
        found: Compute = module.compute
    except Exception as error:
        raise FeatureError(
            f"{path.name}: cannot be used: {type(error).__name__}: {error}; write compute(row)"
        ) from error
    return found


def _digest(part: View | OnDemand, key: str, code: Path) -> str:
    content = part.model_dump(mode="json", exclude={"owner", "version", "stale_after"})
    features = part.features
    content["features"] = {name: getattr(kind, "kind", "") for name, kind in features.items()}
    return digest_of({"declared": content, "key": key, "code": code.read_text()})


def _explain(written: YamlFile, problem: Any) -> str:
    place = [part for part in problem["loc"] if part != "[key]"]
    message = problem["msg"].removeprefix("Value error, ")
    where = ".".join(map(str, place)) or "the repository"
    return f"{written.name}:{written.line_of(place)}: {where}: {message}"
