"""Telling people: what happened, how bad it is, what was decided, what to do."""

from nightshift.alerts.channels import Address, in_environment
from nightshift.alerts.incident import Incident, Report, Told, open_incidents, tell
from nightshift.alerts.message import Alert, Level
from nightshift.alerts.outbox import LOG_CHANNEL, Sent, deliver, send

__all__ = [
    "LOG_CHANNEL", "Address", "Alert", "Incident", "Level", "Report", "Sent", "Told", "deliver", "in_environment",
    "open_incidents", "send", "tell",
]  # fmt: skip
