"""One Airflow DAG `promote_<model>` for each declaration in include/specs: back, or to a named version, by hand."""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from nightshift.spec import ModelSpec
from nightshift_airflow.assets import champion_asset
from nightshift_airflow.declared import declared_models, page, refuse
from nightshift_airflow.forms import reason, switch, version
from nightshift_airflow.operators import StepOperator

FORM = {
    "version": version(
        "Number of the registered version to go live. Empty: the one that answered before the champion."
    ),
    "reason": reason("Why; required, and kept in the ledger."),
    "despite_contract": switch(
        "Although its contract refuses rows",
        "Go live even if more than one in a hundred of the last day's rows would be refused.",
    ),
    "resume": switch(
        "Resume automatic promotion", "Promote nothing now; let builds go live again after a promotion by hand."
    ),
}


def promote_dag(spec: ModelSpec) -> DAG:
    with DAG(
        dag_id=f"promote_{spec.name}",
        doc_md=page(spec, __doc__),
        schedule=None,
        start_date=datetime(2013, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        is_paused_upon_creation=False,  # it runs when somebody asks, and never else
        dagrun_timeout=timedelta(hours=1),
        params=FORM,
        default_args={
            "owner": spec.owner.team,
            "retries": 3,
            "retry_delay": timedelta(seconds=5),
            "execution_timeout": timedelta(minutes=10),
        },
        tags=["nightshift", "promote", spec.name],
    ) as dag:
        preflight = StepOperator(task_id="preflight", model=spec.name, pipeline="promote")
        promote = StepOperator(task_id="promote", model=spec.name, pipeline="promote", announces=champion_asset(spec))
        preflight >> promote
    return dag


for name, declared in declared_models().items():
    globals()[f"promote_{name}"] = (
        promote_dag(declared) if isinstance(declared, ModelSpec) else refuse("promote", name, declared)
    )
