"""Buttons on a task's page."""

from typing import Any

from airflow.sdk import BaseOperatorLink

DOCUMENTED = {"build": "profile", "monitor": "validate"}
"""The step of each pipeline that leaves Data Docs."""

PAGE = "/nightshift"
"""Where the page *Models* is mounted in the api-server."""


class LedgerLink(BaseOperatorLink):
    """Leads to the entry of the ledger that a sensor found, or to the model's whole ledger while it found none."""

    name = "Ledger"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:  # noqa: ARG002 - the signature is Airflow's
        """Return the address on the page *Models*, on which the entry stands first."""
        first = f"?before={operator.entry + 1}" if operator.entry is not None else ""
        return f"{PAGE}/models/{operator.model}/ledger{first}"


class DocsLink(BaseOperatorLink):
    """Leads to the Data Docs of the run; on the step that writes them."""

    name = "Data Docs"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Return the address on the page *Models*."""
        # imported here: see operators.py
        from nightshift.runs import folder_name

        return f"{PAGE}/models/{operator.model}/runs/{operator.pipeline}/{folder_name(ti_key.run_id)}/docs"
