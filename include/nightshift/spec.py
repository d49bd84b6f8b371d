"""The declaration of a model: one YAML file from which everything else follows.

Nothing here imports more than pydantic and YAML: DAG files read specs while
Airflow parses them.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

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
from nightshift.yaml_file import YamlFile, read_yaml

UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
LONGEST = timedelta(days=36525)
SHOWN_CHARACTERS = 80
CRON_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def _duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"([0-9]{1,8}) *([mhdw])", str(value).strip())
    if not match:
        raise ValueError(f'is {_shown(value)}; give a number and a unit (m, h, d or w), for example "28d"')
    duration = timedelta(**{UNITS[match[2]]: int(match[1])})
    if duration > LONGEST:
        raise ValueError(f"is {value!r}, longer than a century; shorten it")
    return duration


def _some(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("is no time at all; give more than 0")
    return duration


def stretch_of(text: str) -> timedelta:
    """Return how long ``text`` is, as declarations write it; a ValueError says what is wrong with it.

    >>> stretch_of("2w").days
    14
    """
    return _some(_duration(text))


Duration = Annotated[
    timedelta,
    BeforeValidator(_duration),
    WithJsonSchema({"type": "string", "pattern": "^[0-9]+ *[mhdw]$", "examples": ["28d", "2h"]}),
]
Stretch = Annotated[Duration, AfterValidator(_some)]
"""A duration of more than nothing."""
NAME = r"^[a-z][a-z0-9_]{0,62}$"
Name = Annotated[str, Field(pattern=NAME)]
Column = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


def _cron(value: str) -> str:
    fields = value.split()
    if len(fields) != len(CRON_BOUNDS) or not all(map(_is_cron_field, fields, CRON_BOUNDS)):
        raise ValueError(
            f"is {_shown(value)}; give five cron fields (minute, hour, day, month, weekday) of numbers, "
            '*, "-", "," and "/", in UTC, for example "0 2 * * *"'
        )
    return value


def _is_cron_field(field: str, bounds: tuple[int, int]) -> bool:
    """Whether a field can ever be met: Airflow would fail on another while it parses *all* DAGs."""
    parts = [
        re.fullmatch(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([1-9][0-9]?))?", part) for part in field.split(",")
    ]
    spans = [(int(part[1] or bounds[0]), int(part[2] or part[1] or bounds[1])) for part in parts if part]
    return all(parts) and all(bounds[0] <= first <= last <= bounds[1] for first, last in spans)


Cron = Annotated[str, AfterValidator(_cron)]


Count = Annotated[int, Field(strict=True, ge=1)]
Number = Annotated[float, Field(strict=True)]


class Part(BaseModel):
    """A part of a declaration: fixed once read, unknown keys refused, numbers finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Task(StrEnum):
    """What is predicted; decides objective, metrics and what a prediction is."""

    BINARY = "binary"
    MULTICLASS = "multiclass"
    REGRESSION = "regression"


GATED: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        Task.BINARY: ("auc", "log_loss", "brier", "accuracy", "base_rate", "calibration_error"),
        Task.MULTICLASS: ("log_loss", "accuracy", "auc_macro", "f1_macro"),
        Task.REGRESSION: ("rmse", "mae", "r2"),
    }
)
"""What can be asked of a candidate's test rows."""
COMPARED: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {task: tuple(name for name in names if name != "base_rate") for task, names in GATED.items()}
)
"""What can rank two models; the base rate tells of the rows only."""
WATCHED: Mapping[Task, tuple[str, ...]] = MappingProxyType(
    {
        Task.BINARY: ("auc", "log_loss", "brier", "accuracy"),
        Task.MULTICLASS: ("log_loss", "accuracy"),
        Task.REGRESSION: ("rmse", "mae"),
    }
)
"""What can be limited in a window, once its labels are known."""


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
            raise ValueError(
                "needs either module (a file in include/sources) or path (Parquet files); give one of them"
            )
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
            raise ValueError(f"has first, {self.first}, after last, {self.last}; swap them")
        return self


Share = Annotated[Number, Field(ge=0, le=1)]


