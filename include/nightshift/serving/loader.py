"""Which model answers: champions fetched, verified, opened, and swapped without a lost request."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from nightshift.errors import NightshiftError, UnavailableError
from nightshift.files import read_json, write_json
from nightshift.model.package import ModelPackage, open_package
from nightshift.predictions.pinned import Pinned, note, pinned_in, write_down
from nightshift.predictions.record import Columns
from nightshift.profile.contract import Contract
from nightshift.serving.lookup import NO_STORE, AnyLookup, open_lookup
from nightshift.serving.validation import Door
from nightshift.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Live:
    """One version at work; a request keeps the one it began with."""

    columns: Columns
    package: ModelPackage
    door: Door
    folder: Path
    since: datetime
    pinned: Pinned | None = None
    lookup: AnyLookup = NO_STORE

    @property
    def model(self) -> str:
        return self.columns.model

    @property
    def version(self) -> str:
        return self.columns.version


def open_live(
    folder: Path, *, version: str | None = None, pinned: Pinned | None = None, settings: Settings | None = None
) -> Live:
    """Return the package in ``folder``, verified and ready to answer.

    ``version`` is what answers will name; without one, the start of the
    package's digest. One that is ``pinned`` stays whoever becomes champion. With
    ``settings`` it can be asked by keys, if its features come from a service.

    Raises
    ------
    PackageError
        If files are missing or changed, the environment differs, or the golden rows are answered otherwise.
    PredictionLogError
        If its inputs have names the prediction log needs.
    """
    package = open_package(folder)
    columns = Columns(
        model=package.model,
        version=version or package.digest[:12],
        package=package.digest,
        task=str(package.task),
        kinds={name: str(package.kinds[name]) for name in package.columns},
        key=package.key,
        time=package.time_column,
        classes=tuple(package.classes),
    )
    columns.check()
    door = Door(columns, Contract.from_json(package.contract), package.categories)
    lookup = open_lookup(package, settings) if settings else NO_STORE
    return Live(columns, package, door, folder, datetime.now(UTC), pinned, lookup)


class Champions:
    """The versions that answer now, by model.

    Reading is one look into a dictionary; replacing is one assignment in the
    event loop, so that every request is answered by exactly one version.
    """

    def __init__(self) -> None:
        self._live: dict[str, Live] = {}
        self.troubles: dict[str, str] = {}
        """Why a model is not the registry's champion, by model; what answers is the last good one."""
        self.challengers: dict[str, Live] = {}
        """The newest releases that are newer than the champion, by model; empty unless they shall answer beside."""

    def get(self, model: str) -> Live | None:
        return self._live.get(model)

    def all(self) -> list[Live]:
        return [self._live[name] for name in sorted(self._live)]

    def put(self, live: Live) -> None:
        self._live[live.model] = live


class Registry(Protocol):
    """What is asked of the model registry."""

    def champion(self, model: str) -> Any: ...

    def versions(self, model: str) -> Sequence[Any]: ...

    def fetch(self, model: str, version: str) -> Path: ...


