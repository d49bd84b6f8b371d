"""What operators do in Airflow, on real components: go back to an earlier version, and let builds go live again."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import httpx
import pytest

from nightshift.ledger import Kind, Ledger
from nightshift.lineage.code import read_code
from nightshift.pipelines.steps import STEPS
from nightshift.services.airflow_api import AirflowApi
from nightshift.services.house import House, sign_in
from nightshift.settings import Settings, find_project

MODEL = "flight_delay"
MOMENTS = (datetime(2013, 5, 1, tzinfo=UTC), datetime(2013, 6, 1, tzinfo=UTC))
SECONDS = 600.0
TO_SERVING_SECONDS = 10.0
"""What the operators are promised, from the alias to the answers."""

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    state = tmp_path_factory.mktemp("state")
    house = House(Settings.load(state=state))
    try:
        house.up()
        yield Settings.load(state=state)
    finally:
        house.down()


@pytest.fixture(scope="module")
def api(settings: Settings) -> Iterator[AirflowApi]:
    """Two versions were built and promoted, one after the other."""
    user, password = sign_in(settings)
    with AirflowApi(settings.airflow, user=user, password=password) as api:
        api.wait_for_dags({f"{pipeline}_{MODEL}" for pipeline in STEPS}, seconds=120)
        api.unpause(f"build_{MODEL}")
        for moment in MOMENTS:
            dirty = bool(read_code(find_project()).problems())
            conf = {"as_of": moment.isoformat(), "reason": "test", "allow_unreproducible": dirty}
            run = api.wait(api.trigger(f"build_{MODEL}", conf=conf), seconds=SECONDS)
            assert run.state == "success", api.failure(run)
        yield api


def _wait_until_served(settings: Settings, version: str) -> float:
    """Return the moment at which ``version`` answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        answer = httpx.get(f"{settings.serving}/v1/models/{MODEL}", timeout=5)
        if answer.is_success and answer.json()["version"] == version:
            return time.time()
        time.sleep(0.1)
    raise AssertionError(f"version {version} does not answer after a minute")


def test_an_operator_goes_back_and_serving_follows(api: AirflowApi, settings: Settings) -> None:
    _wait_until_served(settings, "2")
    began = time.time()

    run = api.trigger(f"promote_{MODEL}", conf={"reason": "the new one is odd"})
    served = _wait_until_served(settings, "1")
    run = api.wait(run, seconds=60)

    assert run.state == "success", api.failure(run)
    promotion = Ledger(settings.ledger).entries(MODEL, Kind.PROMOTION)[-1]
    assert (promotion.body["version"], promotion.body["before"]) == ("1", "2")
    assert (promotion.body["user"], promotion.body["reason"]) == ("admin", "the new one is odd")
    moved = Ledger(settings.ledger).entries(MODEL, Kind.PAUSE)[-1].at.timestamp()
    print(f"\nform to answers {served - began:.1f} s, of which alias to answers {served - moved:.1f} s")
    assert served - moved <= TO_SERVING_SECONDS


def test_a_version_that_does_not_exist_is_refused_and_nothing_changes(api: AirflowApi, settings: Settings) -> None:
    run = api.trigger(f"promote_{MODEL}", conf={"reason": "a slip", "version": "99"})
    run = api.wait(run, seconds=120)

    assert run.state == "failed"
    assert "has no version 99" in api.failure(run)
    assert len(Ledger(settings.ledger).entries(MODEL, Kind.PAUSE)) == 1


def test_automatic_promotion_goes_on_when_a_person_says_so(api: AirflowApi, settings: Settings) -> None:
    run = api.trigger(f"promote_{MODEL}", conf={"reason": "understood", "resume": True})
    run = api.wait(run, seconds=120)

    (resumed,) = Ledger(settings.ledger).entries(MODEL, Kind.RESUME)
    assert (run.state, resumed.body["user"]) == ("success", "admin")
