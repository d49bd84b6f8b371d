"""The doors of a running Airflow: its sign-in, its auth manager, its tables of DAGs and runs."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.core_api.security import get_user
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.session import create_session
from sqlalchemy import func, select

from nightshift_page.doors import PIPELINES, Plan


class AirflowDoors:
    """Airflow decides: the page asks its auth manager what its own API would ask."""

    @property
    def user(self) -> Callable[..., Any]:
        return get_user

    def may_see(self, user: Any, models: Collection[str]) -> set[str]:
        teams = _teams([f"monitor_{model}" for model in models])
        return {model for model in models if _may("GET", f"monitor_{model}", user, teams)}

    def may_start(self, user: Any, model: str) -> set[str]:
        dags = {pipeline: f"{pipeline}_{model}" for pipeline in PIPELINES}
        teams = _teams(list(dags.values()))
        run = DagAccessEntity.RUN
        return {pipeline for pipeline, dag in dags.items() if _may("POST", dag, user, teams, entity=run)}

    def plans(self, models: Collection[str]) -> Mapping[str, Plan]:
        dags = [f"{pipeline}_{model}" for model in models for pipeline in PIPELINES]
        newest = select(func.max(DagRun.id)).where(DagRun.dag_id.in_(dags)).group_by(DagRun.dag_id)
        last = select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.run_after).where(DagRun.id.in_(newest))
        known = select(DagModel.dag_id, DagModel.is_paused, DagModel.next_dagrun_create_after).where(
            DagModel.dag_id.in_(dags), DagModel.is_stale.is_(False)
        )
        with create_session(scoped=False) as session:
            runs = {row.dag_id: row for row in session.execute(last)}
            return {row.dag_id: _plan(row, runs.get(row.dag_id)) for row in session.execute(known)}


def _may(method: Any, dag: str, user: Any, teams: Mapping[str, str | None], *, entity: Any = None) -> bool:
    details = DagDetails(id=dag, team_name=teams.get(dag))
    return get_auth_manager().is_authorized_dag(method=method, user=user, access_entity=entity, details=details)


def _teams(dags: list[str]) -> Mapping[str, str | None]:
    return DagModel.get_dag_id_to_team_name_mapping(dags)


def _plan(dag: Any, run: Any) -> Plan:
    return Plan(
        dag=dag.dag_id,
        is_paused=dag.is_paused,
        next_at=None if dag.is_paused else dag.next_dagrun_create_after,
        last_state=str(getattr(run.state, "value", run.state)) if run else None,
        last_run=run.run_id if run else None,
        last_at=run.run_after if run else None,
    )
