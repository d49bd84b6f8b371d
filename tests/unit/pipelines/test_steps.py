"""Steps have one order, one request and one run folder, with a scheduler or without."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from factories.spec import write_spec
from factories.spine import DAY, a_day
from nightshift.errors import NightshiftError, RunFolderError, SpecError, UnavailableError
from nightshift.pipelines import steps
from nightshift.pipelines.request import Asked
from nightshift.pipelines.steps import STEPS, find_step, open_work, run_all, run_step
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.settings import Settings

SAID = {
    "form": {},
    "events": [],
    "interval": [None, None],
    "run_after": "2013-06-01T14:30:00+00:00",
    "run_type": "manual",
    "user": "ops",
}
Play = Callable[..., list[str]]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A project with the declaration of ``bikes``, as a scheduler's process would find it."""
    write_spec(tmp_path / "specs")
    monkeypatch.setenv("NIGHTSHIFT_SPECS", str(tmp_path / "specs"))
    monkeypatch.setenv("NIGHTSHIFT_STATE", str(tmp_path / "state"))
    return Settings.load()


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Put a play in the place of the real steps: what each returns or raises; return who was on stage."""

    def put(**acts: Outcome | Exception) -> list[str]:
        stage: list[str] = []

        def find(_pipeline: str, name: str) -> Callable[[Work], Outcome]:
            def act(_: Work) -> Outcome:
                stage.append(name)
                came = acts.get(name, Outcome(f"{name} is done"))
                if isinstance(came, Exception):
                    raise came
                return came

            return act

        # the one seam between the order of steps and the steps, where modules are imported by name
        monkeypatch.setattr(steps, "find_step", find)
        return stage

    return put


def asked(**form: Any) -> Asked:
    return Asked.by_person(now=a_day(151), user="ada", **form)


@pytest.mark.parametrize(("pipeline", "name"), [(pipeline, name) for pipeline in STEPS for name in STEPS[pipeline]])
def test_every_step_is_a_documented_function_of_its_own_name(pipeline: str, name: str) -> None:
    step = find_step(pipeline, name)

    assert getattr(step, "__name__", None) == name
    assert step.__doc__


def test_looking_at_a_run_makes_nothing_on_disk(settings: Settings) -> None:
    work = open_work("build", model="bikes", run_id="manual__1", settings=settings)

    assert work.holder == "build/manual__1"
    assert not settings.state.exists()


def test_an_unknown_model_has_no_work(settings: Settings) -> None:
    with pytest.raises(SpecError, match="did you mean 'bikes'"):
        open_work("build", model="bike", run_id="1", settings=settings)


@pytest.mark.parametrize("pipeline", sorted(STEPS))
def test_all_steps_run_in_their_order_and_say_what_they_did(settings: Settings, play: Play, pipeline: str) -> None:
    stage, heard = play(), []
    work = open_work(pipeline, model="bikes", run_id="1", settings=settings)

    form = {"promote": {"reason": "test"}, "operate": {"reason": "test", "action": "reset"}}.get(pipeline, {})

    last = run_all(pipeline, work, asked(**form), say=lambda name, outcome: heard.append((name, outcome.sentence)))

    assert stage == list(STEPS[pipeline])
    assert heard == [(name, f"{name} is done") for name in stage]
    assert last.sentence == heard[-1][1]


def test_a_step_that_stops_ends_the_run(settings: Settings, play: Play) -> None:
    stage = play(split=Outcome("already built", Then.STOP))

    last = run_all("build", open_work("build", model="bikes", run_id="1", settings=settings), asked())

    assert stage[-1] == "split"
    assert last == Outcome("already built", Then.STOP)


def test_a_step_with_nothing_to_do_is_passed_over(settings: Settings, play: Play) -> None:
    stage = play(
        alert=Outcome("nobody to tell", Then.SKIP), request_retraining=Outcome("no retrain, because", Then.SKIP)
    )

    last = run_all("monitor", open_work("monitor", model="bikes", run_id="1", settings=settings), asked())

    assert stage == list(STEPS["monitor"])
    assert last.sentence == "decide is done"


def test_a_run_asked_for_something_else_is_refused_before_its_first_step(settings: Settings, play: Play) -> None:
    stage = play()
    work = open_work("build", model="bikes", run_id="1", settings=settings)
    run_all("build", work, asked(as_of="2013-05-01"))
    before = len(stage)

    with pytest.raises(RunFolderError, match="as_of was '2013-05-01"):
        run_all("build", work, asked(as_of="2013-05-02"))

    assert len(stage) == before


def test_the_first_step_of_a_scheduler_settles_the_request_and_the_others_read_it(
    settings: Settings, play: Play
) -> None:
    stage = play()

    for name in ("check_versions", "snapshot", "check_versions"):
        run_step("build", name, model="bikes", run_id="r", asked=SAID)

    request = open_work("build", model="bikes", run_id="r", settings=settings).run.read("request.json")
    assert stage == ["check_versions", "snapshot", "check_versions"]
    assert (request["as_of"], request["user"]) == ("2013-06-01T00:00:00+00:00", "ops")


def test_a_later_step_never_settles_a_request(settings: Settings, play: Play) -> None:
    play()

    run_step("build", "train", model="bikes", run_id="r", asked=SAID)

    assert not (settings.runs / "bikes" / "build" / "r").exists()


def hold_lease(work: Work) -> None:
    work.ledger.take_lease("bikes", work.holder, now=work.now(), lasts=DAY)


def is_held(work: Work) -> bool:
    lease = work.ledger.lease("bikes")
    return lease is not None and lease.until > work.now()


@pytest.mark.parametrize("error", [NightshiftError("no"), ValueError("a bug")], ids=repr)
def test_a_build_that_failed_gives_its_lease_back(settings: Settings, play: Play, error: Exception) -> None:
    play(train=error)
    work = open_work("build", model="bikes", run_id="r", settings=settings)
    hold_lease(work)

    with pytest.raises(type(error), match=str(error)):
        run_step("build", "train", model="bikes", run_id="r", asked=SAID)

    assert not is_held(work)


def test_a_build_that_will_be_tried_again_keeps_its_lease(settings: Settings, play: Play) -> None:
    play(register=UnavailableError("away"))
    work = open_work("build", model="bikes", run_id="r", settings=settings)
    hold_lease(work)

    with pytest.raises(UnavailableError):
        run_step("build", "register", model="bikes", run_id="r", asked=SAID)

    assert is_held(work)


def test_a_build_that_failed_for_the_last_time_gives_its_lease_back(settings: Settings, play: Play) -> None:
    play(register=UnavailableError("away"))
    work = open_work("build", model="bikes", run_id="r", settings=settings)
    hold_lease(work)

    with pytest.raises(UnavailableError):
        run_step("build", "register", model="bikes", run_id="r", asked=SAID, is_last_try=True)

    assert not is_held(work)


def test_a_build_at_a_shell_that_nobody_tries_again_gives_its_lease_back(settings: Settings, play: Play) -> None:
    play(snapshot=UnavailableError("away"))
    work = open_work("build", model="bikes", run_id="r", settings=settings)
    hold_lease(work)

    with pytest.raises(UnavailableError):
        run_all("build", work, Asked.by_person(now=a_day(0)))

    assert not is_held(work)


def test_a_ledger_that_is_away_does_not_hide_why_a_build_failed(
    settings: Settings, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    play(train=NightshiftError("the reason"))
    monkeypatch.setenv("NIGHTSHIFT_LEDGER", "postgresql+psycopg2://127.0.0.1:1/ledger")

    with pytest.raises(NightshiftError, match="the reason"):
        run_step("build", "train", model="bikes", run_id="r", asked=SAID)


def test_a_monitor_that_failed_leaves_the_lease_of_a_build_alone(settings: Settings, play: Play) -> None:
    play(judge=NightshiftError("no"))
    build = open_work("build", model="bikes", run_id="r", settings=settings)
    hold_lease(build)

    with pytest.raises(NightshiftError):
        run_step("monitor", "judge", model="bikes", run_id="r", asked=SAID)

    assert is_held(build)
