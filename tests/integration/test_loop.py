"""The whole loop on real components: a real scheduler, MLflow, data registry, HTTP API and prediction log."""

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, expect

from factories.browser import PATIENCE_MS, Person, a_browser, needs_chromium, start
from nightshift.alerts import open_incidents
from nightshift.demo.replay import ask, callers_entities
from nightshift.errors import ServiceError
from nightshift.ledger import Kind, Ledger
from nightshift.lineage.code import read_code
from nightshift.pipelines.materialise import bring_online
from nightshift.pipelines.steps import STEPS
from nightshift.runs import RunFolder
from nightshift.services.airflow_api import AirflowApi, DagRun
from nightshift.services.house import House, sign_in
from nightshift.settings import Settings, find_project
from nightshift.spec import find_spec

MODEL = "flight_delay"
AS_OF = datetime(2013, 5, 1, tzinfo=UTC)
WEEK = datetime(2013, 5, 6, tzinfo=UTC)
LATER = datetime(2013, 6, 1, tzinfo=UTC)
SECONDS = 600.0
PERSON_SECONDS = 4.0
"""As long as anybody takes to read and answer: before Airflow's scheduler has heard that the task waits (a turn of its
loop, longer where it is busy) it takes the one that goes on for a lost one, and asks again."""
TO_SERVING_SECONDS = 10.0
"""What operators are promised, from the alias to the answers."""

pytestmark = pytest.mark.timeout(1200)


