"""Asked by keys: the features of an entity, as the online store holds them, become the row a caller would have sent.

A value that is not there, is over, or of which the store has not heard for too
long is null in that row; the contract decides what comes of a null, and the
record says why it was one.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from nightshift.errors import FeaturesUnavailableError, NightshiftError
from nightshift.features.declared import Service, Type, View, load_service
from nightshift.features.online import EPOCH, MICROSECOND, Asked, Online, online_name, open_online
from nightshift.model.package import ModelPackage
from nightshift.predictions.record import Flaw
from nightshift.serving.answers import RefusalError, RowFlaw, unavailable
from nightshift.serving.body import check_count
from nightshift.serving.quick import read_moment
from nightshift.serving.validation import (
    A_MOMENT,
    A_PLAUSIBLE_MOMENT,
    AHEAD_MAX,
    PROBLEMS_MAX,
    Admitted,
    Door,
    TurnedAwayError,
    short,
)
from nightshift.settings import Settings
from nightshift.spec import find_spec

_BY_KEYS = re.compile(rb'\s*\{\s*"entities"\s*:')
PAUSE_SECONDS = 1.0
"""After it did not answer the online store is left alone for this long, and nobody waits for it."""
encode_rows = msgspec.json.Encoder().encode


def asks_by_keys(body: bytes) -> bool:
    """Return whether a JSON body names entities instead of rows.

    >>> asks_by_keys(b'{"entities": []}'), asks_by_keys(b'{"rows": []}')
    (True, False)
    """
    return _BY_KEYS.match(body) is not None


class AnyLookup(Protocol):
    """What makes rows of entities, or says why it cannot."""

    @property
    def needed(self) -> list[str]: ...

    def admit(self, door: Door, body: bytes, now: int) -> Admitted:
        """Return the rows of a body of entities; ``now`` is in microseconds since 1970."""
        ...


@dataclass(frozen=True)
class NoLookup:
    """Refuses to be asked by keys, with a reason."""

    reason: str

    @property
    def needed(self) -> list[str]:
        return []

    def admit(self, *_: Any) -> Admitted:
        """Refuse (409)."""
        raise RefusalError(409, f"this model cannot be asked by keys: {self.reason}; send rows with all its columns")


NO_STORE = NoLookup("it has no feature service")


class Lookup:
    """Makes rows of entities.

    Parameters
    ----------
    service
        What the features are; the same definitions as the package was trained with.
    online
        Where they are kept by key.
    key, time
        Columns that name a row and say when it happens.
    known_before
        How long before that its features are taken, and never later than now.
    """

    def __init__(self, service: Service, online: Online, *, key: str, time: str, known_before: timedelta) -> None:
        self._online = online
        self._key, self._time = key, time
        self._before = known_before // MICROSECOND
        self._views = [
            _Joined(online_name(service, name), service.key_of(name), view) for name, view in service.views.items()
        ]
        self._computed = [(part, service.compute_of(name)) for name, part in service.on_demand.items()]
        self._moments = {name for name, kind in service.request.items() if kind is Type.MOMENT} | {time}
        self._kinds = {name: kind for name, kind in service.request.items() if kind is not Type.MOMENT}
        self._keys = {*service.keys, key} - service.request.keys()
        self._failed_at = -PAUSE_SECONDS
        self._needed = frozenset({*service.keys, *service.request, time})

    @property
    def needed(self) -> list[str]:
        """What an entity must hold: the keys of its features, what is computed from the request, and its time."""
        return sorted(self._needed)

    def admit(self, door: Door, body: bytes, now: int) -> Admitted:
        """Return the rows of ``{"entities": [{…}, …]}``.

        Raises
        ------
        RefusalError
            422 if entities lack a key or what is computed from the request, or it is of another kind; 503 if the
            store does not answer, or did not a moment ago; and what the door says of the rows.
        """
        if time.monotonic() - self._failed_at < PAUSE_SECONDS:
            raise unavailable("the online store did not answer a moment ago; try again shortly")
        rows, flaws = [], {}
        for number, (row, said) in enumerate(self.rows(self._read(body), now)):
            rows.append({name: row[name] for name in (*door.columns.kinds, self._time, self._key) if name in row})
            kept = [flaw for flaw in said if flaw.column in door.columns.kinds]
            if kept:
                flaws[number] = kept
        try:
            admitted = door.admit(encode_rows({"rows": rows}), now)
        except TurnedAwayError as error:
            raise error.because(flaws) from None
        for number, said in flaws.items():
            admitted.flaws[number] = [*admitted.flaws.get(number, []), *said]
        return admitted

    def rows(self, entities: list[dict[str, Any]], now: int) -> list[tuple[dict[str, Any], list[Flaw]]]:
        """Return for each entity all that is known of it, and why values are not there; raises what admit raises."""
        self._check(entities, now)
        moments = [self._moment(entity, now) for entity in entities]
        asked = [
            Asked(view.name, str(entity[view.key]), moment)
            for entity, moment in zip(entities, moments, strict=True)
            for view in self._views
        ]
        try:
            answers, untils = self._online.read(asked)
        except FeaturesUnavailableError as error:
            self._failed_at = time.monotonic()
            raise unavailable(str(error)) from None
        size = len(self._views)
        return [
            self._row(entity, moment, answers[number * size : (number + 1) * size], untils)
            for number, (entity, moment) in enumerate(zip(entities, moments, strict=True))
        ]

    def _read(self, body: bytes) -> list[dict[str, Any]]:
        try:
            entities = msgspec.json.decode(body, type=_Entities).entities
        except msgspec.MsgspecError as error:
            raise RefusalError(422, f'the body must be {{"entities": [{{…}}, …]}}: {str(error)[:200]}') from None
        check_count(len(entities))
        for number, entity in enumerate(entities):
            missing = sorted(self._needed - entity.keys())
            strange = sorted(entity.keys() - self._needed - {self._key})
            if missing or strange:
                takes = f"; it takes {', '.join(sorted(self._needed))}" if strange else ""
                raise RefusalError(422, f"entity {number} {_told(missing, strange)}{takes}")
        return entities

    def _check(self, entities: list[dict[str, Any]], now: int) -> None:
        """Read the entities' moments, and refuse (422) what nothing can be looked up or computed by."""
        problems = [
            RowFlaw(number, *problem) for number, entity in enumerate(entities) for problem in self._wrong(entity, now)
        ]
        if problems:
            wrong = len({problem.row for problem in problems})
            raise RefusalError(
                422,
                f"{wrong} of {len(entities)} entities cannot be looked up, so nothing was answered; mend them",
                problems=problems[:PROBLEMS_MAX],
            )

    def _wrong(self, entity: dict[str, Any], now: int) -> Iterator[tuple[str, str, Any, str]]:
        """Yield column, rule, value and what is allowed of what nothing can be made of; read moments."""
        for name in sorted(self._keys & entity.keys()):
            if isinstance(entity[name], bool | float | list | dict):
                yield name, "type", short(entity[name]), "text or a whole number"
        for name, kind in self._kinds.items():
            value, wanted = entity[name], int | float if kind is Type.NUMBER else str
            if value is not None and (isinstance(value, bool) or not isinstance(value, wanted)):
                yield name, "type", short(value), "a number" if kind is Type.NUMBER else "text"
        for name in sorted(self._moments):
            if entity[name] is None:
                continue
            try:
                moment = read_moment(entity[name])
            except (ValueError, TypeError, OverflowError):
                yield name, "time", short(entity[name]), A_MOMENT
                continue
            if not 0 <= moment <= now + AHEAD_MAX:
                yield name, "time", short(entity[name]), A_PLAUSIBLE_MOMENT
            entity[name] = EPOCH + moment * MICROSECOND

    def _moment(self, entity: dict[str, Any], now: int) -> int:
        """Return the moment whose knowledge counts."""
        at = entity[self._time]
        return now if at is None else min(now, (at - EPOCH) // MICROSECOND - self._before)

    def _row(
        self, entity: dict[str, Any], moment: int, found: Sequence[tuple[int, list[Any]] | None], untils: dict[str, int]
    ) -> tuple[dict[str, Any], list[Flaw]]:
        row, flaws = dict(entity), list[Flaw]()
        for view, answer in zip(self._views, found, strict=True):
            values, why = view.say(answer, moment, untils.get(view.name))
            row.update(zip(view.features, values, strict=True))
            if why:
                flaws += [Flaw(name, why[0], None, why[1]) for name in view.features]
        for part, compute in self._computed:
            try:
                row.update(compute({name: row[name] for name in (*part.request, *part.reads)}))
            except Exception as error:  # a definition of this installation, and values that are right in kind
                told = f"{', '.join(part.features)} cannot be computed from this entity: {error!r}"
                raise RefusalError(422, told[:500]) from error
        return row, flaws


class _Entities(msgspec.Struct, forbid_unknown_fields=True):
    entities: list[dict[str, Any]]


class _Joined:
    """One view as it is asked online."""

    def __init__(self, name: str, key: str, view: View) -> None:
        self.name, self.key, self.features = name, key, tuple(view.features)
        self._ttl = view.ttl // MICROSECOND if view.ttl else None
        self._stale = view.stale_after // MICROSECOND if view.stale_after else None
        self._nothing = [None] * len(view.features)

    def say(
        self, answer: tuple[int, list[Any]] | None, moment: int, until: int | None
    ) -> tuple[Sequence[Any], tuple[str, str] | None]:
        """Return the values, or nulls and (rule, what was expected)."""
        if until is None or (self._stale is not None and moment - until > self._stale):
            since = "never" if until is None else _minute(until)
            return self._nothing, ("stale", f"facts up to {_minute(moment)}, known are those up to {since}")
        if answer is None:
            return self._nothing, (
                "not known",
                f"a fact by {_minute(moment)}; of this {self.key} none is kept",
            )
        if self._ttl is not None and moment - answer[0] > self._ttl:
            return self._nothing, ("expired", f"a fact near {_minute(moment)}; the last was of {_minute(answer[0])}")
        return answer[1], None


def _minute(moment: int) -> str:
    return f"{EPOCH + moment * MICROSECOND:%Y-%m-%d %H:%M}"


def _told(missing: list[str], strange: list[str]) -> str:
    said = [f"lacks {', '.join(missing)}"] if missing else []
    return " and ".join([*said, *([f"names {', '.join(map(repr, strange[:5]))}"] if strange else [])])


def open_lookup(package: ModelPackage, settings: Settings) -> AnyLookup:
    """Return what makes rows of keys for ``package``; if that cannot be, what says why.

    The definitions of this installation must be those the package was trained
    with, to the letter: what trains is what is computed in production.
    """
    made = package.profile.get("features")
    if not made:
        return NO_STORE
    try:
        service = load_service(settings.features, made["service"])
        if service.digest != made["digest"]:
            changed = sorted(name for name, digest in made["views"].items() if service.digests.get(name) != digest)
            return NoLookup(
                f"it was trained with other definitions of {', '.join(changed) or 'its service'} than are here"
            )
        spec = find_spec(settings.specs, package.model)
        return Lookup(
            service,
            open_online(settings.online),
            key=package.key,
            time=package.time_column,
            known_before=spec.time.known_before,
        )
    except NightshiftError as error:
        return NoLookup(f"its feature service cannot be used here ({error})")
