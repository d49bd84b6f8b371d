"""One model's page on real nights: windows that a real monitor judged, with what it left in its run folders."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from factories.monitoring import window
from factories.nights import Nights, rides_of, start_of, watched
from factories.page import some_settings
from factories.spine import a_day
from nightshift.alerts import Level, Report, tell
from nightshift.errors import NightshiftError
from nightshift.ledger import Kind
from nightshift.pipelines.output import OUTPUT
from nightshift.spec import find_spec
from nightshift.verdict import Check, Status
from nightshift.views.heat import folder_of, heat_map
from nightshift.views.model import ModelView, model_view
from nightshift.views.reading import LedgerReader


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """Days 30 and 32 are quiet, on day 31 two of three distances are lost."""
    nights = watched(tmp_path_factory.mktemp("nights"))
    for day, columns in {30: {}, 31: {"distance": lambda miles: miles.where(miles.index % 3 == 0)}, 32: {}}.items():
        nights.ask(rides_of(day, **columns))
        nights.tell(rides_of(day))
        nights.judge(day)
    shutil.copytree(nights.settings.releases / "fake", nights.settings.releases / "rides")
    return nights


def reader(nights: Nights) -> LedgerReader:
    return LedgerReader(nights.settings.ledger)


def seen(house: Nights, **asked: object) -> ModelView:
    found = model_view(house.settings, reader(house), "rides", **asked)  # type: ignore[arg-type]
    assert found is not None
    return found


def test_the_newest_window_is_shown_first(nights: Nights) -> None:
    view = seen(nights)

    assert view.night is not None
    assert view.night.night.start == start_of(32)
    assert view.night.later is None
    assert view.night.earlier == nights.entry(31).id


def test_the_heat_map_has_a_cell_for_every_column_and_window(nights: Nights) -> None:
    view = seen(nights)

    assert set(view.heat.rows) == {"distance", "speed", "weather", "zone", OUTPUT}
    assert view.heat.is_whole
    assert all(cell is not None for cells in view.heat.rows.values() for cell in cells)
    words = [cell.status for cell in view.heat.rows["distance"] if cell]
    assert words == [Status.HEALTHY, Status.BROKEN, Status.HEALTHY]


def test_a_cell_wears_the_worst_word_that_was_said_of_its_column(nights: Nights) -> None:
    entry = nights.entry(32)
    skew = Check("skew", Status.BROKEN, "speed", "speed is not what training would have").to_json()
    verdict = entry.body["verdict"]
    told = replace(entry, text=json.dumps({**entry.body, "verdict": {**verdict, "checks": [skew, *verdict["checks"]]}}))

    heat = heat_map(nights.settings, [told])

    assert [cell.status for cell in heat.rows["speed"] if cell] == [Status.BROKEN]
    assert [cell.status for cell in heat.rows["zone"] if cell] == [Status.HEALTHY]


def test_a_column_that_speaks_is_shown_beside_the_windows_before(nights: Nights) -> None:
    view = seen(nights, window=nights.entry(31).id, column="distance")

    assert view.column is not None
    assert view.column.overlay is not None
    assert len(view.column.overlay.weeks) == len(view.column.overlay.labels)
    assert view.column.overlay.trailing is not None
    assert view.column.overlay.trailing.missing < 0.2
    assert view.column.overlay.window.missing > 0.6


def test_a_cell_shows_both_distributions_and_what_was_said(nights: Nights) -> None:
    view = seen(nights, window=nights.entry(31).id, column="distance")

    assert view.column is not None
    assert view.column.overlay is not None
    assert view.column.overlay.reference.rows == 8000
    assert view.column.overlay.window.missing > 0.6
    assert view.column.overlay.reference.missing < 0.2
    assert view.column.overlay.window.mean == pytest.approx(10, rel=0.1)
    assert "BROKEN" in {check.status for check in view.column.checks}
    assert view.column.facts["psi"] > 1


def test_the_answers_are_a_column_too(nights: Nights) -> None:
    view = seen(nights, column=OUTPUT)

    assert view.column is not None
    assert view.column.overlay is not None
    assert view.column.overlay.window.rows == 400


def test_without_a_choice_the_column_that_the_verdict_names_is_shown(nights: Nights) -> None:
    view = seen(nights, window=nights.entry(31).id)

    assert view.column is not None
    assert view.column.name == "distance"


@pytest.mark.parametrize("column", ["nothing", "", "../../etc/passwd", "<script>"])
def test_a_column_that_is_not_there_is_no_choice(nights: Nights, column: str) -> None:
    assert seen(nights, column=column).column == seen(nights).column


def test_a_window_that_is_not_there_is_no_choice(nights: Nights) -> None:
    assert seen(nights, window=999_999).night == seen(nights).night


def test_only_so_many_windows_are_looked_back_on(nights: Nights) -> None:
    assert [night.start for night in seen(nights, nights=2).heat.nights] == [start_of(31), start_of(32)]


def test_an_older_window_is_still_told_when_it_is_not_in_the_heat_map(nights: Nights) -> None:
    view = seen(nights, nights=1, window=nights.entry(30).id)

    assert view.night is not None
    assert view.night.night.start == start_of(30)
    assert (view.night.earlier, view.night.later) == (None, None)


def test_estimates_have_a_course(nights: Nights) -> None:
    courses = {course.metric: course for course in seen(nights).courses}

    assert len(courses["auc"].estimated) == 3
    assert all(point.low <= point.y <= point.high for point in courses["auc"].estimated)


def test_days_kept_from_training_are_told(nights: Nights) -> None:
    assert [night.start for night in seen(nights).blocked] == [start_of(31)]


def test_the_ledger_is_newest_first(nights: Nights) -> None:
    lines = seen(nights).lines

    assert [line.entry for line in lines] == sorted((line.entry for line in lines), reverse=True)
    assert {line.kind for line in lines} >= {Kind.WINDOW, Kind.BLOCK}


def test_nobody_has_heard_of_a_model_that_is_in_no_ledger(nights: Nights) -> None:
    assert model_view(nights.settings, reader(nights), "cars") is None


def test_what_the_ledger_keeps_is_shown_when_the_run_folder_is_gone(nights: Nights, tmp_path: Path) -> None:
    elsewhere = nights.settings.model_copy(update={"state": tmp_path})
    ledger = reader(nights)
    windows = ledger.newest_windows(9)["rides"]

    heat = heat_map(elsewhere, windows)
    view = model_view(elsewhere, ledger, "rides", column="distance")

    assert not heat.is_whole
    assert set(heat.rows) <= {"distance", "speed", "weather", "zone"}
    assert heat.rows["distance"][1] is not None
    assert view is not None
    assert view.column is not None
    assert view.column.overlay is None


def test_a_ledger_entry_leads_to_no_folder_outside_the_runs(nights: Nights) -> None:
    entry = nights.entry(30)
    foreign = replace(entry, text=json.dumps(entry.body | {"run": "../../../../etc"}))

    with pytest.raises(NightshiftError, match="outside"):
        folder_of(nights.settings, foreign)


def test_every_window_that_nobody_judged_is_named_also_one_that_people_were_not_told_of_yet(tmp_path: Path) -> None:
    settings = some_settings(tmp_path)
    ledger = LedgerReader(settings.ledger)
    for day in (1, 3, 4, 6):
        window(ledger, day)
    known = Report(
        model="bikes", thing="gaps", level=Level.SERIOUS, title="windows were never judged", key="1", at=a_day(4),
        facts=("nobody judged the first",),
    )  # fmt: skip
    spec = find_spec(settings.specs, "bikes")
    tell(known, spec.alerts, folder=settings.alerts, address=lambda _: "json://127.0.0.1:1")

    view = model_view(settings, ledger, "bikes")

    assert view is not None
    (incident,) = view.incidents
    assert incident.title == "windows were never judged"
    assert incident.facts == tuple(
        f"nobody judged {a_day(day):%Y-%m-%d %H:%M} to {a_day(day + 1):%Y-%m-%d %H:%M}" for day in (2, 5)
    )
