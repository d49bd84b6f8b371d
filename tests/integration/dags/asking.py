"""An Airflow DAG that asks for a yes to what a run of ours has built: it is given that run's name as its own."""

from datetime import timedelta

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

from nightshift.spec import Approval
from nightshift_airflow.approval import ApprovalOperator

with DAG("ask_flight_delay", schedule=None, is_paused_upon_creation=False) as asking:
    ApprovalOperator(
        task_id="approve",
        model="flight_delay",
        approval=Approval(),
        retries=5,
        retry_delay=timedelta(seconds=1),
    ) >> EmptyOperator(task_id="promote")