class Label(Part):
    """What is to be predicted, how long after the event it can be trusted, and how labels come in.

    ``arrives`` is the maturation curve: which share of the labels is there so
    long after the event. A cohort of events is *mature*, and judged, once the
    curve says that at least ``coverage`` of its labels are there; without a
    curve all come at ``matures_after``.
    """

    column: Column
    matures_after: Duration = timedelta(days=1)
    arrives: dict[Duration, Share] = Field(default_factory=dict)
    coverage: Share = 0.9

    @property
    def mature_age(self) -> timedelta:
        """How old a cohort of events must be to be judged.

        >>> Label(column="late", matures_after="1d", arrives={"2d": 0.5, "7d": 0.95}).mature_age.days
        7
        """
        enough = [age for age, share in self.arrives.items() if share >= self.coverage]
        return max(min(enough, default=timedelta(0)), self.matures_after)

    def expected_share(self, age: timedelta) -> float:
        """Return which share of the labels should be known so long after the event."""
        if not self.arrives:
            return float(age >= self.matures_after)
        return max((share for at, share in self.arrives.items() if at <= age), default=0.0)

    @model_validator(mode="after")
    def _rising(self) -> Self:
        shares = [share for _, share in sorted(self.arrives.items())]
        if shares != sorted(shares):
            raise ValueError("has a curve in arrives that falls with age; labels only come in, so let it rise")
        if shares and shares[-1] < self.coverage:
            raise ValueError(
                f"has a curve that ends at {shares[-1]:g}, below coverage, {self.coverage:g}: "
                "no cohort would ever be mature; lower coverage"
            )
        return self


class Feature(Part):
    """One input of the model.

    ``missing`` and ``unseen`` say what the door does with a null or with a
    category (or a value beyond the range) that training never saw. With
    ``missing: default`` a null is ``default``, in training as at the door.
    """

    kind: Kind
    missing: Literal["accept", "refuse", "default"] = "accept"
    unseen: Literal["accept", "refuse"] = "accept"
    default: Number | str | None = None
    about: str = ""

    @model_validator(mode="after")
    def _one_default(self) -> Self:
        if (self.missing == "default") != (self.default is not None):
            raise ValueError("needs both missing: default and a value for default, or neither")
        if self.default is not None and isinstance(self.default, str) != (self.kind is Kind.CATEGORICAL):
            raise ValueError(f"has default {_shown(self.default)}; give a number if it is numeric, text if categorical")
        return self


def _feature(value: Any) -> Any:
    return {"kind": value} if isinstance(value, str) else value


class Split(Part):
    """How much time, counted back from ``as_of``, each split takes; train is the oldest."""

    train: Stretch
    validation: Stretch
    test: Stretch
    rows_min: Count = 1000


def _scalar(value: Any) -> Any:
    if not isinstance(value, bool | int | float | str):
        raise ValueError(f"is {_shown(value)}; give a number, a word, true or false")
    return value