class HouseWithGuests(House):
    """The services, and beside our DAGs those of ``tests/integration/dags``, which use our sensors."""

    def _environment(self, urls: Mapping[str, str]) -> dict[str, str]:
        local, guests = "airflow.dag_processing.bundles.local.LocalDagBundle", Path(__file__).with_name("dags")
        bundles = [
            {"name": "dags-folder", "classpath": local, "kwargs": {}},
            {"name": "guests", "classpath": local, "kwargs": {"path": str(guests)}},
        ]
        more = {"AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles)}
        return super()._environment(urls) | more


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = HouseWithGuests(Settings.load(state=tmp_path_factory.mktemp("state")))
    try:
        house.up()
        yield house
    finally:
        house.down()


@pytest.fixture(scope="module")
def settings(house: House) -> Settings:
    return Settings.load(state=house.settings.state)


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[AirflowApi]:
    user, password = sign_in(settings)
    with AirflowApi(settings.airflow, user=user, password=password) as api:
        api.wait_for_dags({f"{pipeline}_{MODEL}" for pipeline in STEPS}, seconds=120)
        for dag in (f"build_{MODEL}", f"monitor_{MODEL}"):
            api.unpause(dag)
        yield api


@pytest.fixture(scope="module")
def conf() -> dict[str, bool]:
    """A checkout under work is dirty; the scheduled DAGs would rightly refuse it."""
    return {"allow_unreproducible": bool(read_code(find_project()).problems())}


@pytest.fixture(scope="module")
def waiting(house: House, api: AirflowApi) -> DagRun:
    """A run that waits for the verdict of the week to come; its triggerer was killed, and another one started."""
    api.wait_for_dags({"score_flight_delay"}, seconds=120)
    run = api.trigger("score_flight_delay", conf={"at": (WEEK + timedelta(days=7)).isoformat()})
    api.wait_for_task(run, "wait", "deferred", seconds=120)
    triggerer = house.processes()["airflow-triggerer"]
    alive = psutil.Process(triggerer.pid)
    os.killpg(triggerer.pid, signal.SIGKILL)
    alive.wait(timeout=30)
    house.up()
    assert house.processes()["airflow-triggerer"].pid != triggerer.pid
    return run


@pytest.fixture(scope="module")
def built(waiting: DagRun, api: AirflowApi, conf: dict[str, bool]) -> DagRun:
    run = api.trigger(f"build_{MODEL}", conf={"as_of": AS_OF.isoformat(), "reason": "test", **conf})
    return api.wait(run, seconds=SECONDS)


@pytest.fixture(scope="module")
def judged(built: DagRun, api: AirflowApi, settings: Settings, conf: dict[str, bool]) -> DagRun:
    assert built.state == "success", api.failure(built)
    spec = find_spec(settings.specs, MODEL)
    _wait_until_served(settings)
    bring_online(spec, settings, since=WEEK, until=WEEK + timedelta(days=7))
    rows = callers_entities(spec, settings, start=WEEK, end=WEEK + timedelta(days=7))
    answered = sum(count for count, _ in ask(settings.serving, spec, rows))
    assert answered == len(rows)
    api.backfill(f"monitor_{MODEL}", start=WEEK, end=WEEK, conf=conf)
    run = api.wait_for_run(f"monitor_{MODEL}", lambda run: run.kind == "backfill", seconds=60)
    return api.wait(run, seconds=SECONDS)


@contextmanager
def another(settings: Settings, user: str) -> Iterator[AirflowApi]:
    """Yield the API as another of the users that ``make up`` made."""
    password = json.loads((settings.state / "airflow" / "secrets" / "passwords.json").read_text())[user]
    with AirflowApi(settings.airflow, user=user, password=password) as api:
        yield api


def asked(run_id: str, api: AirflowApi) -> DagRun:
    """Return a run that waits for a person's yes to what a build of this name has made."""
    api.wait_for_dags({"ask_flight_delay"}, seconds=120)
    run = api.trigger("ask_flight_delay", conf={}, run_id=run_id)
    api.wait_for_task(run, "approve", "awaiting_input", seconds=120)
    time.sleep(PERSON_SECONDS)
    return run


def _twin(run: DagRun, settings: Settings, *, name: str) -> str:
    """Return the name of another build that came to the same as ``run`` and that nobody was asked about."""
    of = partial(RunFolder.of, settings.runs, model=MODEL, pipeline="build")
    shutil.copytree(of(run_id=run.run_id).path, of(run_id=f"{run.run_id}_{name}").path)
    return f"{run.run_id}_{name}"


def _answer(person: AirflowApi, run: DagRun, settings: Settings, option: str, *, reason: str | None) -> None:
    """Answer, and again if asked again, until the task has heard it: on a busy machine an answer may be lost."""
    before = len(Ledger(settings.ledger).entries(MODEL, Kind.APPROVAL))
    for _ in range(3):
        person.answer(run, "approve", option, reason=reason)
        asked_since, deadline = None, time.monotonic() + 60
        while asked_since is None or time.monotonic() - asked_since < PERSON_SECONDS:
            assert time.monotonic() < deadline, person.tasks(run)
            if len(Ledger(settings.ledger).entries(MODEL, Kind.APPROVAL)) > before:
                return
            waits = person.tasks(run)["approve"] == "awaiting_input"
            asked_since = (asked_since or time.monotonic()) if waits else None
            time.sleep(0.5)
    raise AssertionError(f"{option} never reached the task, which asked for it again and again")


def _asked_again(api: AirflowApi, run: DagRun, settings: Settings) -> str:
    """Return what people were told of the task that asks anew."""
    deadline = time.monotonic() + 120
    while api.tasks(run)["approve"] != "awaiting_input" or len(told := _facts(settings)) < 2:
        assert time.monotonic() < deadline, api.tasks(run)
        time.sleep(0.5)
    time.sleep(PERSON_SECONDS)
    return told[0]


def _next_approval(settings: Settings, *, after: int) -> dict[str, Any]:
    """Return what the ledger says of the answer that follows the first ``after``."""
    deadline = time.monotonic() + 120
    while len(entries := Ledger(settings.ledger).entries(MODEL, Kind.APPROVAL)) <= after:
        assert time.monotonic() < deadline, "the answer never reached the task"
        time.sleep(0.5)
    return dict(entries[after].body)


def _facts(settings: Settings) -> tuple[str, ...]:
    return open_incidents(settings.alerts, MODEL)["approval"].facts


def _wait_until_served(settings: Settings) -> None:
    httpx.post(f"{settings.serving}/v1/models/{MODEL}/reload", timeout=60).raise_for_status()


def test_the_scheduler_runs_a_build_from_check_to_promotion(built: DagRun, api: AirflowApi) -> None:
    states = api.tasks(built)

    assert built.state == "success", api.failure(built)
    assert states["promote"] == "success"
    assert set(states.values()) == {"success"}


def test_a_promoted_release_carries_its_lineage(built: DagRun, settings: Settings) -> None:
    assert built.state == "success"

    (promotion,) = Ledger(settings.ledger).entries(MODEL, Kind.PROMOTION)

    assert promotion.body["version"] == "1"
    assert promotion.end == AS_OF


def test_a_person_is_asked_with_the_evidence_and_a_no_without_a_reason_is_asked_for_again(
    built: DagRun, api: AirflowApi, settings: Settings
) -> None:
    run = asked(built.run_id, api)
    first = api.question(run, "approve")
    with another(settings, "viewer") as viewer, pytest.raises(ServiceError, match="403"):
        viewer.answer(run, "approve", "Approve", reason="I may not")
    with another(settings, "operator") as operator:
        _answer(operator, run, settings, "Refuse", reason=None)
        second = _asked_again(api, run, settings)
        _answer(operator, run, settings, "Approve", reason="looks right")

    run = api.wait(run, seconds=120)

    said = [entry.body for entry in Ledger(settings.ledger).entries(MODEL, Kind.APPROVAL)]
    assert api.tasks(run) == {"approve": "success", "promote": "success"}, api.failure(run)
    assert [(body["by"], body["answer"], body["version"]) for body in said] == [
        ("operator", "void", "1"), ("operator", "approved", "1"),
    ]  # fmt: skip
    assert "started by admin" in first
    assert "There is none: this is the first version" in first
    assert second == "an answer did not count: operator refused it and did not say why; a no needs a reason"
    assert "approval" not in open_incidents(settings.alerts, MODEL)

    api.clear(run, "approve")  # as Airflow itself does where it loses a task that has just heard the answer
    run = api.wait(run, seconds=120)

    assert api.tasks(run) == {"approve": "success", "promote": "success"}, api.failure(run)
    assert [entry.body for entry in Ledger(settings.ledger).entries(MODEL, Kind.APPROVAL)] == said


def test_the_scheduler_runs_a_monitor_that_judges_a_replayed_week(
    judged: DagRun, api: AirflowApi, settings: Settings
) -> None:
    assert judged.state == "success", api.failure(judged)

    (entry,) = Ledger(settings.ledger).windows(MODEL)

    assert (entry.start, entry.end) == (WEEK, WEEK + timedelta(days=7))
    assert entry.body["rows"] > 6000
    assert entry.body["version"] == "1"
    assert entry.body["decision"]["sentence"]
    assert [(c["status"], c["observed"]) for c in entry.body["verdict"]["checks"] if c["name"] == "skew"] == [
        ("HEALTHY", 0.0)
    ], "what was read by key is what training would have joined"
    assert {"auc", "log_loss"} <= set(entry.body["signals"]["estimated"])
    assert {"origin = EWR", "origin = JFK", "origin = LGA"} <= set(entry.body["segments"])


def test_who_waits_goes_on_with_the_verdict_although_its_triggerer_was_killed(
    waiting: DagRun, judged: DagRun, api: AirflowApi, settings: Settings
) -> None:
    run = api.wait(waiting, seconds=120)

    (entry,) = Ledger(settings.ledger).windows(MODEL)
    found = api.returned(run, "wait")
    assert run.state == "success", api.failure(run)
    assert (found["answer"], found["entry"]) == ("go on", entry.id)
    assert api.link(run, "wait", "Ledger") == f"/nightshift/models/{MODEL}/ledger?before={entry.id + 1}"


def test_a_run_that_takes_too_long_is_told_of_while_it_goes_on(waiting: DagRun, settings: Settings) -> None:
    deadline = time.monotonic() + 120
    while not (told := open_incidents(settings.alerts, MODEL).get("score late")):
        assert time.monotonic() < deadline, "nobody was told"
        time.sleep(0.5)

    assert told.title == f"{MODEL}: score_{MODEL} is not over yet"
    assert told.facts == (f"run {waiting.run_id}",)


def test_the_runs_page_shows_verdict_and_decision(judged: DagRun, api: AirflowApi, settings: Settings) -> None:
    (entry,) = Ledger(settings.ledger).windows(MODEL)

    note = api.run(judged.dag, judged.run_id).note

    assert note is not None
    assert entry.body["verdict"]["status"] in note
    assert entry.body["decision"]["sentence"] in note


def test_a_nightly_run_outside_the_calendar_is_green_and_builds_nothing(
    judged: DagRun, api: AirflowApi, settings: Settings
) -> None:
    """Unpausing starts the newest missed night, which is long after the example's year."""
    assert judged.state == "success"
    run = api.wait_for_run(f"build_{MODEL}", lambda run: run.kind == "scheduled", seconds=60)

    ended = api.wait(run, seconds=SECONDS)

    assert ended.state == "success"
    assert api.tasks(ended)["train"] == "skipped"


def test_the_scheduler_certifies_the_release(
    judged: DagRun, api: AirflowApi, settings: Settings, conf: dict[str, bool]
) -> None:
    """A release of a checkout under work cannot be made again: the same run then says so, and ends red."""
    assert judged.state == "success"

    run = api.wait(api.trigger(f"reproduce_{MODEL}", conf={"version": "1", "reason": "test"}), seconds=SECONDS)

    (entry,) = Ledger(settings.ledger).entries(MODEL, Kind.CERTIFICATE)
    assert entry.body["identical"] is not conf["allow_unreproducible"]
    expected = ("failed", "skipped", "failed") if conf["allow_unreproducible"] else ("success",) * 3
    assert (run.state, api.tasks(run)["rebuild"], api.tasks(run)["certify"]) == expected, api.failure(run)


def test_the_form_refuses_a_field_that_is_no_moment(api: AirflowApi) -> None:
    with pytest.raises(Exception, match="as_of"):
        api.trigger(f"build_{MODEL}", conf={"as_of": 5})


def test_serving_refuses_a_bad_row_with_column_and_rule(judged: DagRun, settings: Settings) -> None:
    assert judged.state == "success"

    answer = httpx.post(f"{settings.serving}/v1/models/{MODEL}/predict", json={"row": {"carrier": 3}}, timeout=10)

    assert answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY
    assert {problem["column"] for problem in answer.json()["problems"]} >= {"carrier", "distance"}


def test_the_readmes_first_curls_get_an_answer_and_then_a_clear_refusal(judged: DagRun, settings: Settings) -> None:
    readme = (find_project() / "README.md").read_text()
    scripts = [
        script for script in re.findall(r"^```bash\n(.*?)^```", readme, re.MULTILINE | re.DOTALL) if "curl" in script
    ]

    look, ask_one, ask_wrong = (
        subprocess.run(
            ["bash", "-ec", script.replace("http://127.0.0.1:8000", settings.serving)],
            capture_output=True, text=True, check=True, timeout=30,
        ).stdout
        for script in scripts
    )  # fmt: skip

    assert MODEL in look
    (answer,) = json.loads(ask_one)["predictions"]
    assert 0 < answer["probability"] < 1
    assert answer["problems"] == []
    problems = {(one["column"], one["rule"]): one for one in json.loads(ask_wrong)["problems"]}
    assert problems["distance", "type"]["value"] == "far"
    assert ("origin", "category") in problems
    assert ("carrier", "missing") in problems


def test_a_run_folder_is_below_the_state_folder(built: DagRun, settings: Settings) -> None:
    assert built.state == "success"

    folders = list((settings.runs / MODEL / "build").iterdir())

    assert any((folder / "release.json").exists() for folder in folders)
    assert all(Path(settings.state) in folder.parents for folder in folders)


# ---------------------------------------------------------------- what operators do


@pytest.fixture(scope="module")
def second(judged: DagRun, api: AirflowApi, conf: dict[str, bool]) -> DagRun:
    """A later version is promoted after the first; the tests above have counted by then."""
    assert judged.state == "success", api.failure(judged)
    run = api.trigger(f"build_{MODEL}", conf={"as_of": LATER.isoformat(), "reason": "test", **conf})
    return api.wait(run, seconds=SECONDS)


def _wait_until_answers(settings: Settings, version: str) -> float:
    """Return the moment at which ``version`` answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = httpx.get(f"{settings.serving}/v1/models/{MODEL}", timeout=5)
        if answer.is_success and answer.json()["version"] == version:
            return time.time()
        time.sleep(0.1)
    raise AssertionError(f"version {version} does not answer after a minute")


def test_an_operator_goes_back_and_serving_follows(second: DagRun, api: AirflowApi, settings: Settings) -> None:
    assert second.state == "success", api.failure(second)
    _wait_until_answers(settings, "2")
    began = time.time()

    run = api.trigger(f"promote_{MODEL}", conf={"reason": "the new one is odd"})
    served = _wait_until_answers(settings, "1")
    run = api.wait(run, seconds=60)

    assert run.state == "success", api.failure(run)
    promotion = Ledger(settings.ledger).entries(MODEL, Kind.PROMOTION)[-1]
    assert (promotion.body["version"], promotion.body["before"]) == ("1", "2")
    assert (promotion.body["user"], promotion.body["reason"]) == ("admin", "the new one is odd")
    moved = Ledger(settings.ledger).entries(MODEL, Kind.PAUSE)[-1].at.timestamp()
    print(f"\nform to answers {served - began:.1f} s, of which alias to answers {served - moved:.1f} s")
    assert served - moved <= TO_SERVING_SECONDS


def test_a_version_that_does_not_exist_is_refused_and_nothing_changes(
    second: DagRun, api: AirflowApi, settings: Settings
) -> None:
    run = api.trigger(f"promote_{MODEL}", conf={"reason": "a slip", "version": "99"})
    run = api.wait(run, seconds=120)

    assert run.state == "failed"
    assert "has no version 99" in api.failure(run)
    assert len(Ledger(settings.ledger).entries(MODEL, Kind.PAUSE)) == 1


def test_automatic_promotion_goes_on_when_a_person_says_so(second: DagRun, api: AirflowApi, settings: Settings) -> None:
    run = api.trigger(f"promote_{MODEL}", conf={"reason": "understood", "resume": True})
    run = api.wait(run, seconds=120)

    (resumed,) = Ledger(settings.ledger).entries(MODEL, Kind.RESUME)
    assert (run.state, resumed.body["user"]) == ("success", "admin")


# ---------------------------------------------------------------- what operators see


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def signed_in(browser: Browser, settings: Settings) -> Person:
    return Person(browser, settings, "operator").sign_in()


@pytest.fixture
def operator(second: DagRun, signed_in: Person) -> Iterator[Person]:
    assert second.state == "success"
    yield signed_in
    assert signed_in.complaints == []


@pytest.mark.parametrize("path", ["/", f"/models/{MODEL}", f"/dags/monitor_{MODEL}", "/static/page.css"])
def test_a_logged_out_caller_gets_nothing_of_the_page(judged: DagRun, settings: Settings, path: str) -> None:
    answer = httpx.get(f"{settings.airflow}/nightshift{path}", timeout=30)

    assert answer.status_code == httpx.codes.UNAUTHORIZED
    assert MODEL not in answer.text


@needs_chromium
def test_an_operator_clicks_a_cell_and_reads_both_distributions(operator: Person, settings: Settings) -> None:
    entry = Ledger(settings.ledger).windows(MODEL)[-1]
    frame = operator.open_models()

    frame.get_by_role("link", name=MODEL).first.click()
    frame.get_by_role("row", name="carrier", exact=False).locator("a[data-p]").last.click()

    panel = frame.locator("#column")
    expect(panel.get_by_role("heading")).to_contain_text("carrier")
    expect(panel.locator(".sides tbody tr").nth(1)).to_contain_text(f"{entry.body['rows']:,}")
    shown = panel.locator("canvas").evaluate(
        "canvas => Chart.getChart(canvas).data.datasets.map(one => one.data.length)"
    )
    assert shown[0] == shown[1] > 5
    expect(frame.locator(".verdict")).to_contain_text(entry.body["verdict"]["status"])
    expect(frame.locator(".verdict .story")).to_contain_text("What was decided")


@needs_chromium
def test_the_heat_map_is_walked_by_keyboard_and_the_charts_follow_the_theme(operator: Person) -> None:
    page = operator.page
    page.goto(f"{operator.settings.airflow}/nightshift/models/{MODEL}")

    page.locator("table[data-grid] a[tabindex='0']").focus()
    before = page.evaluate("document.activeElement.href")
    page.keyboard.press("ArrowDown")
    after, name = page.evaluate("[document.activeElement.href, document.activeElement.title]")
    page.keyboard.press("Enter")

    assert before != after
    assert "PSI" in name
    page.wait_for_url(after)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.set_viewport_size({"width": 360, "height": 700})
    # charts follow a moment later; ``wait_for_function`` would look again by an eval, which the page forbids
    expect(page.locator("html")).to_have_js_property("scrollWidth", 360, timeout=PATIENCE_MS)


@needs_chromium
def test_each_dag_of_a_model_has_its_page_as_a_tab(operator: Person) -> None:
    for pipeline in ("build", "monitor"):
        operator.page.goto(f"{operator.settings.airflow}/dags/{pipeline}_{MODEL}")

        operator.page.get_by_role("link", name="Model", exact=True).click()

        expect(operator.frame.get_by_role("heading", name=MODEL)).to_be_visible(timeout=PATIENCE_MS)


@needs_chromium
def test_the_form_of_a_build_refuses_a_wrong_value_and_takes_a_right_one(operator: Person, api: AirflowApi) -> None:
    before = len(api.runs(f"build_{MODEL}"))
    form = operator.open_form("Build…", model=MODEL)
    rest = '"promote": false, "allow_unreproducible": false'

    operator.write_json(form, f'{{"as_of": "yesterday", "reason": "a slip", {rest}}}')
    start(form)
    expect(form).to_contain_text("'yesterday'")
    assert len(api.runs(f"build_{MODEL}")) == before

    operator.write_json(form, f'{{"as_of": "2013-05-01", "reason": "asked by a form", {rest}}}')
    start(form)
    run = api.wait_for_run(f"build_{MODEL}", lambda run: run.conf.get("reason") == "asked by a form", seconds=60)
    assert run.conf["as_of"] == "2013-05-01"


@needs_chromium
@pytest.mark.parametrize(
    ("option", "said", "promotes"), [("Refuse", "refused", "skipped"), ("Approve", "approved", "success")]
)
def test_an_operator_reads_the_evidence_and_answers_in_the_browser(
    operator: Person,
    second: DagRun,
    api: AirflowApi,
    settings: Settings,
    option: str,
    said: str,
    promotes: str,
) -> None:
    run = asked(_twin(second, settings, name=option), api)
    before = len(Ledger(settings.ledger).entries(MODEL, Kind.APPROVAL))

    operator.page.goto(f"{settings.airflow}/dags/{run.dag}/runs/{run.run_id}/tasks/approve/required_actions")
    expect(operator.page.get_by_text("Beside the champion, version 1")).to_be_visible(timeout=PATIENCE_MS)
    operator.write_reason(f"{option} after a look")
    operator.page.get_by_test_id(f"hitl-option-{option}").click()
    answer = _next_approval(settings, after=before)
    run = api.wait(run, seconds=120)

    assert api.tasks(run) == {"approve": "success", "promote": promotes}, api.failure(run)
    assert (answer["answer"], answer["by"]) == (said, "operator")
    assert (answer["version"], answer["reason"]) == ("2", f"{option} after a look")


@needs_chromium
def test_an_operator_rolls_back_from_the_page(operator: Person, api: AirflowApi, settings: Settings) -> None:
    ledger = Ledger(settings.ledger)
    before = ledger.entries(MODEL, Kind.PROMOTION)[-1].body

    form = operator.open_form("Roll back…", model=MODEL)
    expect(form.get_by_test_id("trigger-dag-submit")).to_be_disabled()  # it says that a reason is required
    form.locator("#element_version").fill(before["before"])  # the one before by hand would be none
    operator.write_reason("seen on the page")
    start(form)

    run = api.wait_for_run(f"promote_{MODEL}", lambda run: run.conf.get("reason") == "seen on the page", seconds=60)
    run = api.wait(run, seconds=120)
    assert run.state == "success", api.failure(run)
    _wait_until_answers(settings, before["before"])
    after = ledger.entries(MODEL, Kind.PROMOTION)[-1].body
    assert (after["version"], after["user"], after["reason"]) == (before["before"], "operator", "seen on the page")
    page = operator.page
    page.goto(f"{settings.airflow}/nightshift/models/{MODEL}")
    expect(page.locator("aside")).to_contain_text(f"version {after['version']}")
    expect(page.locator("main")).to_contain_text("Automatic promotion is paused by operator: seen on the page")


@needs_chromium
def test_a_viewer_sees_the_page_and_can_start_nothing(second: DagRun, browser: Browser, settings: Settings) -> None:
    viewer = Person(browser, settings, "viewer").sign_in()

    viewer.open_models().get_by_role("link", name=MODEL).first.click()

    expect(viewer.frame.locator("aside")).to_contain_text("You may look at this model, and start nothing.")
    expect(viewer.frame.locator("aside a")).to_have_count(0)
    asked = {"logical_date": None, "conf": {"reason": "a viewer"}}
    refused = viewer.page.request.post(f"{settings.airflow}/api/v2/dags/promote_{MODEL}/dagRuns", data=asked)
    assert refused.status == httpx.codes.FORBIDDEN
    assert viewer.complaints == []
