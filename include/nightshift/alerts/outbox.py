"""Sending what must not be lost.

A message for a channel is a file in the outbox until the channel took it: what
a channel that is down did not take, or a process that was killed did not send,
goes out, in its order, before the next message or when somebody looks next.
"""

import fcntl
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import uuid4

from nightshift.alerts.channels import Address, in_environment, variable
from nightshift.alerts.message import Alert, Level
from nightshift.errors import SettingsError
from nightshift.files import append_json, read_json, write_json

LOG_CHANNEL = "log"
OUTBOX = "outbox"
LOGGER = logging.getLogger("nightshift.alerts")
KINDS = {Level.FINE: "success", Level.NOTICE: "info", Level.SERIOUS: "warning", Level.URGENT: "failure"}
"""What Apprise calls the levels; Slack, Teams and PagerDuty colour and rank by it."""


@dataclass(frozen=True)
class Sent:
    """What became of an alert: the channels that took it, those that did not, and those it waits for (quiet hours)."""

    channels: tuple[str, ...]
    failed: tuple[str, ...]
    held: tuple[str, ...] = ()


def send(alert: Alert, channels: Sequence[str], *, folder: Path, address: Address = in_environment) -> Sent:
    """Hand ``alert`` to each channel; it is kept in ``folder`` whatever they say.

    The channel ``log`` is the kept file itself. Any other name is looked up as
    an Apprise URL by ``address``, so that addresses and their secrets are never
    in a file of the project.

    Raises
    ------
    SettingsError
        If a channel has no address. By then the alert has been kept, and the other channels told.
    """
    append_json(folder / f"{alert.model}.jsonl", alert.to_json())
    LOGGER.warning("%s: %s", alert.title, alert.text)
    others = [name for name in channels if name != LOG_CHANNEL]
    missing = [name for name in others if not address(name)]
    waiting = {name: _put(alert, folder / OUTBOX / name) for name in others if name not in missing}
    deliver(folder, now=alert.at, address=address)
    if missing:
        raise SettingsError(
            f"channel {missing[0]!r} has no address; set {variable(missing[0])} to an Apprise URL, or make an Airflow "
            f"connection called nightshift_{missing[0]}. The alert is kept in {folder}."
        )
    still = tuple(name for name, file in waiting.items() if file.exists())
    took = tuple(name for name in channels if name not in still)
    return Sent(took, (), still) if _is_held(alert, alert.at) else Sent(took, still)


def deliver(folder: Path, *, now: datetime, address: Address = in_environment) -> dict[str, int]:
    """Send what waits in the outbox below ``folder``; return how many messages still wait, by channel.

    A message is sent at least once: one whose sender was killed in between may come twice.
    """
    boxes = sorted(path for path in (folder / OUTBOX).glob("*") if path.is_dir())
    left = {box.name: _deliver(box, now, address(box.name)) for box in boxes}
    return {name: count for name, count in left.items() if count}


def _deliver(box: Path, now: datetime, address: str | None) -> int:
    """Send a channel's messages, oldest first, up to the first that it does not take; return how many are left."""
    with _alone(box):
        waiting, held = sorted(box.glob("*.json")), 0
        for place, file in enumerate(waiting):
            alert = Alert.from_json(read_json(file))
            if _is_held(alert, now):
                held += 1
                continue
            if not address or not _notify(address, alert):
                return held + len(waiting) - place
            file.unlink()
    return held


def _is_held(alert: Alert, now: datetime) -> bool:
    return alert.not_before is not None and now < alert.not_before


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


def _notify(address: str, alert: Alert) -> bool:
    import apprise

    messenger = apprise.Apprise()
    kind = apprise.NotifyType(KINDS[alert.level])
    return bool(messenger.add(address) and messenger.notify(title=alert.title, body=alert.text, notify_type=kind))
