"""The declaration of a model: one YAML file from which everything else follows.

Nothing here imports more than pydantic and YAML: DAG files read specs while
Airflow parses them.
"""

import difflib
import re
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)
from pydantic.json_schema import WithJsonSchema

from nightshift.errors import SpecError
from nightshift.files import digest_of

SPEC_BYTES_MAX = 256 * 1024
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+)\s*([mhdw])", str(value).strip())
    if not match:
        raise ValueError(f'is {value!r}; give a number and a unit (m, h, d or w), for example "28d"')
    return timedelta(**{UNITS[match[2]]: int(match[1])})


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+ *[mhdw]$", "examples": ["28d", "2h"]}),
]
NAME = r"^[a-z][a-z0-9_]{0,62}$"
Name = Annotated[str, Field(pattern=NAME)]
Column = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _cron(value: str) -> str:
    if len(value.split()) != 5:
        raise ValueError(f'is {value!r}; give five cron fields in UTC, for example "0 2 * * *"')
    return value


Cron = Annotated[str, AfterValidator(_cron)]


class Part(BaseModel):
    """A part of a declaration: fixed once read, unknown keys refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Task(StrEnum):
    """What is predicted; decides objective, metrics and what a prediction is."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


class Kind(StrEnum):
    """What a column holds: numbers that can be ordered, or names that cannot."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"


class Owner(Part):
    """Who answers for the model."""

    team: str = Field(min_length=1)
    contact: str = Field(min_length=1)


class Source(Part):
    """Where rows come from: a module in ``include/sources``, or Parquet files with ready columns."""

    module: Name | None = None
    path: str | None = None
    stale_after: Duration = timedelta(days=3)

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.module is None) == (self.path is None):
            raise ValueError("give either module (a file in include/sources) or path (Parquet files), not both")
        return self


class Time(Part):
    """How the model's time runs.

    ``known_before`` is how long before the event its features are taken,
    ``lookback`` how far back before that they look.
    ``first`` and ``last`` bound a source whose days are over or not yet begun:
    outside them a scheduled run has nothing to do and says so.
    """

    column: Column
    known_before: Duration = timedelta(0)
    lookback: Duration = timedelta(0)
    first: date | None = None
    last: date | None = None

    @property
    def starts(self) -> datetime | None:
        """The first moment the source knows, UTC; none if unbounded."""
        return datetime.combine(self.first, time(), UTC) if self.first else None

    @property
    def ends(self) -> datetime | None:
        """The moment after the last day, UTC; none if the source is alive."""
        return datetime.combine(self.last + timedelta(days=1), time(), UTC) if self.last else None

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.first and self.last and self.first > self.last:
            raise ValueError(f"first is {self.first}, after last, {self.last}; swap them")
        return self


class Label(Part):
    """What is to be predicted, and how long after the event it can be trusted."""

    column: Column
    matures_after: Duration = timedelta(days=1)


class Feature(Part):
    """One input of the model.

    ``missing`` and ``unseen`` say what the door does with a null or with a
    category (or a value beyond the range) that training never saw.
    """

    kind: Kind
    missing: Literal["accept", "refuse"] = "accept"
    unseen: Literal["accept", "refuse"] = "accept"
    about: str = ""


def _feature(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class Split(Part):
    """How much time, counted back from ``as_of``, each split takes; train is the oldest."""

    train: Duration
    validation: Duration
    test: Duration
    rows_min: int = Field(default=1000, ge=1)


class Training(Part):
    """How XGBoost is trained; ``parameters`` go to it as they are.

    Seed, threads and order are fixed so that the same rows give the same bytes.
    """

    rounds: int = Field(default=300, ge=1, le=10_000)
    early_stopping_rounds: int = Field(default=30, ge=1)
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=1, ge=1, le=64)
    parameters: dict[str, bool | int | float | str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _not_twice(self) -> Self:
        own = {"seed", "random_state", "nthread", "n_jobs", "objective", "num_class", "eval_metric"}
        taken = sorted(own & set(self.parameters))
        if taken:
            raise ValueError(f"parameters sets {', '.join(taken)}, which follow from task, seed and threads; leave out")
        return self


class Gate(Part):
    """What one metric on the test rows must reach."""

    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give either at_least or at_most")
        return self


class AgainstChampion(Part):
    """How the candidate must compare with the champion on rows neither was trained on.

    ``segments`` names features: in each of their categories with at least
    ``segment_rows_min`` rows the candidate may be worse by ``segment_margin``
    at most (without one, by ``margin``).
    """

    metric: str
    margin: float = Field(default=0.0, ge=0)
    segments: tuple[Column, ...] = ()
    segment_margin: float | None = Field(default=None, ge=0)
    segment_rows_min: int = Field(default=200, ge=1)


class Gates(Part):
    """What a candidate must show before it is registered; no gate at all blesses nothing."""

    metrics: dict[str, Gate] = Field(default_factory=dict)
    champion: AgainstChampion | None = None


class Schedule(Part):
    """When the DAGs run by themselves: cron in UTC."""

    build: Cron = "0 2 * * *"
    monitor: Cron = "0 4 * * *"


class Limits(Part):
    """What the monitor allows before it speaks.

    ``drift`` bounds the mean population stability index of the inputs, weighted
    by the share of the model's gain that each carries; ``output_drift`` that of
    the answers against those to the test rows; ``performance`` how much a metric
    may be worse than on the test rows, in the metric's own units.
    """

    drift: float = Field(default=0.1, gt=0)
    output_drift: float = Field(default=0.2, gt=0)
    performance: dict[str, float] = Field(default_factory=dict)


class Monitor(Part):
    """What a window is, and what is allowed in it."""

    window: Duration = timedelta(days=1)
    rows_min: int = Field(default=200, ge=1)
    limits: Limits = Limits()


class Governor(Part):
    """When a retrain may start: ``wanted`` of the last ``nights`` verdicts, and rest between two."""

    wanted: int = Field(default=2, ge=1)
    nights: int = Field(default=3, ge=1)
    cooldown: Duration = timedelta(days=7)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.wanted > self.nights:
            raise ValueError(f"wanted is {self.wanted} of {self.nights} nights, which can never be; lower it")
        return self


class ModelSpec(Part):
    """The declaration of one model.

    >>> spec = load_spec(example_spec())
    >>> spec.name, str(spec.task), len(spec.features)
    ('bikes', 'regression', 2)
    """

    name: Name
    purpose: str = Field(min_length=1)
    owner: Owner
    task: Task
    source: Source
    key: Column
    time: Time
    label: Label
    features: dict[Column, Annotated[Feature, BeforeValidator(_feature)]] = Field(min_length=1)
    split: Split
    training: Training = Training()
    gates: Gates = Gates()
    schedule: Schedule = Schedule()
    monitor: Monitor = Monitor()
    governor: Governor = Governor()
    promotion: Literal["automatic", "manual"] = "automatic"
    alerts: tuple[str, ...] = ("log",)

    @model_validator(mode="after")
    def _no_leak_by_name(self) -> Self:
        for role, column in (
            ("key", self.key),
            ("label.column", self.label.column),
            ("time.column", self.time.column),
        ):
            if column in self.features:
                raise ValueError(f"features names {column}, which is the {role}; a model must not learn from it")
        return self

    @model_validator(mode="after")
    def _known_segments(self) -> Self:
        for name in self.gates.champion.segments if self.gates.champion else ():
            feature = self.features.get(name)
            if feature is None or feature.kind is not Kind.CATEGORICAL:
                raise ValueError(
                    f"gates.champion.segments names {name}, which is no categorical feature; declare it as one"
                )
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the declaration means; comments and order of keys do not count."""
        return digest_of(self.model_dump(mode="json"))

    @property
    def kinds(self) -> dict[str, Kind]:
        """Kind of each feature, in declared order, which is the model's column order."""
        return {name: feature.kind for name, feature in self.features.items()}

    @property
    def retrain_asset(self) -> str:
        """Name of the asset that asks for a build."""
        return f"{self.name}/retrain"

    @property
    def champion_asset(self) -> str:
        """Name of the asset that tells of a new champion."""
        return f"{self.name}/champion"

    def in_calendar(self, moment: datetime) -> bool:
        """Whether the source has days before ``moment`` that end no later than it knows.

        A moment up to the end of the last day is inside; the next day is not.
        """
        after_start = self.time.starts is None or moment > self.time.starts
        return after_start and (self.time.ends is None or moment <= self.time.ends)


