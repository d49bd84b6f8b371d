"""Where a channel's address comes from: never from a file of the project."""

import os
from collections.abc import Callable

Address = Callable[[str], str | None]
"""Returns the Apprise URL of a channel, or none if it has none here."""


def in_environment(channel: str) -> str | None:
    """Return the address in ``NIGHTSHIFT_CHANNEL_<NAME>``; none if that is not set, or empty."""
    return os.environ.get(variable(channel)) or None


def variable(channel: str) -> str:
    """Return the variable that holds a channel's address.

    >>> variable("ops")
    'NIGHTSHIFT_CHANNEL_OPS'
    """
    return f"NIGHTSHIFT_CHANNEL_{channel.upper()}"
