"""What Nightshift adds to Airflow's own processes: the page *Models*, and what a run found as its note."""

from airflow.plugins_manager import AirflowPlugin

from nightshift_airflow import notes
from nightshift_airflow.links import DocsLink, LedgerLink
from nightshift_page.late import LatePage

PREFIX = "/nightshift"


class NightshiftPlugin(AirflowPlugin):
    """Mounts the page, shows it in the menu and as a tab of each DAG, and registers the listener that writes notes."""

    name = "nightshift"
    listeners = [notes]  # noqa: RUF012 - the attribute is Airflow's
    fastapi_apps = [{"app": LatePage(), "url_prefix": PREFIX, "name": "Models"}]  # noqa: RUF012 - as above
    external_views = [  # noqa: RUF012 - as above
        {"name": "Models", "href": f"{PREFIX}/", "destination": "nav", "url_route": "nightshift", "nav_top_level": True,
         "icon": f"{PREFIX}/static/icon.svg"},
        {"name": "Model", "href": f"{PREFIX}/dags/{{DAG_ID}}", "destination": "dag", "url_route": "model"},
    ]  # fmt: skip
    operator_extra_links = [LedgerLink(), DocsLink()]  # noqa: RUF012 - as above
