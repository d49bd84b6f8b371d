"""One Airflow DAG `monitor_<model>` for each declaration in include/specs: judges each window of the prediction log."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, CronDataIntervalTimetable

from nightshift.spec import ModelSpec
from nightshift_airflow.assets import retrain_asset, verdict_asset
from nightshift_airflow.deadlines import late
from nightshift_airflow.declared import declared_models, page, refuse
from nightshift_airflow.forms import moment, switch
from nightshift_airflow.operators import StepOperator

FORM = {
    "start": moment(
        "Start of the window", "First moment to judge (UTC, the model's own time). Empty: one window before the end."
    ),
    "end": moment("End of the window", "Moment after the last one to judge. Empty: the end of the run's interval."),
    "allow_unreproducible": switch(
        "Allow an unreproducible retrain", "If this window asks for a retrain, let it run on an edited checkout."
    ),
}


def monitor_dag(spec: ModelSpec) -> DAG:
    with DAG(
        dag_id=f"monitor_{spec.name}",
        doc_md=page(spec, __doc__),
        schedule=CronDataIntervalTimetable(spec.schedule.monitor, timezone="UTC"),
        start_date=datetime(2013, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=2),
        deadline=late(spec, "monitor", after=timedelta(hours=1)),
        params=FORM,
        default_args={
            "owner": spec.owner.team,
            "retries": 3,
            "retry_delay": timedelta(seconds=20),
            "execution_timeout": timedelta(minutes=30),
        },
        tags=["nightshift", "monitor", spec.name],
    ) as dag:

        def step(name: str, **more: Any) -> StepOperator:
            return StepOperator(task_id=name, model=spec.name, pipeline="monitor", **more)

        step("collect") >> step("profile")
        watch = [step("validate"), step("compare"), step("performance"), step("look_back"), step("skew")]
        dag.get_task("profile") >> watch >> step("judge") >> step("decide", announces=verdict_asset(spec))
        dag.get_task("decide") >> [step("alert"), step("request_retraining", announces=retrain_asset(spec))]
    return dag


for name, declared in declared_models().items():
    globals()[f"monitor_{name}"] = (
        monitor_dag(declared) if isinstance(declared, ModelSpec) else refuse("monitor", name, declared)
    )
