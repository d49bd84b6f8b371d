"""Airflow DAGs that ask for a yes to what a run of ours has built: they are given that run's name as their own."""

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from nightshift.spec import Approval
from nightshift_airflow.approval import ApprovalOperator

for name in ("ask_flight_delay", "ask_again_flight_delay"):
    with DAG(name, schedule=None, is_paused_upon_creation=False) as asking:
        ApprovalOperator(
            task_id="approve",
            model="flight_delay",
            approval=Approval(),
            retries=5,
            retry_delay=timedelta(seconds=1),
        ) >> EmptyOperator(task_id="promote")
    globals()[name] = asking
