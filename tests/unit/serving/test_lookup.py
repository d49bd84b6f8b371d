"""Asked by keys: the row that training would have had, or why not."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from factories.data import PROJECT, at, flight_source, flight_spec
from nightshift.data.tables import assemble_live, events_of
from nightshift.errors import FeaturesUnavailableError
from nightshift.features.declared import load_service
from nightshift.features.online import Online, micros, open_online
from nightshift.pipelines.materialise import bring_online
from nightshift.pipelines.recipe import recipe
from nightshift.predictions.record import Columns
from nightshift.profile.contract import ColumnRule, Contract
from nightshift.serving.answers import RefusalError
from nightshift.serving.lookup import NO_STORE, Lookup
from nightshift.serving.validation import Door, TurnedAwayError
from nightshift.settings import Settings
from nightshift.spec import Kind

SPEC = flight_spec()
START, END = at("2013-07-11"), at("2013-07-13")
LATER = micros(at("2026-01-01"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Return an installation whose online store knows two days of July."""
    found = Settings.load(project=PROJECT, online=f"sqlite:///{tmp_path_factory.mktemp('online') / 'online.db'}")
    bring_online(SPEC, found, since=START, until=END)
    return found


@pytest.fixture(scope="module")
def lookup(settings: Settings) -> Lookup:
    service = load_service(settings.features, "flight_delay")
    return Lookup(
        service, open_online(settings.online), key=SPEC.key, time=SPEC.time.column, known_before=SPEC.time.known_before
    )


def entities(start: datetime, end: datetime) -> list[dict[str, Any]]:
    """Return flights as a caller names them."""
    events = events_of(flight_source().extract(start, end), SPEC).sort_values([SPEC.time.column, SPEC.key])
    names = ["origin", "dest", "carrier", "tailnum", "scheduled_departure", "scheduled_arrival", "distance"]
    rows = events[[SPEC.key, *names]].astype(object).where(events[[SPEC.key, *names]].notna(), None).to_dict("records")
    return [{n: v.isoformat() if isinstance(v, datetime) else v for n, v in row.items()} for row in rows]


def test_what_is_read_by_key_is_what_training_would_join(lookup: Lookup) -> None:
    expected = assemble_live(
        flight_source(),
        SPEC,
        recipe(SPEC, Settings.load(project=PROJECT)),
        start=START,
        end=END,
        lookback=SPEC.time.lookback,
    )

    found = [row for row, _ in lookup.rows(entities(START, END), LATER)]

    for name in SPEC.features:
        wanted = expected[name].astype(object).where(expected[name].notna(), None).tolist()
        assert [row[name] for row in found] == wanted, name
    assert len(found) > 1500


def test_going_on_from_the_last_time_says_what_beginning_anew_says(lookup: Lookup, tmp_path: Path) -> None:
    settings = Settings.load(project=PROJECT, online=f"sqlite:///{tmp_path / 'online.db'}")
    for hour in (0, 5, 11, 24):
        bring_online(SPEC, settings, until=START + timedelta(hours=hour))
    asked = entities(START + timedelta(hours=20), START + timedelta(hours=24))
    service = load_service(settings.features, "flight_delay")
    again = Lookup(
        service, open_online(settings.online), key=SPEC.key, time=SPEC.time.column, known_before=SPEC.time.known_before
    )

    found = again.rows([dict(row) for row in asked], LATER)

    assert [row for row, _ in found] == [row for row, _ in lookup.rows(asked, LATER)]
    assert len(found) > 50


def test_an_unknown_entity_is_null_and_said_so(lookup: Lookup) -> None:
    (asked, *_) = entities(START, END)

    ((row, flaws),) = lookup.rows([{**asked, "tailnum": "N0", "carrier": None}], LATER)

    assert (row["plane_seats"], row["plane_age"], row["carrier_late_1d"]) == (None, None, None)
    assert {(flaw.column, flaw.rule) for flaw in flaws} == {
        ("plane_built", "not known"),
        ("plane_seats", "not known"),
        ("carrier_late_1d", "not known"),
        ("carrier_late_7d", "not known"),
    }


def test_a_store_that_has_not_heard_for_too_long_says_nothing_old(lookup: Lookup) -> None:
    (asked, *_) = entities(END + timedelta(hours=10), END + timedelta(hours=12))

    ((row, flaws),) = lookup.rows([asked], LATER)

    assert row["origin_late_1d"] is None
    assert row["plane_seats"] is not None, "the register of aircraft does not go stale"
    stale = [flaw for flaw in flaws if flaw.column == "origin_late_1d"]
    assert [flaw.rule for flaw in stale] == ["stale"]
    assert str(stale[0].allowed).endswith("known are those up to 2013-07-13 00:00")


