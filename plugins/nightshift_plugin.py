"""What Nightshift adds to Airflow's own processes: runs carry what they found as their note."""

from airflow.plugins_manager import AirflowPlugin

from nightshift_airflow import notes


class NightshiftPlugin(AirflowPlugin):
    """Registers the listener that writes a monitor run's verdict and decision on its page."""

    name = "nightshift"
    listeners = [notes]  # noqa: RUF012 - the attribute is Airflow's
