"""Telling people. What happened, how bad it is, what was decided, what to do."""

import logging
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from nightshift.errors import SettingsError
from nightshift.files import canonical_json

LOG_CHANNEL = "log"
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
    addresses = {name: os.environ.get(f"NIGHTSHIFT_CHANNEL_{name.upper()}") for name in channels if name != LOG_CHANNEL}
    refused = tuple(name for name, address in addresses.items() if address and not _notify(address, alert))
    missing = [name for name, address in addresses.items() if not address]
    if missing:
        raise SettingsError(
            f"channel {missing[0]!r} has no address; set NIGHTSHIFT_CHANNEL_{missing[0].upper()} to an Apprise URL. "
            f"The alert is kept in {folder}."
        )
    return Sent(tuple(name for name in channels if name not in refused), refused)


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
