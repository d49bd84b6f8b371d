"""Who may see and start what, and what Airflow plans: everything the page asks of the house it lives in."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

PIPELINES = ("build", "monitor", "promote", "operate", "reproduce")
"""Pipelines that a person may start by a form; each model has a DAG ``<pipeline>_<model>`` for it."""


@dataclass(frozen=True)
class Plan:
    """What Airflow knows of one DAG: when it runs next (none: by hand, or it is paused), and how its last run went."""

    dag: str
    is_paused: bool
    next_at: datetime | None
    last_state: str | None
    last_run: str | None
    last_at: datetime | None


class Doors(Protocol):
    """What stands between a caller and the page."""

    @property
    def user(self) -> Callable[..., Any]:
        """The dependency that every route has: returns the signed-in user, or refuses."""

    def may_see(self, user: Any, models: Collection[str]) -> set[str]:
        """Return those of the models whose monitor the user may read."""

    def may_start(self, user: Any, model: str) -> set[str]:
        """Return the pipelines of a model that the user may start."""

    def plans(self, models: Collection[str]) -> Mapping[str, Plan]:
        """Return what is planned, by DAG; DAGs that Airflow does not know are left out."""
