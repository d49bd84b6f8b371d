"""Telling people. What happened, how bad it is, what was decided, what to do.

A message for a channel is a file in the outbox until the channel took it: what
a channel that is down did not take, or a process that was killed did not send,
goes out, in its order, before the next message or in the next night.
"""

import fcntl
import logging
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from nightshift.errors import SettingsError
from nightshift.files import canonical_json, read_json, write_json

LOG_CHANNEL = "log"
OUTBOX = "outbox"
LOGGER = logging.getLogger("nightshift.alerts")


@dataclass(frozen=True)
class Alert:
    """One message. ``incident`` is what it is about, so that repeats can be told from news."""

    model: str
    incident: str
    title: str
    text: str
    at: datetime

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "at": self.at.isoformat()}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Self:
        return cls(**{**content, "at": datetime.fromisoformat(content["at"])})


@dataclass(frozen=True)
class Sent:
    """What became of an alert: the channels that took it, and what the others said."""

    channels: tuple[str, ...]
    failed: tuple[str, ...]


def send(alert: Alert, channels: Sequence[str], *, folder: Path) -> Sent:
    """Hand ``alert`` to each channel; it is kept in ``folder`` whatever they say.

    The channel ``log`` is the kept file itself. Any other name is looked up as
    an Apprise URL in ``NIGHTSHIFT_CHANNEL_<NAME>``, so that addresses and their
    secrets are never in a file of the project.

    Raises
    ------
    SettingsError
        If a channel has no address. By then the alert has been kept, and the other channels told.
    """
    _keep(alert, folder)
    LOGGER.warning("%s: %s", alert.title, alert.text)
    others = [name for name in channels if name != LOG_CHANNEL]
    missing = [name for name in others if not _address(name)]
    waiting = {name: _put(alert, folder / OUTBOX / name) for name in others if name not in missing}
    deliver(folder)
    if missing:
        raise SettingsError(
            f"channel {missing[0]!r} has no address; set {_variable(missing[0])} to an Apprise URL. "
            f"The alert is kept in {folder}."
        )
    refused = tuple(name for name, file in waiting.items() if file.exists())
    return Sent(tuple(name for name in channels if name not in refused), refused)


def deliver(folder: Path) -> dict[str, int]:
    """Send what waits in the outbox below ``folder``; return how many messages still wait, by channel.

    A message is sent at least once: one whose sender was killed in between may come twice.
    """
    boxes = sorted(path for path in (folder / OUTBOX).glob("*") if path.is_dir())
    left = {box.name: _deliver(box) for box in boxes}
    return {name: count for name, count in left.items() if count}


def _deliver(box: Path) -> int:
    """Send a channel's messages, oldest first, up to the first that it does not take; return how many are left."""
    address = _address(box.name)
    with _alone(box):
        waiting = sorted(box.glob("*.json"))
        for sent, file in enumerate(waiting):
            if not address or not _notify(address, Alert.from_json(read_json(file))):
                return len(waiting) - sent
            file.unlink()
    return 0


def _put(alert: Alert, box: Path) -> Path:
    file = box / f"{time.time_ns():020d}-{uuid4().hex[:8]}.json"
    write_json(file, alert.to_json())
    return file


@contextmanager
def _alone(box: Path) -> Iterator[None]:
    """Keep other processes from sending the same messages meanwhile."""
    with (box / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _variable(channel: str) -> str:
    return f"NIGHTSHIFT_CHANNEL_{channel.upper()}"


def _address(channel: str) -> str | None:
    return os.environ.get(_variable(channel))


def _keep(alert: Alert, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{alert.model}.jsonl").open("ab") as file:
        file.write(canonical_json(alert.to_json()) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _notify(address: str, alert: Alert) -> bool:
    import apprise

    messenger = apprise.Apprise()
    return bool(messenger.add(address) and messenger.notify(title=alert.title, body=alert.text))
