"""Where a run left its Data Docs: how its rows kept the contract, as Great Expectations tells it."""

import re
from pathlib import Path

from nightshift.settings import Settings
from nightshift.spec import NAME

RUN = re.compile(r"(build|monitor)/[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""A pipeline and the folder of one of its runs; nothing that leads elsewhere."""


def docs_of(settings: Settings, model: str, run: str) -> Path | None:
    """Return the page of a run's validation; none if it left none, or is no run of ours.

    Parameters
    ----------
    run
        As the ledger names it: ``monitor/<folder>``.
    """
    if not re.fullmatch(NAME, model) or not RUN.fullmatch(run):
        return None
    return next(iter(sorted((settings.runs / model / run / "docs" / "validations").rglob("*.html"))), None)