def load_spec(path: Path) -> ModelSpec:
    """Return the declaration in ``path``.

    Raises
    ------
    SpecError
        With one line for each problem: file, line, what was found, what to do.
    """
    node, content = _parse(path)
    try:
        spec = ModelSpec.model_validate(content)
    except ValidationError as error:
        problems = [_explain(path, node, problem) for problem in error.errors()]
        raise SpecError("\n".join(problems)) from None
    if spec.name != path.stem:
        raise SpecError(f"{path.name}:1: name is {spec.name!r} in a file called {path.name}; rename one of them")
    return spec


def load_specs(folder: Path) -> dict[str, ModelSpec]:
    """Return all declarations in ``folder`` by name; empty if it has none.

    Raises
    ------
    SpecError
        With the problems of all files together.
    """
    specs, problems = {}, []
    for path in sorted(folder.glob("*.yaml")):
        try:
            specs[path.stem] = load_spec(path)
        except SpecError as error:
            problems.append(str(error))
    if problems:
        raise SpecError("\n".join(problems))
    return specs


def find_spec(folder: Path, name: str) -> ModelSpec:
    """Return the declaration of the model called ``name``.

    Raises
    ------
    SpecError
        If there is none (with the nearest name), or it is wrong.
    """
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        hint = _did_you_mean(name, known) or f"known are: {', '.join(known) or 'none'}"
        raise SpecError(f"no model is called {name!r} in {folder}; {hint}")
    return load_spec(folder / f"{name}.yaml")


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a declaration, for editors."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | ModelSpec.model_json_schema()


