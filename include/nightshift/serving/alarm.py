"""Tells people that a champion could not be loaded; each trouble once."""

import logging
from datetime import UTC, datetime

from nightshift.alerts import Alert, Level, send
from nightshift.errors import NightshiftError
from nightshift.settings import Settings
from nightshift.spec import find_spec

log = logging.getLogger(__name__)


class Alarm:
    """Sends an alert over the channels of the model's spec; what cannot be sent is logged."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(self, model: str, trouble: str) -> None:
        alert = Alert(
            model=model,
            incident=f"{model}/champion cannot be served",
            title=f"{model}: the new champion cannot be served",
            text=f"{trouble}\nThe version that answered before goes on answering.",
            at=datetime.now(UTC),
            level=Level.SERIOUS,
        )
        try:
            channels = find_spec(self._settings.specs, model).alerts.channels
            send(alert, channels, folder=self._settings.state / "alerts")
        except (NightshiftError, OSError) as error:
            log.error("an alert of %s could not be sent: %s", model, error)
