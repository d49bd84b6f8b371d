"""One window of the prediction log: collected, profiled, compared, judged, and decided upon.

Each step reads files that earlier steps wrote into the run folder, writes its
own, and can be run twice.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pandas as pd

from nightshift.alerts import Alert, send
from nightshift.data.tables import labels as read_labels
from nightshift.data.source import load_source
from nightshift.errors import RunFolderError
from nightshift.governor import Decision, Situation, decide as govern
from nightshift.ledger import Entry, Kind
from nightshift.pipelines.request import Cause, MonitorRequest, outside_calendar
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.predictions.log import PredictionLog
from nightshift.predictions.performance import Performance, measure
from nightshift.profile.contract import Contract
from nightshift.profile.drift import DriftReport
from nightshift.profile.drift import compare as compare_profiles
from nightshift.profile.expectations import QualityReport
from nightshift.profile.expectations import validate as validate_rows
from nightshift.profile.profile import Profile
from nightshift.registry import Release
from nightshift.verdict import Check, Status, Verdict, judge_window

OUTPUT = "prediction"


def request_of(work: Work) -> MonitorRequest:
    """Return which window this run judges."""
    return MonitorRequest.from_json(work.run.read("request.json"))


def collect(work: Work) -> Outcome:
    """Gather the window's predictions; write ``window.json`` and ``window.parquet``.

    Stops a night that lies outside the source's calendar. Which version is
    judged: the one that answered most rows of the window.
    """
    request = request_of(work)
    quiet = outside_calendar(work.spec, request.end) if request.cause is Cause.NIGHT else None
    if quiet:
        return Outcome(quiet, Then.STOP)
    log = PredictionLog(work.settings.predictions / work.spec.name)
    log.compact()
    rows, summary = log.window(request.start, request.end)
    version = _main_version(rows)
    rows.to_parquet(work.run.file("window.parquet"), index=False)
    work.run.write("window.json", {"format": 1, **summary.to_json(), "version": version})
    return Outcome(f"{summary.rows:,} predictions, {summary.refused:,} refused, by version {version or '–'}")
