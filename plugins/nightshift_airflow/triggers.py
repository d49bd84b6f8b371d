"""Waiting for a verdict without holding a worker."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from nightshift.errors import NightshiftError, UnavailableError


class DriftTrigger(BaseTrigger):
    """Ask the ledger every so often until it has an answer for who waits.

    Asking is SQL, and so done in a thread: the triggerer's loop belongs to all
    triggers. Nothing is kept between two questions, so that a triggerer that is
    killed is followed by another one as if nothing had been. A ledger that is away
    is asked again; what no later question mends is an event that says so.

    Parameters
    ----------
    model
        Whose verdicts.
    waits_for
        What for, see :class:`nightshift.pipelines.outlook.WaitsFor`.
    at
        ISO moment in the model's own time; windows that ended before do not count. None: any.
    poll_seconds
        Between two questions.
    """

    def __init__(self, *, model: str, waits_for: str, at: str | None = None, poll_seconds: float = 30.0) -> None:
        super().__init__()
        self.model = model
        self.waits_for = waits_for
        self.at = at
        self.poll_seconds = poll_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what another triggerer makes this one again from."""
        kept = {"model": self.model, "waits_for": self.waits_for, "at": self.at, "poll_seconds": self.poll_seconds}
        return "nightshift_airflow.triggers.DriftTrigger", kept

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, as soon as there is an answer: an outlook as JSON, or what is wrong."""
        while (answer := await self._ask()) is None:
            await asyncio.sleep(self.poll_seconds)
        yield TriggerEvent(answer)

    async def _ask(self) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = await asyncio.to_thread(look, self.model, self.waits_for, self.at)
        except UnavailableError as error:
            self.log.warning("%s; asked again in %g s", error, self.poll_seconds)
            return None
        except NightshiftError as error:
            return {"error": str(error)}
        return None if found["answer"] == "wait" else found


def look(model: str, waits_for: str, at: str | None) -> dict[str, Any]:
    """Return a model's outlook as JSON. It takes the time of a few SQL queries: never call it in an event loop."""
    # imported here: only who looks needs the ledger, and DAG files that hold a sensor are parsed all day
    from nightshift.pipelines import outlook

    moment = datetime.fromisoformat(at) if at else None
    return outlook.look(model, outlook.WaitsFor(waits_for), moment).to_json()
