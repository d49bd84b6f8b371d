"""One run in hand: the declaration, its folder, and the places it may ask."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cached_property
from typing import Any

from nightshift.alerts import Address, in_environment
from nightshift.ledger import Ledger
from nightshift.lineage.data import DataRegistry
from nightshift.registry import ModelRegistry
from nightshift.runs import RunFolder
from nightshift.settings import Settings
from nightshift.spec import ModelSpec

LEASE_LASTS = timedelta(hours=6)
"""How long a build that says nothing more is believed to be at work."""


class Then(StrEnum):
    """What comes after a step: the next one, none at all, or (the step had nothing to do) the others."""

    GO_ON = "go on"
    STOP = "stop"
    SKIP = "skip"


@dataclass(frozen=True)
class Outcome:
    """The one small value a step returns: a sentence, what comes next, and an event to announce.

    ``note`` is what the whole run is to be remembered by, in Markdown; the last
    one given counts.
    """

    sentence: str
    then: Then = Then.GO_ON
    event: dict[str, Any] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True)
class Work:
    """What a step is given; ``run_id`` is the scheduler's own name for the run, empty if there is none."""

    spec: ModelSpec
    run: RunFolder
    settings: Settings
    run_id: str = ""
    address: Address = in_environment

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.settings.ledger)

    @cached_property
    def registry(self) -> ModelRegistry:
        return ModelRegistry(self.settings.mlflow, self.settings.releases)

    @cached_property
    def data(self) -> DataRegistry:
        return DataRegistry(
            self.settings.data_registry, self.settings.data_remote, scratch=self.settings.state / "data" / "scratch"
        )

    @property
    def holder(self) -> str:
        """This run's name in the ledger."""
        return f"{self.run.path.parent.name}/{self.run.path.name}"

    def now(self) -> datetime:
        """The wall clock: for what is recorded, never for what is decided."""
        return datetime.now(UTC)