class Training(Part):
    """How XGBoost is trained; ``parameters`` go to it as they are.

    Seed, threads and order are fixed so that the same rows give the same bytes.
    """

    rounds: Count = Field(default=300, le=10_000)
    early_stopping_rounds: Count = 30
    seed: int = Field(default=0, strict=True, ge=0)
    threads: Count = Field(default=1, le=64)
    parameters: dict[str, Annotated[bool | int | float | str, BeforeValidator(_scalar)]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _not_twice(self) -> Self:
        own = {"seed", "random_state", "nthread", "n_jobs", "objective", "num_class", "eval_metric"}
        taken = sorted(own & set(self.parameters))
        if taken:
            raise ValueError(
                f"has {', '.join(taken)} among its parameters, which follow from task, seed and threads; leave out"
            )
        return self


class Gate(Part):
    """What one metric on the test rows must reach."""

    at_least: Number | None = None
    at_most: Number | None = None

    @model_validator(mode="after")
    def _one_of(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("needs either at_least or at_most; give one of them")
        return self


class AgainstChampion(Part):
    """How the candidate must compare with the champion on rows neither was trained on.

    ``segments`` names features: in each of their categories with at least
    ``segment_rows_min`` rows the candidate may be worse by ``segment_margin``
    at most (without one, by ``margin``).
    """

    metric: str
    margin: Number = Field(default=0.0, ge=0)
    segments: tuple[Column, ...] = ()
    segment_margin: Number | None = Field(default=None, ge=0)
    segment_rows_min: Count = 200


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
    by the share of the model's gain that each carries; ``column`` what a single one
    may add to that: a column that surely moved, but adds less, is told and no
    alarm. ``output_drift`` bounds that of the answers against those to the test
    rows; ``performance`` how much a metric may be worse than on the test rows, in
    the metric's own units.
    """

    drift: Number = Field(default=0.1, gt=0)
    column: Number = Field(default=0.005, ge=0)
    output_drift: Number = Field(default=0.2, gt=0)
    performance: dict[str, Annotated[Number, Field(ge=0)]] = Field(default_factory=dict)


FREQUENCY = r"^(\d+(?:\.\d+)?) per (\d+ )?(day|week|month|quarter|year|window)s?$"
DAYS = {"day": 1.0, "week": 7.0, "month": 30.4375, "quarter": 91.3125, "year": 365.25}


def _frequency(value: str) -> str:
    match = re.fullmatch(FREQUENCY, value)
    if not match or not 0 < float(match[1]) <= 1000 or match[2] == "0 ":
        raise ValueError(f'is {value!r}; give a number and a period, for example "1 per month" or "1 per 100 windows"')
    return value


class Monitor(Part):
    """What a window is, and what is allowed in it.

    ``false_alarms`` is how often the monitor may call a window drifted or broken
    in which nothing has changed, over all columns and tests: a number for each
    ``day``, ``week``, ``month``, ``quarter``, ``year``, or so many ``windows``.
    ``segments`` names categorical features: each of their categories with at
    least ``segment_rows_min`` rows in the window gets a verdict of its own.
    """

    window: Stretch = timedelta(days=1)
    rows_min: Count = 200
    false_alarms: Annotated[str, AfterValidator(_frequency), Field(json_schema_extra={"pattern": FREQUENCY})] = (
        "1 per quarter"
    )
    limits: Limits = Limits()
    segments: tuple[Column, ...] = ()
    segment_rows_min: Count = 200

    @property
    def false_alarm_rate(self) -> float:
        """What ``false_alarms`` means for each window: a probability, at most a half.

        >>> round(Monitor(false_alarms="1 per quarter", window="1d").false_alarm_rate, 3)
        0.011
        """
        match = re.fullmatch(FREQUENCY, self.false_alarms)
        assert match
        alarms, periods = float(match[1]), int(match[2] or 1)
        windows = periods if match[3] == "window" else timedelta(days=periods * DAYS[match[3]]) / self.window
        return min(alarms / windows, 0.5)


class Governor(Part):
    """When a retrain may start.

    Asked for when ``wanted`` of the last ``nights`` verdicts, the latest among
    them, are not healthy; also when so many ``new_labels`` have matured since
    the champion learned, or what it learned is older than ``age`` (none: never
    for that). Between two there is rest, ``cooldown``, doubled with each retrain
    in a row that brought nothing better; after ``patience`` of those only a
    person starts the next. Never more than ``weekly`` in seven days.
    """

    wanted: Count = 2
    nights: Count = 3
    cooldown: Duration = timedelta(days=7)
    weekly: Count = 1
    patience: Count = 3
    new_labels: Count | None = None
    age: Stretch | None = None

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.wanted > self.nights:
            raise ValueError(f"wants {self.wanted} of {self.nights} nights, which can never be; lower wanted")
        return self


class Approval(Part):
    """Who lets a release go live where ``promotion`` is ``approve``.

    ``approvers`` are names of people as Airflow knows them; empty: whoever may
    answer there. With ``four_eyes`` nobody approves a build that they alone
    started. Without an answer until it ``expires`` the champion stays.
    """

    expires: Stretch = timedelta(days=1)
    approvers: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    four_eyes: bool = False


def _clock(value: Any) -> Any:
    if isinstance(value, time):
        return value
    match = re.fullmatch(r"([01][0-9]|2[0-3]):([0-5][0-9])", str(value))
    if not match:
        raise ValueError(f'is {_shown(value)}; give hours and minutes in quotes, for example "22:00"')
    return time(int(match[1]), int(match[2]))


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ValueError(f'is {_shown(value)}; give the name of a time zone, for example "Europe/Berlin"') from None
    return value


Clock = Annotated[
    time,
    BeforeValidator(_clock),
    WithJsonSchema({"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$", "examples": ["22:00"]}),
]


class QuietHours(Part):
    """When people are not to be told what can wait; from the evening past midnight, if ``end`` is before ``start``."""

    start: Clock
    end: Clock
    zone: Annotated[str, AfterValidator(_zone)] = "UTC"

    def over(self, now: datetime) -> datetime | None:
        """Return when the quiet hours that ``now`` lies in are over; none if it lies in none.

        >>> night = QuietHours(start="22:00", end="07:00", zone="Europe/Berlin")
        >>> night.over(datetime(2026, 1, 1, 23, 30, tzinfo=UTC)).isoformat()
        '2026-01-02T06:00:00+00:00'
        >>> night.over(datetime(2026, 1, 1, 12, tzinfo=UTC)) is None
        True
        """
        here = now.astimezone(ZoneInfo(self.zone))
        for day in (here.date() - timedelta(days=1), here.date()):
            start = datetime.combine(day, self.start, here.tzinfo)
            last = day if self.end > self.start else day + timedelta(days=1)
            end = datetime.combine(last, self.end, here.tzinfo)
            if start <= here < end:
                return end.astimezone(UTC)
        return None


class Alerts(Part):
    """Who is told, and how often.

    News of an open incident that make it no worse wait until ``cooldown`` is over,
    no news at all are told every ``remind``: both a little less than nights and
    weeks, which are never the same second. In ``quiet`` hours only what is urgent
    goes out; the rest follows when they are over.
    """

    channels: tuple[Name, ...] = ("log",)
    cooldown: Duration = timedelta(hours=12)
    remind: Stretch = timedelta(days=6)
    quiet: QuietHours | None = None


def _alerts(value: Any) -> Any:
    if not isinstance(value, list | tuple | dict | Alerts):
        raise ValueError(f"is {_shown(value)}; give a list of channels, or channels, cooldown, remind and quiet")
    return {"channels": value} if isinstance(value, list | tuple) else value


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
    feature_service: Name | None = None
    split: Split
    training: Training = Training()
    gates: Gates = Gates()
    schedule: Schedule = Schedule()
    monitor: Monitor = Monitor()
    governor: Governor = Governor()
    promotion: Literal["automatic", "approve", "manual"] = "automatic"
    approval: Approval = Approval()
    alerts: Annotated[Alerts, BeforeValidator(_alerts)] = Alerts()

    # what is wrong between parts: a message begins with the place it means (see _explain)

    @model_validator(mode="after")
    def _no_leak_by_name(self) -> Self:
        roles = {"key": self.key, "time.column": self.time.column, "label.column": self.label.column}
        for role, column in roles.items():
            if column in self.features:
                raise ValueError(f"features.{column} is the {role}; a model must not learn from it")
        if self.label.column in (self.key, self.time.column):
            raise ValueError(
                f"label.column is {self.label.column!r}, the key or the time; name what is to be predicted"
            )
        return self

    @model_validator(mode="after")
    def _known_metrics(self) -> Self:
        places = [(f"gates.metrics.{name}", name, GATED) for name in self.gates.metrics]
        places += [(f"monitor.limits.performance.{name}", name, WATCHED) for name in self.monitor.limits.performance]
        if self.gates.champion:
            places.append(("gates.champion.metric", self.gates.champion.metric, COMPARED))
        for place, name, known in places:
            if name not in known[self.task]:
                hint = _nearest(name, known[self.task])
                raise ValueError(f"{place} names {_shown(name)}, no metric there of a {self.task} model; {hint}")
        return self

    @model_validator(mode="after")
    def _known_segments(self) -> Self:
        places = [("monitor.segments", name) for name in self.monitor.segments]
        if self.gates.champion:
            places += [("gates.champion.segments", name) for name in self.gates.champion.segments]
        for place, name in places:
            feature = self.features.get(name)
            if feature is None or feature.kind is not Kind.CATEGORICAL:
                raise ValueError(f"{place} names {name}, which is no categorical feature; declare it as one")
        return self

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what the declaration means; comments do not count, nor the order of any keys but the features'.

        Features are in the model's column order, and another order is another model.
        """
        return digest_of({**self.model_dump(mode="json"), "features_in_order": list(self.features)})

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

    @property
    def verdict_asset(self) -> str:
        """Name of the asset that tells of each window's verdict."""
        return f"{self.name}/verdict"

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
    written = read_yaml(path)
    try:
        spec = ModelSpec.model_validate(written.content)
    except ValidationError as error:
        problems = [_explain(written, problem) for problem in error.errors()]
        raise SpecError("\n".join(problems)) from None
    if spec.name != path.stem:
        raise SpecError(f"{path.name}:1: name is {spec.name!r} in a file called {path.name}; rename one of them")
    return spec


POLICIES = ("monitor", "governor")
FIXED = ("window", "segments", "segment_rows_min")
"""What decided how the evidence was gathered."""


def with_policy(spec: ModelSpec, path: Path) -> ModelSpec:
    """Return the declaration with what the file in ``path`` says of ``monitor`` and ``governor``; the rest stays.

    Raises
    ------
    SpecError
        If the file says anything else, or something wrong.
    """
    written = read_yaml(path)
    content = spec.model_dump()
    for part, keys in written.content.items():
        fixed = sorted(set(FIXED) & set(keys)) if part == "monitor" and isinstance(keys, dict) else []
        if fixed:
            raise SpecError(
                f"{written.name}:{written.line_of([part, fixed[0]])}: monitor.{fixed[0]} cannot be changed "
                "afterwards: stored nights were cut by it; leave it out"
            )
        if part not in POLICIES or not isinstance(keys, dict):
            where = f"{written.name}:{written.line_of([part])}:"
            raise SpecError(f"{where} {_shown(part)} is no part of a policy; give keys below monitor and governor")
        content[part] = _overlaid(content[part], keys)
    try:
        return ModelSpec.model_validate(content)
    except ValidationError as error:
        raise SpecError("\n".join(_explain(written, problem) for problem in error.errors())) from None


def _overlaid(before: Mapping[str, Any], keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``before`` with ``keys`` in their places, however deep; a mapping of metrics is replaced as a whole."""
    found = dict(before)
    for key, value in keys.items():
        deeper = isinstance(value, dict) and isinstance(found.get(key), dict) and key == "limits"
        found[key] = _overlaid(found[key], value) if deeper else value
    return found


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


def declared_names(folder: Path) -> list[str]:
    """Return the names of the files in ``folder`` that could declare a model, sorted; empty if there is none."""
    return sorted(path.stem for path in folder.glob("*.yaml") if re.fullmatch(NAME, path.stem))


def find_spec(folder: Path, name: str) -> ModelSpec:
    """Return the declaration of the model called ``name``.

    Raises
    ------
    SpecError
        If there is none (with the nearest name), or it is wrong.
    """
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise SpecError(f"no model is called {_shown(name)} in {folder}; {_nearest(name, known)}")
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


def _explain(written: YamlFile, problem: Any) -> str:
    """Return ``file:line: what is wrong and what to do`` for one problem found by pydantic."""
    place = [part for part in problem["loc"] if part != "[key]"]
    message = problem["msg"].removeprefix("Value error, ").replace("a valid tuple", "a list")
    if not place and " " in message:
        # what the declaration says of itself as a whole begins with the place it means
        dotted, message = message.split(" ", 1)
        place = dotted.split(".")
    start = f"{written.name}:{written.line_of(place)}:"
    where = ".".join(str(part) for part in place) or "the declaration"
    if problem["type"] == "extra_forbidden":
        return f"{start} unknown key {_shown(where)}; {_nearest(str(place[-1]), _known_keys(place[:-1]))}"
    if problem["type"] == "missing":
        return f"{start} {where} is missing; add it"
    if problem["type"] == "value_error":
        return f"{start} {_clipped(where)} {message}"
    return f"{start} {_clipped(where)} is {_shown(problem['input'])}; {message[0].lower()}{message[1:]}"


def _shown(value: Any) -> str:
    """Return a value as people see it in messages; a page of it helps nobody."""
    return _clipped(repr(value))


def _clipped(text: str) -> str:
    plain = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return plain if len(plain) <= SHOWN_CHARACTERS else f"{plain[:SHOWN_CHARACTERS]}…"


def _known_keys(loc: Sequence[str | int]) -> list[str]:
    """Return the keys allowed at ``loc``, by walking the models' fields."""
    annotation: Any = ModelSpec
    for part in loc:
        model = annotation if isinstance(annotation, type) and issubclass(annotation, Part) else None
        # inside a mapping such as features, the names are the author's own
        annotation = model.model_fields[str(part)].annotation if model else _part_in(annotation)
    part_there = _part_in(annotation)
    return sorted(part_there.model_fields) if part_there else []


def _part_in(annotation: Any) -> type[Part] | None:
    """Return the part that an annotation names, perhaps inside a union or a mapping; none if it names none."""
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return annotation
    inner = (_part_in(argument) for argument in getattr(annotation, "__args__", ()))
    return next((part for part in inner if part), None)


def _nearest(word: str, known: Iterable[str]) -> str:
    """Return the hint for a word nobody knows: the one that was meant, or all there are."""
    known = list(known)
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    return f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known) or 'none'}"