class Loader:
    """Follows the registry's champions.

    Parameters
    ----------
    champions
        Where they are put.
    settings
        Folders, how often to look.
    registry
        Who knows the champions.
    on_trouble
        Told once when a champion cannot be loaded, and again only after it changed.
    """

    def __init__(
        self, champions: Champions, settings: Settings, registry: Registry, *, on_trouble: Callable[[str, str], None]
    ) -> None:
        self._champions = champions
        self._settings = settings
        self._on_trouble = on_trouble
        self._registry = registry
        self._busy = asyncio.Lock()
        self._owed: dict[str, Pinned] = {}
        """Pins of an earlier run whose version could not be opened yet, by model; nobody else answers meanwhile."""

    def open_remembered(self) -> None:
        """Put the champions this machine served last: their verified copies need no registry."""
        for name in self.names():
            pinned: Pinned | None = None
            try:
                last = read_json(self._memory(name))
                pinned = Pinned.from_json(last["pinned"]) if last["pinned"] else None
                live = open_live(Path(last["folder"]), version=last["version"], pinned=pinned, settings=self._settings)
                self._champions.put(live)
            except FileNotFoundError as error:
                self._owe(name, pinned, error)
            except (NightshiftError, OSError, ValueError, KeyError, TypeError) as error:
                log.warning("the remembered champion of %s cannot be used: %s", name, error)
                self._owe(name, pinned or pinned_in(self._settings.predictions / name), error)
            else:
                if pinned:
                    log.warning("%s: %s", name, pinned.sentence)

    def _owe(self, name: str, pinned: Pinned | None, error: Exception) -> None:
        """Let nobody answer in the place of a pinned version that is not to be had here: it is fetched again."""
        if pinned is not None:
            self._owed[name] = pinned
            self._champions.troubles[name] = _cannot_keep(pinned, error)
            log.error("%s: %s", name, self._champions.troubles[name])

    async def follow(self) -> None:
        """Look for new champions for ever."""
        while True:
            try:
                await self.look()
            except Exception:  # whatever it is, the next look may succeed, and what answers goes on
                log.exception("looking for new champions failed")
            await asyncio.sleep(self._settings.serving_poll_seconds)

    async def look(self, model: str | None = None) -> None:
        """Look once, for one model or all; troubles are kept, not raised."""
        async with self._busy:
            for name in [model] if model else self.names():
                await self._look_for_champion(name)
                if self._settings.serving_shadow > 0:
                    await self._look_for_challenger(name)

    async def _look_for_champion(self, name: str) -> None:
        now = self._champions.get(name)
        if now is not None and now.pinned:
            return
        try:
            live = await asyncio.to_thread(self._newer, name)
        except Exception as error:  # whatever a new champion brings, the old one goes on answering
            await self._note(name, error)
        else:
            self._champions.troubles.pop(name, None)
            self._owed.pop(name, None)
            if live is not None:
                self._swap(live)

    async def pin(self, model: str, pinned: Pinned) -> None:
        """Let a version answer, and go on answering whoever becomes champion.

        Raises
        ------
        NightshiftError
            If it cannot be fetched, verified or opened; what answered before goes on.
        """
        async with self._busy:
            self._swap(await asyncio.to_thread(self._open_pinned, model, pinned))
            self._champions.troubles.pop(model, None)
            self._owed.pop(model, None)
            self._write_down(model, pinned, by=pinned.by)

    async def unpin(self, model: str, *, by: str) -> None:
        """Follow the champion again, from the next look on."""
        async with self._busy:
            live, owed = self._champions.get(model), self._owed.pop(model, None)
            pinned = owed or (live.pinned if live else None)
            if pinned is None:
                return
            log.info("%s: version %s is pinned no more, says %s", model, pinned.version, by)
            self._write_down(model, None, by=by)
            if live is not None:
                self._swap(replace(live, pinned=None), ends_pin=True)
            else:
                self._champions.troubles.pop(model, None)
                self._forget(model)

    async def _look_for_challenger(self, name: str) -> None:
        """Keep the newest release that came after the one that answers; one that cannot be opened is none."""
        live, now = self._champions.get(name), self._champions.challengers.get(name)
        if live is None:
            return
        try:
            releases = await asyncio.to_thread(self._registry.versions, name)
            newest = releases[-1].version if releases else live.version
            if not _is_newer(newest, live.version):
                self._champions.challengers.pop(name, None)
            elif now is None or now.version != newest:
                folder = await asyncio.to_thread(self._registry.fetch, name, newest)
                self._champions.challengers[name] = await asyncio.to_thread(
                    open_live, folder, version=newest, settings=self._settings
                )
        except Exception as error:  # whatever it brings, nobody waits for it
            log.warning("no challenger of %s: %s", name, error)

    def _open_pinned(self, name: str, pinned: Pinned) -> Live:
        folder = self._registry.fetch(name, pinned.version)
        return open_live(folder, version=pinned.version, pinned=pinned, settings=self._settings)

    def _newer(self, name: str) -> Live | None:
        """Return the registry's champion opened, or the pinned version that is owed; none if it answers already."""
        if name in self._owed:
            return self._open_pinned(name, self._owed[name])
        release = self._registry.champion(name)
        now = self._champions.get(name)
        if release is None or (now is not None and now.version == release.version):
            return None
        live = open_live(self._registry.fetch(name, release.version), version=release.version, settings=self._settings)
        live.package.warm()  # so that no caller with many rows waits for it
        return live

    def _write_down(self, model: str, pinned: Pinned | None, *, by: str) -> None:
        try:
            write_down(self._settings.predictions / model, pinned, by=by, at=datetime.now(UTC))
        except OSError as error:
            log.error("%s: nobody will know later what was pinned when: %s", model, error)

    def _swap(self, live: Live, *, ends_pin: bool = False) -> None:
        before = self._champions.get(live.model)
        self._champions.put(live)
        was, challenger = before.version if before else "none", self._champions.challengers.get(live.model)
        if challenger is not None and not _is_newer(challenger.version, live.version):
            del self._champions.challengers[live.model]  # nobody is held beside himself
        if was != live.version:
            log.info("%s: version %s answers now; before it: %s", live.model, live.version, was)
        if live.pinned:
            log.warning("%s: %s", live.model, live.pinned.sentence)
        if live.pinned or ends_pin or not self._another_pinned(live.model):
            self._remember(live)

    def _another_pinned(self, model: str) -> bool:
        """Whether another server on this state folder was told to pin a version: it is not ours to forget."""
        try:
            return bool(read_json(self._memory(model))["pinned"])
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def _forget(self, model: str) -> None:
        try:
            self._memory(model).unlink(missing_ok=True)
            note(self._settings.predictions / model, None)
        except OSError as error:
            log.error("%s: a restart will take the pin for one that lasts: %s", model, error)

    def _remember(self, live: Live) -> None:
        pinned = live.pinned.to_json() if live.pinned else None
        memory = {"format": 1, "version": live.version, "folder": str(live.folder), "pinned": pinned}
        try:
            write_json(self._memory(live.model), memory)
            note(self._settings.predictions / live.model, live.pinned)
        except OSError as error:
            log.error("%s: a restart will not know that version %s answers: %s", live.model, live.version, error)

    async def _note(self, name: str, error: Exception) -> None:
        """Keep what went wrong; the first time tell somebody, unless it passes by itself."""
        owed = self._owed.get(name)
        text = _cannot_keep(owed, error) if owed else _words(error)
        is_news = self._champions.troubles.get(name) != text
        self._champions.troubles[name] = text
        if is_news:
            log.warning("%s: %s", name, text, exc_info=None if isinstance(error, NightshiftError) else error)
            if not isinstance(error, UnavailableError):
                try:
                    await asyncio.to_thread(self._on_trouble, name, text)
                except Exception:  # who cannot be told must not keep the next champion from coming
                    log.exception("nobody was told of %s", name)

    def names(self) -> list[str]:
        """Return the declared models."""
        return sorted(path.stem for path in self._settings.specs.glob("*.yaml"))

    def _memory(self, name: str) -> Path:
        return self._settings.state / "serving" / f"{name}.json"


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, NightshiftError | OSError) else repr(error)


def _cannot_keep(pinned: Pinned, error: Exception) -> str:
    return (
        f"version {pinned.version} is pinned by {pinned.by} and cannot be opened, so nobody answers: {_words(error)}. "
        "Mend that, pin another version, or end the pin"
    )


def _is_newer(version: str, than: str) -> bool:
    """Return whether a registry's version is newer; one of a package without a registry is nobody's."""
    return version.isdigit() and than.isdigit() and int(version) > int(than)
