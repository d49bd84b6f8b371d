"""What a run was asked to do, whoever asked: a night, an event, a person, a backfill."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, Self

from nightshift.errors import RequestError
from nightshift.runs import REQUEST, RunFolder
from nightshift.spec import ModelSpec

DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEARS = (1900, 2200)
"""What is far outside is a slip of the hand, and cannot be counted back from."""


class Cause(StrEnum):
    """Why there is a run. A night may find nothing to do; whoever asks by name gets an answer or an error."""

    NIGHT = "night"
    EVENT = "event"
    PERSON = "person"


@dataclass(frozen=True)
class Asked:
    """What the scheduler, an event or a person said; all of it may be empty.

    ``form`` holds fields by name, ``events`` the extras of the asset events
    that started the run (oldest first), ``start`` and ``end`` the run's data
    interval, ``now`` the moment somebody asked: a run that is tried again, or
    cleared days later, was still asked for then.
    """

    cause: Cause
    now: datetime
    form: Mapping[str, Any]
    events: tuple[Mapping[str, Any], ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    user: str | None = None

    @classmethod
    def by_person(cls, *, now: datetime, user: str | None = None, **form: Any) -> Self:
        """Return what a person at a shell asks for."""
        return cls(Cause.PERSON, now, form, user=user)

    @classmethod
    def by_scheduler(cls, said: Mapping[str, Any]) -> Self:
        """Return what an Airflow run says of itself (see ``StepOperator``)."""
        now = datetime.fromisoformat(said["run_after"])
        events = tuple(said["events"])
        cause = {"scheduled": Cause.NIGHT, "asset_triggered": Cause.EVENT}.get(said["run_type"], Cause.PERSON)
        start, end = (datetime.fromisoformat(moment) if moment else None for moment in said["interval"])
        return cls(Cause.EVENT if events else cause, now, dict(said["form"]), events, start, end, said.get("user"))


@dataclass(frozen=True)
class BuildRequest:
    """Build from what was known at ``as_of``; promote what passes, unless told otherwise."""

    as_of: datetime
    cause: Cause
    reason: str
    promote: bool
    allow_unreproducible: bool
    user: str | None

    @classmethod
    def from_asked(cls, spec: ModelSpec, asked: Asked) -> Self:
        """Return the request: the form's ``as_of``, else the newest event's, else the run's interval, else today.

        Raises
        ------
        RequestError
            If somebody asked for a moment that the source's calendar does not reach, or by a field that is none.
        """
        check_fields(asked.form, ("as_of", "reason", "promote", "allow_unreproducible"))
        event = asked.events[-1] if asked.events else {}
        named = asked.form.get("as_of") or event.get("as_of")
        as_of = moment_of("as_of", named) if named else _by_clock(spec, asked)
        if named:
            _check_calendar(spec, "as_of", as_of)
        return cls(
            as_of=as_of,
            cause=asked.cause,
            reason=str(asked.form.get("reason") or event.get("reason") or _usual_reason(asked)),
            promote=bool(asked.form.get("promote", True)),
            allow_unreproducible=_allows_unreproducible(asked, event),
            user=asked.user,
        )

    @classmethod
    def of(cls, run: RunFolder) -> Self:
        """Return what the run was asked to do, as its first step settled it."""
        return cls.from_json(run.read(REQUEST))

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "as_of": self.as_of.isoformat(), "cause": str(self.cause)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**{**content, "as_of": datetime.fromisoformat(content["as_of"]), "cause": Cause(content["cause"])})


@dataclass(frozen=True)
class MonitorRequest:
    """Judge the window [start, end) of the prediction log, as known at ``end``, or at ``as_of`` if judged again."""

    start: datetime
    end: datetime
    cause: Cause
    allow_unreproducible: bool
    user: str | None
    as_of: datetime | None = None

    @property
    def known_until(self) -> datetime:
        """The moment whose knowledge counts: no label that came in later."""
        return self.as_of or self.end

    @classmethod
    def from_asked(cls, spec: ModelSpec, asked: Asked) -> Self:
        """Return the request: the form's window, else the spec's window that ends with the run's interval.

        Raises
        ------
        RequestError
            If the window is empty or outside the source's calendar although somebody asked for it,
            or it was asked for by a field that is none.
        """
        check_fields(asked.form, ("start", "end", "allow_unreproducible"))
        named = asked.form.get("start") or asked.form.get("end")
        end = moment_of("end", asked.form["end"]) if asked.form.get("end") else None
        start = moment_of("start", asked.form["start"]) if asked.form.get("start") else None
        if start and not end:
            end = start + spec.monitor.window
        end = end or _by_clock(spec, asked, grid=min(spec.monitor.window, DAY))
        start = start or end - spec.monitor.window
        if start >= end:
            raise RequestError(f"the window's start {start} is not before its end {end}; swap or move them")
        if named:
            _check_calendar(spec, "end", end)
        return cls(start, end, asked.cause, _allows_unreproducible(asked, {}), asked.user)

    @classmethod
    def of(cls, run: RunFolder) -> Self:
        """Return which window the run judges, as its first step settled it."""
        return cls.from_json(run.read(REQUEST))

    def to_json(self) -> dict[str, Any]:
        moments = {"start": self.start.isoformat(), "end": self.end.isoformat()}
        later = {"as_of": self.as_of.isoformat()} if self.as_of else {}
        own = {"cause": str(self.cause), "allow_unreproducible": self.allow_unreproducible, "user": self.user}
        return {**own, **moments, **later}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        moments = {key: datetime.fromisoformat(content[key]) for key in ("start", "end", "as_of") if content.get(key)}
        return cls(**{**content, **moments, "cause": Cause(content["cause"])})


@dataclass(frozen=True)
class VersionRequest:
    """Do something with a registered version; which one it is if ``version`` is none, the kind of request says."""

    version: str | None
    reason: str
    cause: Cause
    user: str | None

    @classmethod
    def of(cls, run: RunFolder) -> Self:
        """Return what the run was asked to do, as its first step settled it."""
        return cls.from_json(run.read(REQUEST))

    def to_json(self) -> dict[str, Any]:
        return {**self.__dict__, "cause": str(self.cause)}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**{**content, "cause": Cause(content["cause"])})


@dataclass(frozen=True)
class ReproduceRequest(VersionRequest):
    """Make a registered version again and certify it; the champion if ``version`` is none."""

    @classmethod
    def from_asked(cls, spec: ModelSpec, asked: Asked) -> Self:  # noqa: ARG003 - all requests are settled alike
        """Return the request.

        Raises
        ------
        RequestError
            If it was asked for by a field that is none, or by a version that is no number.
        """
        check_fields(asked.form, ("version", "reason"))
        version = _version(asked.form, nobody="the champion")
        return cls(version, str(asked.form.get("reason") or ""), asked.cause, asked.user)


@dataclass(frozen=True)
class PromoteRequest(VersionRequest):
    """Let a version go live by a person's word, the one before the champion if ``version`` is none; or ``resume``.

    Whatever goes live so pauses automatic promotion, until somebody asks to resume it.
    """

    resume: bool
    despite_contract: bool

    @classmethod
    def from_asked(cls, spec: ModelSpec, asked: Asked) -> Self:
        """Return the request.

        Raises
        ------
        RequestError
            If there is no reason, a field that is none, a version that is no number, or both a version and ``resume``.
        """
        check_fields(asked.form, ("version", "reason", "resume", "despite_contract"))
        version, reason = _version(asked.form, nobody="the one before"), str(asked.form.get("reason") or "").strip()
        resume = bool(asked.form.get("resume"))
        if not reason:
            raise RequestError(f"reason is empty; say why {spec.name} is changed by hand, it is kept in the ledger")
        if resume and version:
            raise RequestError(f"resume is on and version is {version!r}; choose one: going on promotes nothing")
        despite_contract = bool(asked.form.get("despite_contract"))
        return cls(version, reason, asked.cause, asked.user, resume=resume, despite_contract=despite_contract)


def _version(form: Mapping[str, Any], *, nobody: str) -> str | None:
    version = str(form.get("version") or "").strip().removeprefix("v") or None
    if version and not re.fullmatch(r"[1-9]\d{0,17}", version):
        raise RequestError(f'version is {version!r}; give a number such as "3", or none for {nobody}')
    return version


def _by_clock(spec: ModelSpec, asked: Asked, *, grid: timedelta = DAY) -> datetime:
    """Return the end of the run's interval, else the moment asked, on a grid of days (or of shorter windows).

    For a person it is no later than the calendar.
    """
    moment = (asked.end or asked.now).astimezone(UTC)
    moment -= (moment - EPOCH) % grid
    if asked.cause is Cause.PERSON and asked.end is None and spec.time.ends:
        return min(moment, spec.time.ends)
    return moment


def check_fields(form: Mapping[str, Any], known: tuple[str, ...]) -> None:
    """Refuse what Airflow lets through: whoever misspells ``promote`` in a call would promote."""
    for name in sorted(form.keys() - set(known)):
        near = get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
        raise RequestError(f"the form has a field {name!r}; {hint}")


def _check_calendar(spec: ModelSpec, field: str, moment: datetime) -> None:
    if not spec.in_calendar(moment):
        first = spec.time.starts.date() if spec.time.starts else "any day"
        last = spec.time.ends.date() if spec.time.ends else "today"
        raise RequestError(
            f"{field} is {moment.isoformat()}; the source of {spec.name} knows days after {first} and up to {last}. "
            "Choose a moment between."
        )


def moment_of(field: str, value: Any) -> datetime:
    """Return the moment that a field of a form names, UTC; a RequestError says what would name one."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        raise RequestError(f'{field} is {value!r}; give a moment such as "2013-05-01" or "2013-05-01T06:00Z"') from None
    if not YEARS[0] <= moment.year <= YEARS[1]:
        raise RequestError(f"{field} is {value!r}; give a moment from {YEARS[0]} to {YEARS[1]}")
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return aware.astimezone(UTC)


def _allows_unreproducible(asked: Asked, event: Mapping[str, Any]) -> bool:
    return bool(asked.form.get("allow_unreproducible") or event.get("allow_unreproducible"))


def _usual_reason(asked: Asked) -> str:
    return {Cause.NIGHT: "nightly build", Cause.EVENT: "retrain asked for", Cause.PERSON: "asked for by hand"}[
        asked.cause
    ]


def outside_calendar(spec: ModelSpec, moment: datetime) -> str | None:
    """Return why a scheduled run for ``moment`` has nothing to do; none if it has.

    >>> from nightshift.spec import example_spec, load_spec
    >>> outside_calendar(load_spec(example_spec()), datetime(2026, 1, 1, tzinfo=UTC)) is None
    True
    """
    if spec.in_calendar(moment):
        return None
    if spec.time.starts and moment <= spec.time.starts:
        return f"nothing to do: {spec.name}'s source begins on {spec.time.first}, after {moment:%Y-%m-%d}"
    return (
        f"nothing to do: {spec.name}'s source ended on {spec.time.last}, before {moment - timedelta(days=1):%Y-%m-%d}"
    )
