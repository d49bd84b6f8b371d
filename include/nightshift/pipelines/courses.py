"""Since when a window's columns are as they are: held beside the profiles that were stored of windows before it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from nightshift.files import read_json
from nightshift.ledger import Entry
from nightshift.pipelines.request import MonitorRequest
from nightshift.pipelines.work import Work
from nightshift.profile.drift import ALL_COLUMNS, DriftReport
from nightshift.profile.feature import FeatureProfile
from nightshift.profile.onset import Course, Earlier, courses_of, trailing_of
from nightshift.profile.profile import Profile
from nightshift.verdict import Check, Status

WEEKS = timedelta(weeks=4)
WINDOWS = 4
"""So far back the trailing windows reach, or so many of them if that is further."""


@dataclass(frozen=True)
class Since:
    """What the windows before say of a window.

    ``reports`` are its own, by part of the profile, with each column's course in
    its sentence; ``trailing`` the profiles, over the windows before, of the columns
    that have one.
    """

    reports: Mapping[str, DriftReport]
    courses: tuple[Course, ...] = ()
    trailing: Mapping[str, FeatureProfile] = field(default_factory=dict)

    @property
    def baselines(self) -> dict[str, Any]:
        """``baselines.json``: what the page lays beside the training profile."""
        return {"format": 1, "trailing": {name: column.to_json() for name, column in self.trailing.items()}}


def since_when(
    work: Work, reports: Mapping[str, DriftReport], reference: Mapping[str, Any], current: Mapping[str, Any]
) -> Since:
    """Return since when each column that ``reports`` speak of is as it is; a quiet night reads no earlier profile.

    Parameters
    ----------
    reports
        By part of the profile: ``inputs``, ``output``.
    reference, current
        The profiles they came from, as JSON.
    """
    if all(check.status is Status.HEALTHY for report in reports.values() for check in report.checks):
        return Since(reports)
    request = MonitorRequest.of(work.run)
    stored = [(entry.start, read_json(_profile_of(work, entry))) for entry in _before(work, request)]
    told: dict[str, DriftReport] = {}
    courses: list[Course] = []
    trailing: dict[str, FeatureProfile] = {}
    for part, report in reports.items():
        earlier = [Earlier(start, Profile.from_json(content[part])) for start, content in stored]
        before, now = (Profile.from_json(profiles[part]) for profiles in (reference, current))
        length = request.end - request.start
        found = list(courses_of(report.checks, before, now, earlier, start=request.start, length=length))
        told[part] = replace(report, checks=tuple(_told(check, found) for check in report.checks))
        courses += found
        merged = {course.column: trailing_of(course.column, earlier) for course in found}
        trailing |= {name: column for name, column in merged.items() if column is not None}
    first = {course.column: course for course in reversed(courses)}  # several findings of one column are one story
    return Since(told, tuple(course for course in courses if first[course.column] is course), trailing)


def _before(work: Work, request: MonitorRequest) -> list[Entry]:
    """Return the windows before, oldest first: as long as this one, and answered by the same version."""
    length, version = request.end - request.start, str(work.run.read("window.json")["version"])
    reach = request.start - max(WEEKS, WINDOWS * length)
    return [
        entry
        for entry in work.ledger.windows(work.spec.name)
        if reach <= entry.start
        and entry.end <= request.start
        and entry.end - entry.start == length
        and str(entry.body["version"]) == version
        and _profile_of(work, entry).exists()
    ]


def _profile_of(work: Work, entry: Entry) -> Any:
    """Return where the run that judged a window left its profile."""
    return work.run.beside(str(entry.body["run"])).file("profile.json")


def _told(check: Check, courses: Sequence[Course]) -> Check:
    mine = [one for one in courses if (one.column, one.finding) == (check.subject, check.name)]
    if not mine:
        return check
    whose = f"{check.subject} " if check.name == ALL_COLUMNS else ""
    return replace(check, sentence=f"{check.sentence}; {whose}{mine[0].sentence}")
