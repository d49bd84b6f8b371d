"""A step of a pipeline as an Airflow task."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.sdk import Asset, BaseOperator
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from nightshift.errors import NightshiftError, UnavailableError
from nightshift_airflow.channels import address_of
from nightshift_airflow.links import DOCUMENTED, DocsLink
from nightshift_airflow.notes import KEY as NOTE
from nightshift_airflow.notifiers import RunNotifier


class StepOperator(BaseOperator, SkipMixin):
    """Run one step of a model's pipeline; the run folder carries the data, XCom one sentence.

    A step that ends the run early (nothing new, champion kept) leaves this task
    green and skips all after it; one that has nothing to do is skipped itself
    and updates no asset. What no second try can mend fails at once;
    what may heal (a server that does not answer) is tried again.

    Parameters
    ----------
    model, pipeline
        Which model's which pipeline; the step is the task's own id.
    announces
        Asset to update if the step says so, with what it says as ``extra``.
    """

    ui_color = "#e8f0f7"

    def __init__(self, *, model: str, pipeline: str, announces: Asset | None = None, **kwargs: Any) -> None:
        failed = RunNotifier(model=model, pipeline=pipeline, about="failed")
        well = RunNotifier(model=model, pipeline=pipeline, about="well")
        # a step with nothing to do is skipped, and well
        tell = {"on_failure_callback": failed, "on_success_callback": well, "on_skipped_callback": well}
        super().__init__(outlets=[announces] if announces else [], **(tell | kwargs))
        self.model = model
        self.pipeline = pipeline
        self.announces = announces
        if DOCUMENTED.get(pipeline) == self.task_id:
            self.operator_extra_links = (DocsLink(),)

    def execute(self, context: Any) -> str:
        # imported here: pipelines bring pandas and xgboost, which no DAG file may load while it is parsed
        from nightshift.pipelines.steps import Then, run_step

        try:
            outcome = run_step(
                self.pipeline,
                self.task_id,
                model=self.model,
                run_id=context["run_id"],
                asked=_asked(context),
                is_last_try=context["ti"].try_number > context["ti"].max_tries,
                address=address_of,
            )
        except UnavailableError:
            raise
        except NightshiftError as error:
            raise AirflowFailException(str(error)) from error
        self.log.info(outcome.sentence)
        if outcome.note:
            context["ti"].xcom_push(key=NOTE, value=outcome.note)
        if self.announces and outcome.event:
            context["outlet_events"][self.announces].extra = outcome.event
        match outcome.then:
            case Then.SKIP:
                raise AirflowSkipException(outcome.sentence)
            case Then.STOP:
                _push_sentence(context, outcome.sentence)
                self.skip_downstream(context)
        return outcome.sentence

    def skip_downstream(self, context: Any) -> None:
        """Skip every task after this one, and only those."""
        after: Sequence[Any] = context["task"].get_flat_relatives(upstream=False)
        if after:
            self.skip(ti=context["ti"], tasks=after)


class WatchOperator(BaseOperator):
    """Look after all models: nights that did not come, messages that wait; what was done is its XCom."""

    ui_color = "#e8f0f7"

    def execute(self, context: Any) -> list[str]:  # noqa: ARG002 - the signature is Airflow's
        # imported here: see above
        from nightshift.pipelines.alarms import watch
        from nightshift.settings import Settings

        said = watch(Settings.load(), now=datetime.now(UTC), address=address_of)
        self.log.info("; ".join(said) or "all is well")
        return said


def _push_sentence(context: Any, sentence: str) -> None:
    # skipping is said by an exception, which would drop the returned value
    context["ti"].xcom_push(key="return_value", value=sentence)


def _asked(context: Any) -> dict[str, Any]:
    """Return what Airflow knows of why this run exists, as plain values."""
    run = context["dag_run"]
    events = context.get("triggering_asset_events") or {}
    return {
        "form": dict(context["params"]),
        "events": [dict(event.extra) for group in events.values() for event in group],
        "interval": [_iso(getattr(run, "data_interval_start", None)), _iso(getattr(run, "data_interval_end", None))],
        "run_after": run.run_after.isoformat(),
        "run_type": str(getattr(run.run_type, "value", run.run_type)),
        "user": getattr(run, "triggering_user_name", None),
    }


def _iso(moment: Any) -> str | None:
    return moment.isoformat() if moment else None