def example_spec() -> Path:
    """Write a small declaration into a new temporary folder and return its path; for examples and tests."""
    from tempfile import mkdtemp

    path = Path(mkdtemp()) / "bikes.yaml"
    path.write_text(EXAMPLE)
    return path


EXAMPLE = """\
name: bikes
purpose: How many bikes will be rented in the next hour?
owner: {team: city, contact: city@example.org}
task: regression
source: {path: bikes/*.parquet}
key: hour_id
time: {column: hour}
label: {column: rented}
features:
  temperature: numeric
  weather: categorical
split: {train: 60d, validation: 14d, test: 14d}
"""


class _Loader(yaml.SafeLoader):
    """YAML without aliases (no bombs) and without duplicate keys (no surprises)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()
            raise yaml.MarkedYAMLError(
                problem="an alias (*) is not allowed; write it out", problem_mark=event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.MarkedYAMLError(
                    problem=f"{key.value!r} stands here twice; keep one", problem_mark=key.start_mark
                )
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _parse(path: Path) -> tuple[yaml.Node, Any]:
    try:
        raw = path.read_bytes()
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path.name}: cannot be read: {error}; expected UTF-8 text") from None
    if len(raw) > SPEC_BYTES_MAX:
        raise SpecError(f"{path.name}: has {len(raw)} bytes; a declaration has at most {SPEC_BYTES_MAX}")
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        content = loader.construct_document(node) if node else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise SpecError(f"{path.name}:{line}: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SpecError(f"{path.name}: is not YAML: {error}") from None
    if node is None or not isinstance(content, dict):
        raise SpecError(f"{path.name}:1: expected keys and values (name, purpose, …), found {type(content).__name__}")
    return node, content


def _explain(path: Path, root: yaml.Node, problem: Any) -> str:
    """Return ``file:line: what is wrong and what to do`` for one problem found by pydantic."""
    loc = [part for part in problem["loc"] if part != "[key]"]
    line = _line_of(root, loc)
    where = ".".join(str(part) for part in loc) or "the declaration"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(loc[:-1])
        hint = _did_you_mean(str(loc[-1]), known) or f"known are: {', '.join(known)}"
        return f"{path.name}:{line}: unknown key {where!r}; {hint}"
    if problem["type"] == "missing":
        return f"{path.name}:{line}: {where} is missing; add it"
    message = problem["msg"].removeprefix("Value error, ")
    found = "" if message.startswith("is ") or problem["type"] == "value_error" else f"is {problem['input']!r}; "
    return f"{path.name}:{line}: {where} {found}{message[0].lower() + message[1:] if found else message}"


def _line_of(node: yaml.Node, loc: list[Any]) -> int:
    """Return the line (from 1) of the deepest part of ``loc`` that stands in the file."""
    line = node.start_mark.line + 1
    for part in loc:
        if isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == str(part)]
            if not found:
                return line
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            line = node.start_mark.line + 1
        else:
            return line
    return line


def _known_keys(loc: list[Any]) -> list[str]:
    """Return the keys allowed at ``loc``, by walking the models' fields."""
    model: Any = ModelSpec
    for part in loc:
        field = getattr(model, "model_fields", {}).get(str(part))
        inner = _model_in(field.annotation) if field else _model_in(model)
        if inner is None:
            return []
        model = inner
    return sorted(getattr(model, "model_fields", {}))


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        found = _model_in(inner)
        if found is not None:
            return found
    return None


def _did_you_mean(word: str, known: list[str]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else ""
