"""One Airflow DAG `reproduce_<model>` for each declaration in include/specs: makes a release again and certifies it."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, TriggerRule

from nightshift.spec import ModelSpec
from nightshift_airflow.declared import declared_models, page, refuse
from nightshift_airflow.forms import version
from nightshift_airflow.operators import StepOperator

FORM = {
    "version": version("Number of the registered version to make again. Empty: the champion."),
    "reason": Param(
        None, type=["null", "string"], maxLength=500, title="Reason", description="Why; kept on the certificate."
    ),
}


def reproduce_dag(spec: ModelSpec) -> DAG:
    with DAG(
        dag_id=f"reproduce_{spec.name}",
        doc_md=page(spec, __doc__),
        schedule=None,
        start_date=datetime(2013, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        is_paused_upon_creation=False,  # it runs when somebody asks, and never else
        dagrun_timeout=timedelta(hours=6),
        params=FORM,
        default_args={
            "owner": spec.owner.team,
            "retries": 3,
            "retry_delay": timedelta(seconds=20),
            "execution_timeout": timedelta(hours=2),
        },
        tags=["nightshift", "reproduce", spec.name],
    ) as dag:

        def step(name: str, **more: Any) -> StepOperator:
            return StepOperator(task_id=name, model=spec.name, pipeline="reproduce", **more)

        # a step that finds a difference leaves the ones after it nothing to do but to certify it
        recall, fetch, install = step("recall"), step("fetch"), step("install")
        recall >> step("check_out") >> install
        recall >> fetch
        [install, fetch] >> step("rebuild") >> step("certify", trigger_rule=TriggerRule.NONE_FAILED)
    return dag


for name, declared in declared_models().items():
    globals()[f"reproduce_{name}"] = (
        reproduce_dag(declared) if isinstance(declared, ModelSpec) else refuse("reproduce", name, declared)
    )
