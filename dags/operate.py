"""One Airflow DAG `operate_<model>` for each declaration in include/specs: what an operator says of a model, by a form.

Every action is an entry of the ledger, with the name of who is signed in, and why.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, Param

from nightshift.spec import WATCHED, ModelSpec
from nightshift_airflow.declared import declared_models, page, refuse
from nightshift_airflow.forms import choice, moment, reason, stretch, word
from nightshift_airflow.operators import StepOperator

ACTIONS = {
    "accept": "Accept as normal: what the last window says of a subject is the new normal",
    "snooze": "Snooze: let nothing but BROKEN be said of a subject for a while",
    "release": "Release: let the next snapshot take the days of a window that was BROKEN",
    "retrain": "Retrain: wish for one; the next window that is not BROKEN asks for it",
    "reset": "Reset the breaker: forgive the retrains that brought nothing better",
}


def form(spec: ModelSpec) -> dict[str, Param]:
    segments = [f"{column} = " for column in spec.monitor.segments]
    subjects = [*spec.features, *WATCHED[spec.task], *segments, "output", "rows", "labels", "inputs"]
    return {
        "action": choice("Action", "What you want to say; each reads only the fields that name it.", ACTIONS),
        "subject": word(
            "Subject", 'For accept and snooze: a column, a metric, or a segment such as "carrier = UA".',
            examples=subjects,
        ),
        "day": moment("Day", "For release: a day of the blocked window, in the model's own time."),
        "lasts": stretch(
            "Lasts", "For accept and snooze: how long from the last window on, such as 4w. Empty: 26w, or 4w to snooze."
        ),
        "reason": reason("Why; required, and kept in the ledger with your name."),
    }  # fmt: skip


def operate_dag(spec: ModelSpec) -> DAG:
    with DAG(
        dag_id=f"operate_{spec.name}",
        doc_md=page(spec, __doc__),
        schedule=None,
        start_date=datetime(2013, 1, 1, tzinfo=UTC),
        max_active_runs=1,
        is_paused_upon_creation=False,  # it runs when somebody asks, and never else
        dagrun_timeout=timedelta(hours=1),
        params=form(spec),
        default_args={
            "owner": spec.owner.team,
            "retries": 3,
            "retry_delay": timedelta(seconds=5),
            "execution_timeout": timedelta(minutes=10),
        },
        tags=["nightshift", "operate", spec.name],
    ) as dag:
        StepOperator(task_id="operate", model=spec.name, pipeline="operate")
    return dag


for name, declared in declared_models().items():
    globals()[f"operate_{name}"] = (
        operate_dag(declared) if isinstance(declared, ModelSpec) else refuse("operate", name, declared)
    )
