"""The page as a caller meets it: who is let in, what is shown, and that words stay words."""

import base64
import hashlib
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.routing import APIRoute

from factories.monitoring import enter, promotion, window
from factories.nights import OneRelease
from factories.page import NOW, Caller, FakeDoors, a_plan, many_windows, some_settings
from factories.spine import a_check, a_day, add_window
from nightshift.alerts import Level, Report, tell
from nightshift.ledger import Kind, Ledger
from nightshift.settings import Settings
from nightshift.spec import Alerts
from nightshift.verdict import Check, Status
from nightshift_page.app import make_app
from nightshift_page.render import HERE, STATIC

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return an installation where ``bikes`` was promoted and judged four times, the last time as DRIFTED."""
    settings = some_settings(tmp_path)
    ledger = Ledger(settings.ledger)
    promotion(ledger, 80, "1")
    for day in (90, 91, 92):
        window(ledger, day, signals=signals(day))
    window(ledger, 93, Status.DRIFTED, signals=signals(93))
    return settings


def signals(day: int) -> dict[str, Any]:
    metric = {"value": 0.7 + day / 1000, "low": 0.6, "high": 0.8}
    cell = {"psi": 0.3, "effect": 0.1, "status": "DRIFTED" if day == 93 else "HEALTHY"}
    return {"columns": {"temperature": cell}, "realised": {"auc": metric}, "estimated": {"auc": metric}}


def words(page: str) -> str:
    """Return what a person reads of a page."""
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)).split())


# ---------------------------------------------------------------- who is let in

PATHS = [
    "/", "/models/bikes", "/models/bikes?window=1&column=temperature", "/models/bikes/ledger",
    "/models/bikes/versions/1/card", "/models/bikes/runs/monitor/night-93/docs", "/dags/monitor_bikes",
    *(f"/static/{name}" for name in STATIC),
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_who_is_not_signed_in_gets_nothing(settings: Settings, path: str) -> None:
    answer = Caller(settings, user="").get(path)

    assert answer.status_code == 401
    assert "bikes" not in answer.text
    assert "static" not in answer.text


def test_every_route_is_behind_the_doors(settings: Settings) -> None:
    doors = FakeDoors()
    tried = {path.partition("?")[0] for path in PATHS}

    routes = [route for route in make_app(doors, settings).routes if isinstance(route, APIRoute)]

    assert len(routes) == 7
    for route in routes:
        assert doors.user.__qualname__ in {one.call.__qualname__ for one in route.dependant.dependencies if one.call}
        assert any(route.path_regex.match(path) for path in tried), f"{route.path} is not tried above"


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/static/../app.py", "/static/app.py"])
def test_nothing_else_is_served(settings: Settings, path: str) -> None:
    assert Caller(settings).get(path).status_code == 404


def test_who_may_not_see_a_model_does_not_learn_that_there_is_one(settings: Settings) -> None:
    blind = Caller(settings, FakeDoors(hidden={"bikes"}))

    refused, unknown = blind.get("/models/bikes"), blind.get("/models/cars")

    assert (refused.status_code, unknown.status_code) == (404, 404)
    assert refused.text.replace("bikes", "cars") == unknown.text
    assert "bikes" not in blind.get("/").text
    for path in ("/models/bikes/ledger", "/models/bikes/versions/1/card", "/dags/monitor_bikes"):
        assert blind.get(path).status_code == 404


def test_forms_are_offered_to_those_only_who_may_start_them(settings: Settings) -> None:
    operator = Caller(settings, FakeDoors(starts={"build", "promote"})).get("/models/bikes").text
    viewer = Caller(settings, FakeDoors(starts=set())).get("/models/bikes").text

    assert "/dags/build_bikes" in operator
    assert "/dags/promote_bikes" in operator
    assert "/dags/reproduce_bikes" not in operator
    assert "/dags/build_bikes" not in viewer
    assert "start nothing" in words(viewer)


@pytest.mark.parametrize("path", [*PATHS, "/nothing", "/models/cars"])
@pytest.mark.parametrize("user", ["ada", ""])
def test_every_answer_is_guarded(settings: Settings, path: str, user: str) -> None:
    answer = Caller(settings, user=user, registry=OneRelease(settings.releases)).get(path)

    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"].startswith("private")


@pytest.mark.parametrize("path", ["/", "/models/bikes", "/models/bikes/ledger", "/models/cars"])
def test_no_page_needs_more_than_the_policy_allows(settings: Settings, path: str) -> None:
    page = Caller(settings).get(path).text

    assert re.findall(r"<script(?![^>]*(src=|application/json))", page) == []
    assert re.findall(r"<style|\sstyle=|\son[a-z]+=|javascript:", page) == []
    loaded = re.findall(r'<(?:script|link|img)[^>]*(?:src|href)="([^"]*)"', page)
    assert loaded
    assert all(address.startswith("/nightshift/static/") for address in loaded)


# ---------------------------------------------------------------- words stay words


def test_a_model_named_like_a_script_is_text(settings: Settings) -> None:
    body = window(Ledger(settings.ledger), 94).body
    add_window(Ledger(settings.ledger), 94, body, model="<script>")

    pages = [Caller(settings).get(path).text for path in ("/", "/models/%3Cscript%3E", "/models/%3Cscript%3E/ledger")]

    for page in pages:
        assert "&lt;script&gt;" in page
        assert "<script>" not in page


def test_what_people_and_data_say_is_text(settings: Settings) -> None:
    ledger = Ledger(settings.ledger)
    said = Check("drift", Status.BROKEN, HOSTILE, f"the value {HOSTILE} is new", HOSTILE, 1.0, 5)
    bad = {"psi": 0.3, "effect": 0.1, "status": "BROKEN"}
    metric = {"value": 0.7, "low": 0.6, "high": 0.8}
    window(
        ledger, 95, checks=[said], run=f"monitor/{HOSTILE}", version=HOSTILE,
        signals={"columns": {HOSTILE: bad}, "realised": {HOSTILE: metric}},
        segments={HOSTILE: {"status": "DRIFTED", "rows": 3, "why": HOSTILE, "checks": []}},
    )  # fmt: skip
    enter(ledger, Kind.SNOOZE, a_day(95), a_day(99), subject=HOSTILE, by=HOSTILE, reason=HOSTILE)
    enter(ledger, Kind.BLOCK, a_day(95), a_day(96), run="monitor/x", reasons=[HOSTILE])
    enter(ledger, Kind.PAUSE, a_day(95), a_day(95), user=HOSTILE, reason=HOSTILE, run="promote/x")
    enter(ledger, Kind.PROMOTION, a_day(96), a_day(96), version=HOSTILE, run="x", user=HOSTILE, reason=HOSTILE)

    pages = [Caller(settings).get(path).text for path in ("/", "/models/bikes", "/models/bikes/ledger")]

    for page in pages:
        assert "alert(1)" in page
        assert HOSTILE not in page
        assert "</script>alert" not in page


# ---------------------------------------------------------------- what is shown


def test_the_first_sentence_says_who_needs_a_look(settings: Settings) -> None:
    page = words(Caller(settings).get("/").text)

    assert "1 of 1 needs a look: bikes is DRIFTED." in page


def test_when_all_is_well_the_page_says_so(settings: Settings) -> None:
    window(Ledger(settings.ledger), 96)

    assert "The model is well; nothing waits for you." in words(Caller(settings).get("/").text)


def test_an_installation_without_a_model_says_how_to_get_one(tmp_path: Path) -> None:
    page = words(Caller(some_settings(tmp_path, declared=False)).get("/").text)

    assert "There is no model yet." in page
    assert "include/specs/" in page


def test_a_model_without_a_night_says_what_comes(tmp_path: Path) -> None:
    page = words(Caller(some_settings(tmp_path)).get("/models/bikes").text)

    assert "No window was judged yet" in page
    assert "the first build that passes its gates goes live" in page
    assert "Nothing has gone live yet." in page


def test_a_models_page_says_what_happened_why_and_what_was_decided(settings: Settings) -> None:
    page = words(Caller(settings).get("/models/bikes").text)

    assert "▲ DRIFTED 4 Apr 2013" in page
    assert "What happened DRIFTED says so" in page
    assert "What was decided No retrain. Because of a test." in page
    assert "answered by version 1" in page


def test_a_chosen_window_and_column_are_the_ones_shown(settings: Settings) -> None:
    first = Ledger(settings.ledger).windows("bikes")[0]

    page = Caller(settings).get(f"/models/bikes?window={first.id}&column=temperature").text

    assert "✓ HEALTHY 1 Apr 2013" in words(page)
    assert re.search(rf'class="[^"]*\bhere"[^>]*window={first.id}', page)
    assert "The two distributions are not at hand" in words(page)


def test_the_chosen_number_of_windows_is_the_one_shown(settings: Settings) -> None:
    page = Caller(settings).get("/models/bikes?nights=2").text

    assert page.count('<th scope="col" class="chosen">') == 1
    assert len(re.findall(r'<td><a class="s\d', page)) == 2


@pytest.mark.parametrize("path", ["?window=x", "?window=-1", "?nights=0", "?nights=366", f"?window={10**30}"])
def test_an_address_that_makes_no_sense_is_refused_in_words(settings: Settings, path: str) -> None:
    answer = Caller(settings).get(f"/models/bikes{path}")

    assert answer.status_code == 422
    assert "That address cannot be read." in answer.text


def test_a_failed_night_is_told_first(settings: Settings) -> None:
    failed = a_plan(last_state="failed", last_at=NOW - timedelta(hours=6))
    doors = FakeDoors(planned={"monitor_bikes": failed})

    page = words(Caller(settings, doors).get("/models/bikes").text)

    assert "The last run of the monitor failed , 6 hours ago" in page
    assert page.index("failed") < page.index("DRIFTED")
    assert "its last run failed" in words(Caller(settings, doors).get("/").text)


def test_what_people_were_told_and_is_not_over_stands_first(settings: Settings) -> None:
    moved = Report(
        "bikes", "alias", Level.URGENT, "bikes: the champion was moved by hand", HOSTILE, NOW - timedelta(hours=2),
        facts=(HOSTILE,), to_do=("let the version that should answer go live",),
    )  # fmt: skip
    tell(moved, Alerts(channels=("log",)), folder=settings.alerts)
    tell(replace(moved, thing="nights", title="bikes: DRIFTED"), Alerts(channels=("log",)), folder=settings.alerts)

    page = Caller(settings).get("/models/bikes").text

    assert "bikes: the champion was moved by hand , told 2 hours ago" in words(page)
    assert "let the version that should answer go live" in page
    assert page.count('class="notice BROKEN"') == 1
    assert HOSTILE not in page


def test_the_next_night_and_a_paused_monitor_are_told(settings: Settings) -> None:
    soon = FakeDoors(planned={"monitor_bikes": a_plan(next_at=NOW + timedelta(hours=5))})
    paused = FakeDoors(planned={"monitor_bikes": a_plan(is_paused=True)})

    assert "in 5 hours" in words(Caller(settings, soon).get("/models/bikes").text)
    assert "no night will be judged" in words(Caller(settings, paused).get("/models/bikes").text)


def test_the_tab_of_a_dag_is_its_models_page(settings: Settings) -> None:
    caller = Caller(settings)

    tab, page = caller.get("/dags/build_bikes"), caller.get("/models/bikes")

    assert tab.text == page.text


@pytest.mark.parametrize(
    "path", ["/models/%00", "/models/%0A/ledger", "/models/..%2F..%2Fetc", "/models/" + "x" * 3000]
)
def test_what_is_no_name_is_no_model(settings: Settings, path: str) -> None:
    assert Caller(settings).get(path).status_code == 404


@pytest.mark.parametrize("dag", ["other", "monitor_", "cook_bikes", "build_No"])
def test_a_dag_that_is_not_ours_has_an_empty_tab(settings: Settings, dag: str) -> None:
    answer = Caller(settings).get(f"/dags/{dag}")

    assert answer.status_code == 404
    assert "no DAG of a model" in words(answer.text)


def test_a_long_ledger_is_turned_over_page_by_page(settings: Settings) -> None:
    body = window(Ledger(settings.ledger), 99).body
    many_windows(settings.ledger, models=["bikes"], days=130, body=body)

    first = Caller(settings).get("/models/bikes/ledger").text
    older = re.findall(r"\?before=(\d+)", first)
    second = Caller(settings).get(f"/models/bikes/ledger?before={older[0]}").text

    shown = [re.findall(r"window=(\d+)", page) for page in (first, second)]
    assert len(shown[0]) == 100
    assert set(shown[0]).isdisjoint(shown[1])


def test_a_ledger_that_cannot_be_read_is_told_in_words(tmp_path: Path) -> None:
    settings = some_settings(tmp_path)
    Ledger(settings.ledger)
    Path(settings.ledger.removeprefix("sqlite:///")).write_bytes(b"this is no database, whatever it is called" * 99)

    answer = Caller(settings).get("/")

    assert answer.status_code == 500
    assert "damaged or foreign" in words(answer.text)


# ---------------------------------------------------------------- a release's papers


def with_card(settings: Settings, card: str) -> Caller:
    folder = settings.releases / "fake"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "card.html").write_text(card)
    return Caller(settings, registry=OneRelease(folder))


def test_a_release_card_is_sent_as_it_was_registered_and_may_do_nothing_but_look(settings: Settings) -> None:
    card = "<style>p { color: red }</style><p>bikes</p><script>alert(1)</script>"

    answer = with_card(settings, card).get("/models/bikes/versions/1/card")

    policy = answer.headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(b"p { color: red }").digest()).decode()
    assert answer.text == card
    assert f"style-src 'sha256-{digest}';" in policy
    assert "script-src 'none'" in policy


@pytest.mark.parametrize("path", ["1/certificate", "2/card", "0/card", "1/spec.json", "x/card", "1/..%2Fcard"])
def test_papers_that_are_not_there_are_not_found(settings: Settings, path: str) -> None:
    assert with_card(settings, "card").get(f"/models/bikes/versions/{path}").status_code == 404


# ---------------------------------------------------------------- data docs


def with_docs(settings: Settings, page: str, *, run: str = "night-93") -> Caller:
    """Return a caller; the run of the last window left ``page`` as its Data Docs."""
    folder = settings.runs / "bikes" / "monitor" / run / "docs" / "validations" / "bikes window" / "__none__"
    folder.mkdir(parents=True)
    (folder / "rows.html").write_text(page)
    return Caller(settings, FakeDoors(hidden={"cars"}))


def test_data_docs_are_linked_from_their_window_and_may_run_and_load_nothing(settings: Settings) -> None:
    caller = with_docs(settings, f"<html><head></head><body>{HOSTILE}</body></html>")

    page = caller.get("/models/bikes").text
    answer = caller.get("/models/bikes/runs/monitor/night-93/docs")

    assert 'href="/nightshift/models/bikes/runs/monitor/night-93/docs"' in page
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none';")
    assert "script-src" not in policy
    assert "http" not in policy
    assert re.search(r"<style>[^<]+</style></head>", answer.text)
    assert "<link" not in answer.text


def test_a_window_without_data_docs_links_to_none(settings: Settings) -> None:
    caller = with_docs(settings, "<html></html>")

    older = Ledger(settings.ledger).windows("bikes")[0].id

    assert "Data Docs" not in caller.get(f"/models/bikes?window={older}").text


@pytest.mark.parametrize(
    "path",
    [
        "bikes/runs/monitor/night-92/docs", "bikes/runs/serve/night-93/docs", "bikes/runs/monitor/../docs",
        "bikes/runs/monitor/..%2Fmonitor%2Fnight-93/docs", "cars/runs/monitor/night-93/docs",
        "..%2Fbikes/runs/monitor/night-93/docs", "bikes/runs/monitor/%00/docs",
    ],
)  # fmt: skip
def test_data_docs_that_are_not_there_are_not_found(settings: Settings, path: str) -> None:
    assert with_docs(settings, "<html></html>").get(f"/models/{path}").status_code == 404


def test_data_docs_are_for_those_who_are_signed_in(settings: Settings) -> None:
    with_docs(settings, "<html></html>")

    assert Caller(settings, user="").get("/models/bikes/runs/monitor/night-93/docs").status_code == 401


# ---------------------------------------------------------------- what it costs


def test_what_a_window_probably_costs_is_shown(settings: Settings) -> None:
    told = {"sentence": "without labels, wrong answers to 31.0% of rows are to be expected; 22.0% is usual"}
    window(Ledger(settings.ledger), 94, Status.DRIFTED, signals={**signals(94), "cost": told})

    page = words(Caller(settings).get("/models/bikes").text)

    assert "What it costs Without labels, wrong answers to 31.0% of rows are to be expected; 22.0% is usual." in page


# ---------------------------------------------------------------- what is sent along


def test_the_chart_library_is_the_published_file(settings: Settings) -> None:
    told = re.search(r"`([0-9a-f]{64})`", (HERE / "static" / "README.md").read_text())

    assert told
    assert hashlib.sha256((HERE / "static" / "chart.js").read_bytes()).hexdigest() == told.group(1)
    assert "The MIT License" in (HERE / "static" / "chart.LICENSE.md").read_text()
    assert Caller(settings).get("/static/chart.js").headers["content-type"].startswith("text/javascript")


def test_files_may_be_kept_because_their_address_changes_with_them(settings: Settings) -> None:
    page = Caller(settings).get("/").text
    address = re.findall(r'href="(/nightshift/static/page\.css\?v=[0-9a-f]{12})"', page)

    answer = Caller(settings).get(address[0].removeprefix("/nightshift"))

    assert "immutable" in answer.headers["cache-control"]
    assert "url(" not in answer.text


def test_nothing_is_fetched_from_elsewhere() -> None:
    for name in ("page.js", "page.css", "theme.js", "icon.svg"):
        text = (HERE / "static" / name).read_text().replace("http://www.w3.org/2000/svg", "")
        assert "//cdn" not in text
        assert not re.findall(r"https?://|@import|fetch\(|eval\(|innerHTML", text), name


def test_a_check_without_numbers_is_told_with_dashes(settings: Settings) -> None:
    window(Ledger(settings.ledger), 97, checks=[a_check(Status.UNKNOWN)])

    assert "UNKNOWN says so – – –" in words(Caller(settings).get("/models/bikes").text)
