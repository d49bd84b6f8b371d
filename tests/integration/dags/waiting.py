"""Airflow DAGs of somebody else's that wait for what the monitor says of a model; the tests bring them beside ours."""

from datetime import timedelta

from airflow.sdk import DAG, Param

from nightshift.settings import Settings
from nightshift.spec import find_spec
from nightshift_airflow.deadlines import late
from nightshift_airflow.sensors import DriftSensor

SPEC = find_spec(Settings.load().specs, "flight_delay")

with DAG(
    "score_flight_delay",
    schedule=None,
    is_paused_upon_creation=False,
    params={"at": Param(type="string")},
    deadline=late(SPEC, "score", after=timedelta(seconds=5)),
):
    DriftSensor(
        task_id="wait",
        model="flight_delay",
        waits_for="not broken",
        at="{{ params.at }}",
        poke_interval=1,
        timeout=1200,
    )
