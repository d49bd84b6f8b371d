"""The Airflow DAG `nightshift_watch`: tells of nights that did not come, and sends what waits for a channel.

It looks after all declared models. A scheduler that is down runs no watch either: let something outside ask
`nightshift status`.
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from nightshift_airflow.operators import WatchOperator

with DAG(
    dag_id="nightshift_watch",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("*/15 * * * *", timezone="UTC"),
    start_date=datetime(2013, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,  # what is paused watches nothing
    dagrun_timeout=timedelta(minutes=15),
    default_args={"owner": "nightshift", "retries": 0, "execution_timeout": timedelta(minutes=10)},
    tags=["nightshift", "watch"],
):
    WatchOperator(task_id="watch")
