"""Telling people of runs: a step that failed, one that is well again, a run that takes too long."""

import asyncio
from typing import Any, Literal

from airflow.sdk.bases.notifier import BaseNotifier

from nightshift_airflow.channels import address_of

About = Literal["failed", "well", "late"]


class RunNotifier(BaseNotifier):
    """Tell of a model's run over the channels of its declaration, one message for an incident.

    Whatever goes wrong with telling is logged, and fails nothing.

    Parameters
    ----------
    model, pipeline
        Whose run.
    about
        ``failed``: a task failed for the last time; ``well``: a task succeeded,
        which ends the incident if it is the one that failed; ``late``: the run was
        not over when it should have been.
    """

    def __init__(self, *, model: str, pipeline: str, about: About, context: Any = None) -> None:
        super().__init__(context)  # a Deadline Alert gives it here, a task when it calls
        self.model = model
        self.pipeline = pipeline
        self.about = about

    def notify(self, context: Any) -> None:
        """Tell; called where the task ran, or by the DAG processor if the task was killed."""
        # imported here: DAG files hold notifiers, and telling brings the ledger
        from nightshift.pipelines import alarms

        try:
            alarms.tell_of_run(
                self.model,
                self.pipeline,
                self.about,
                task=getattr(context.get("ti"), "task_id", ""),
                run_id=_run_id(context),
                error=str(context.get("exception") or ""),
                address=address_of,
            )
        except Exception:  # the task's own fate is settled
            self.log.exception(
                "people could not be told that a run of %s_%s is %s", self.pipeline, self.model, self.about
            )

    async def async_notify(self, context: Any) -> None:
        """Tell, from the triggerer's loop: sending a message blocks, so a thread does it."""
        await asyncio.to_thread(self.notify, context)


def _run_id(context: Any) -> str:
    run = context.get("dag_run")
    # a Deadline Alert gives the run as the API tells of it
    return str(run.get("dag_run_id", "") if isinstance(run, dict) else getattr(run, "run_id", ""))
