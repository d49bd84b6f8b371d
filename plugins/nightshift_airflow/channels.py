"""Where a channel's address comes from in Airflow: the environment, else a connection."""

from typing import Any
from urllib.parse import quote, urlencode

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException

PREFIX = "nightshift_"
"""A channel's connection is called so: ``nightshift_<channel>``."""


def address_of(channel: str) -> str | None:
    """Return the Apprise URL of a channel; none if neither the environment nor Airflow knows one.

    The environment outranks Airflow. A connection of type *apprise* holds the URL
    in its ``config``, one of type *smtp* is a letter to ``to`` in its extra, and any
    other has the URL as its password, so that Airflow encrypts and masks it.
    """
    # imported here: DAG files hold operators, and parsing them needs no alerts
    from nightshift.alerts import in_environment

    return in_environment(channel) or _from_connection(channel)


def _from_connection(channel: str) -> str | None:
    try:
        connection = Connection.get(PREFIX + channel)
    except AirflowNotFoundException:
        return None
    if connection.conn_type == "apprise":
        return _from_config(connection.extra_dejson.get("config"))
    if connection.conn_type in ("smtp", "email"):
        return _letter(connection)
    return connection.password or None


def _from_config(config: Any) -> str | None:
    """Return the URLs of an Apprise provider's connection: one object with a ``path``, or several."""
    parts = config if isinstance(config, list) else [config]
    paths = [part.get("path") if isinstance(part, dict) else part for part in parts]
    return ", ".join(str(path) for path in paths if path) or None


def _letter(connection: Any) -> str:
    """Return the URL of a letter over a mail server, from a connection as Airflow's own SMTP hook reads it."""
    extra = connection.extra_dejson
    plain, starttls = extra.get("disable_ssl", False), not extra.get("disable_tls", False)
    mode = "starttls" if plain and starttls else "insecure" if plain else "ssl"
    who = f"{quote(connection.login, safe='')}:{quote(connection.password or '', safe='')}@" if connection.login else ""
    sender = extra.get("from_email") or connection.login or f"nightshift@{connection.host}"
    port = f":{connection.port}" if connection.port else ""
    words = urlencode({"smtp": connection.host, "from": sender, "to": extra.get("to", sender), "mode": mode})
    return f"mailto{'s' if mode != 'insecure' else ''}://{who}{connection.host}{port}?{words}"
