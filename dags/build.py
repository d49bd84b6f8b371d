"""One Airflow DAG `build_<model>` for each declaration in include/specs: see it as the table of contents of a build."""

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, Param

from nightshift.spec import ModelSpec
from nightshift_airflow.approval import ApprovalOperator
from nightshift_airflow.assets import champion_asset, retrain_asset
from nightshift_airflow.deadlines import late
from nightshift_airflow.declared import declared_models, page, refuse
from nightshift_airflow.forms import moment, switch
from nightshift_airflow.operators import StepOperator

FORM = {
    "as_of": moment(
        "As of", "Build from what was known at this moment (UTC). Empty: now, or the end of the source's calendar."
    ),
    "reason": Param(
        None, type=["null", "string"], maxLength=500, title="Reason", description="Why you want this build; kept."
    ),
    "promote": switch("Promote", "Off: register what passes, let nothing go live.", on=True),
    "allow_unreproducible": switch(
        "Allow an unreproducible release", "Go on with an edited checkout; the release is marked as not reproducible."
    ),
}


def build_dag(spec: ModelSpec) -> DAG:
    waits = spec.approval.expires if spec.promotion == "approve" else timedelta(0)
    nights = CronTriggerTimetable(spec.schedule.build, timezone="UTC")
    with DAG(
        dag_id=f"build_{spec.name}",
        doc_md=page(spec, __doc__),
        schedule=AssetOrTimeSchedule(timetable=nights, assets=[retrain_asset(spec)]),
        start_date=datetime(2013, 1, 1, tzinfo=UTC),
        catchup=False,
        max_active_runs=1,
        dagrun_timeout=timedelta(hours=6) + waits,
        deadline=late(spec, "build", after=timedelta(hours=4) + waits),
        params=FORM,
        default_args={
            "owner": spec.owner.team,
            "retries": 3,
            "retry_delay": timedelta(seconds=20),
            "execution_timeout": timedelta(hours=2),
        },
        tags=["nightshift", "build", spec.name],
    ) as dag:

        def step(name: str, **more: Any) -> StepOperator:
            return StepOperator(task_id=name, model=spec.name, pipeline="build", **more)

        split, package = step("split"), step("package")
        step("check_versions") >> step("snapshot") >> step("assemble") >> split
        dag.get_task("snapshot") >> step("materialise")
        split >> [step("train"), step("profile")] >> package
        package >> step("evaluate") >> step("register") >> step("rehearse")
        promote = step("promote", announces=champion_asset(spec))
        if spec.promotion == "approve":
            ask = {"retries": 20, "retry_delay": timedelta(seconds=2)}  # an answer that does not count is another try
            approve = ApprovalOperator(task_id="approve", model=spec.name, approval=spec.approval, **ask)
            dag.get_task("rehearse") >> approve >> promote
        else:
            dag.get_task("rehearse") >> promote
    return dag


for name, declared in declared_models().items():
    globals()[f"build_{name}"] = (
        build_dag(declared) if isinstance(declared, ModelSpec) else refuse("build", name, declared)
    )
