"""The page, made when it is first asked for: plugins are loaded by every process of Airflow, tasks too."""

from collections.abc import MutableMapping
from functools import cached_property
from typing import Any

from nightshift_page.guard import App, Send


class LatePage:
    """An application that costs nothing until the api-server sends it the first request."""

    @cached_property
    def page(self) -> App:
        """The page behind this Airflow's doors, on this machine's settings."""
        # imported here: they bring the web framework, Airflow's models and the ledger's database
        from nightshift.settings import Settings
        from nightshift_page.airflow_doors import AirflowDoors
        from nightshift_page.app import make_app

        return make_app(AirflowDoors(), Settings.load())

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        await self.page(scope, receive, send)
