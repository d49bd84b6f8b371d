"""What a run is to be remembered by, on its page in Airflow: the note that its last speaking step left."""

from typing import Any

from airflow.listeners import hookimpl

KEY = "note"
"""Key of the XCom that holds a step's note."""


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:  # noqa: ARG001 - the signature is Airflow's
    """Put the newest note among the run's steps on the run itself; called by the scheduler in its own transaction."""
    # imported here: only the scheduler may touch the database, and tasks load plugins too
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None or "nightshift" not in _tags(dag_run):
        return
    left = (
        select(XComModel)
        .where(XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id, XComModel.key == KEY)
        .order_by(XComModel.timestamp.desc())
        .limit(1)
    )
    found = session.scalars(left).first()
    if found is not None:
        dag_run.note = str(XComModel.deserialize_value(found))


def _tags(dag_run: Any) -> set[str]:
    return set(getattr(dag_run.dag, "tags", None) or ())