def door_that(missing: str, default: float | None = None) -> Door:
    """Return the door of a model that learned from one feature of planes, and what it does with a null there."""
    rule = ColumnRule("plane_seats", Kind.NUMERIC, missing, "accept", 2.0, 450.0, default=default)  # type: ignore[arg-type]
    columns = Columns("seats", "1", "ab" * 32, "binary", {"plane_seats": "numeric"}, SPEC.key, SPEC.time.column)
    return Door(columns, Contract((rule,)), {})


def body_of(**changes: Any) -> bytes:
    (asked, *_) = entities(START, END)
    return json.dumps({"entities": [asked | changes]}).encode()


@pytest.mark.parametrize(("missing", "default", "taken"), [("accept", None, None), ("default", 150.0, 150.0)])
def test_the_contract_takes_a_null_or_a_default_for_an_unknown_entity_and_the_record_says_so(
    lookup: Lookup, missing: str, default: float | None, taken: float | None
) -> None:
    admitted = lookup.admit(door_that(missing, default), body_of(tailnum="N0"), LATER)

    assert admitted.rows == [(taken,)]
    assert str(admitted.matrix[0, 0]) == str(float("nan") if taken is None else taken)
    said = [(flaw.rule, flaw.refused) for flaw in admitted.flaws[0]]
    assert said == [*([("null", False)] if default else []), ("not known", False)]


def test_the_contract_refuses_an_unknown_entity_and_the_log_says_why(lookup: Lookup) -> None:
    with pytest.raises(TurnedAwayError) as refused:
        lookup.admit(door_that("refuse"), body_of(tailnum="N0"), LATER)

    (row,) = refused.value.rows
    assert [(flaw.column, flaw.rule, flaw.refused) for flaw in row.flaws] == [
        ("plane_seats", "null", True),
        ("plane_seats", "not known", False),
    ]
    assert refused.value.status == 422


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"carrier": ...}, "entity 0 lacks carrier"),
        ({"weekday": 4}, "entity 0 names 'weekday'"),
        ({"scheduled_departure": "tomorrow"}, '"rule":"time","value":"tomorrow","allowed":"ISO 8601 with an offset'),
        ({"scheduled_departure": "0001-01-01T00:00:00Z"}, '"allowed":"from 1970 to 366 days from now"'),
        ({"scheduled_arrival": "9999-01-01T00:00:00Z"}, '"column":"scheduled_arrival","rule":"time"'),
        ({"distance": "700"}, '"column":"distance","rule":"type","value":"700","allowed":"a number"'),
        ({"distance": True}, '"value":true,"allowed":"a number"'),
        ({"distance": [1], "carrier": {"a": 1}}, '"column":"carrier","rule":"type","value":"{\\"a\\":1}"'),
        ({"tailnum": 1.5}, '"column":"tailnum","rule":"type","value":1.5,"allowed":"text or a whole number"'),
    ],
)
def test_a_request_that_cannot_be_looked_up_is_told_why(lookup: Lookup, change: dict[str, Any], message: str) -> None:
    (asked, *_) = entities(START, END)
    asked = {name: value for name, value in (asked | change).items() if value is not ...}

    with pytest.raises(RefusalError) as refused:
        lookup.admit(None, json.dumps({"entities": [asked]}).encode(), LATER)  # type: ignore[arg-type]

    assert refused.value.status == 422
    assert message in refused.value.body.decode()


def test_a_model_without_a_service_says_so() -> None:
    with pytest.raises(RefusalError) as refused:
        NO_STORE.admit(None, b"", 0)

    assert refused.value.status == 409
    assert "no feature service" in refused.value.body.decode()


def test_a_store_that_did_not_answer_is_left_alone_for_a_moment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0

    class Silent:
        def read(self, _asked: Any) -> Any:
            nonlocal asked
            asked += 1
            raise FeaturesUnavailableError("nobody answers")

    service = load_service(settings.features, "flight_delay")
    lookup = Lookup(
        service,
        cast("Online", Silent()),
        key=SPEC.key,
        time=SPEC.time.column,
        known_before=SPEC.time.known_before,
    )
    body = json.dumps({"entities": entities(START, END)[:1]}).encode()

    def ask() -> RefusalError:
        with pytest.raises(RefusalError) as refused:
            lookup.admit(door_that("accept"), body, LATER)
        return refused.value

    first, second = ask(), ask()
    monkeypatch.setattr("nightshift.serving.lookup.PAUSE_SECONDS", 0.0)
    ask()

    assert (first.status, second.status, asked) == (503, 503, 2)
    assert "a moment ago" in second.error
    assert second.headers[b"retry-after"] == b"1"
