"""When a run should be over: Airflow's Deadline Alerts, counted from when it was queued."""

from datetime import timedelta

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from nightshift.spec import ModelSpec
from nightshift_airflow.notifiers import RunNotifier


def late(spec: ModelSpec, pipeline: str, *, after: timedelta) -> DeadlineAlert:
    """Tell people, from the triggerer, if a run is not over so long ``after`` it was queued; it goes on meanwhile."""
    whose = {"model": spec.name, "pipeline": pipeline, "about": "late"}
    return DeadlineAlert(
        name=f"{pipeline} is late",
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=after,
        callback=AsyncCallback(RunNotifier, kwargs=whose),
    )
