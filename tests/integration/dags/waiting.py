"""Airflow DAGs of somebody else's that wait for what the monitor says of a model; the tests bring them beside ours."""

from airflow.sdk import DAG, Param

from nightshift_airflow.sensors import DriftSensor

with DAG("score_flight_delay", schedule=None, is_paused_upon_creation=False, params={"at": Param(type="string")}):
    DriftSensor(
        task_id="wait",
        model="flight_delay",
        waits_for="not broken",
        at="{{ params.at }}",
        poke_interval=1,
        timeout=1200,
    )
