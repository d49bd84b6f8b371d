"""Whoever asks, a run knows what it was asked, and asks for the same however often it is tried."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.spec import a_spec
from factories.spine import DAY, a_day
from nightshift.errors import RequestError
from nightshift.files import canonical_json
from nightshift.pipelines.request import Asked, BuildRequest, Cause, MonitorRequest, outside_calendar
from nightshift.spec import ModelSpec

NOW = datetime(2013, 6, 1, 14, 30, tzinfo=UTC)
YEAR = {"column": "hour", "first": date(2013, 1, 1), "last": date(2013, 12, 31)}
ALIVE, OVER = a_spec(), a_spec(time=YEAR)
aware = st.datetimes(datetime(1950, 1, 1), datetime(2150, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - made aware


def airflow_said(run_type: str = "manual", **changes: Any) -> dict[str, Any]:
    """Return what ``StepOperator`` tells of a run that somebody started by hand without filling in the form."""
    form = {"as_of": None, "reason": "", "promote": True, "allow_unreproducible": False}
    usual = {
        "form": form,
        "events": [],
        "interval": [None, None],
        "run_after": NOW.isoformat(),
        "run_type": run_type,
        "user": None,
    }
    return usual | changes


def a_night(number: int) -> dict[str, Any]:
    """Return what is told of the scheduled run whose interval ends at 4 o'clock of day ``number``."""
    end = a_day(number) + timedelta(hours=4)
    return airflow_said("scheduled", interval=[(end - DAY).isoformat(), end.isoformat()])


def a_window(**form: Any) -> dict[str, Any]:
    """Return what is told of a run of the monitor that somebody started by hand."""
    return airflow_said(form={"start": None, "end": None, "allow_unreproducible": False} | form)


def build(said: dict[str, Any], spec: ModelSpec = ALIVE) -> BuildRequest:
    return BuildRequest.from_asked(spec, Asked.by_scheduler(said))


def monitor(said: dict[str, Any], spec: ModelSpec = ALIVE) -> MonitorRequest:
    return MonitorRequest.from_asked(spec, Asked.by_scheduler(said))


# ---------------------------------------------------------------- who asks


@pytest.mark.parametrize(
    ("run_type", "events", "cause"),
    [
        ("scheduled", [], Cause.NIGHT),
        ("asset_triggered", [{}], Cause.EVENT),
        ("asset_triggered", [], Cause.EVENT),
        ("manual", [], Cause.PERSON),
        ("backfill", [], Cause.PERSON),
        ("operator_triggered", [], Cause.PERSON),
        ("manual", [{}], Cause.EVENT),
    ],
)
def test_the_cause_of_a_run_is_a_night_an_event_or_a_person(run_type: str, events: list[Any], cause: Cause) -> None:
    assert Asked.by_scheduler(airflow_said(run_type, events=events)).cause is cause


# ---------------------------------------------------------------- builds


def test_the_form_outranks_the_event_the_event_the_interval_and_the_interval_the_moment_of_asking() -> None:
    form = {"as_of": "2013-02-01", "reason": "by hand"}
    event = {"as_of": "2013-03-01T00:00:00+00:00", "reason": "drift"}
    told = a_night(100) | {"events": [{"as_of": "2013-01-09"}, event], "form": form}

    requests = [build(told), build(told | {"form": {}}), build(a_night(100)), build(airflow_said())]

    assert [(request.as_of.date().isoformat(), request.reason) for request in requests] == [
        ("2013-02-01", "by hand"),
        ("2013-03-01", "drift"),
        ("2013-04-11", "nightly build"),
        ("2013-06-01", "asked for by hand"),
    ]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2013-05-01", datetime(2013, 5, 1, tzinfo=UTC)),
        ("2013-05-01T06:00Z", datetime(2013, 5, 1, 6, tzinfo=UTC)),
        ("2013-05-01T06:00:00+02:00", datetime(2013, 5, 1, 4, tzinfo=UTC)),
        ("20130501", datetime(2013, 5, 1, tzinfo=UTC)),
        (datetime(2013, 5, 1, tzinfo=UTC), datetime(2013, 5, 1, tzinfo=UTC)),
    ],
)
def test_a_moment_without_a_zone_is_utc(written: object, meant: datetime) -> None:
    request = build(airflow_said(form={"as_of": written}))

    assert request.as_of == meant
    assert request.as_of.tzinfo is UTC


@pytest.mark.parametrize(
    "written",
    ["yesterday", "2013-13-01", "2013-02-30", "{{ ds }}", "1", "now()", ["x"], {"a": 1}, 7, "2013-05-01T25:00",
     "٢٠١٣-٠٥-٠١", "1899-12-31", "0001-01-01T00:00+10:00", "9999-12-31T23:59-10:00", "2201-01-01"],
    ids=str,
)  # fmt: skip
def test_what_is_no_moment_is_refused_with_the_fields_name(written: object) -> None:
    with pytest.raises(RequestError, match=r"as_of is .*; give a moment"):
        build(airflow_said(form={"as_of": written}))


@pytest.mark.parametrize(
    "said", [airflow_said(form={"as_of": "2014-06-01"}), airflow_said(events=[{"as_of": "2012-06-01"}])]
)
def test_whoever_names_a_moment_beyond_the_calendar_is_told_what_the_source_knows(said: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="bikes knows days after 2013-01-01 and up to 2014-01-01"):
        build(said, OVER)


def test_a_person_who_names_none_gets_the_end_of_a_calendar_that_is_over() -> None:
    late = airflow_said(run_after="2026-01-01T10:00:00+00:00")

    assert build(late, OVER).as_of == datetime(2014, 1, 1, tzinfo=UTC)
    assert build(late).as_of == datetime(2026, 1, 1, tzinfo=UTC)


def test_a_night_beyond_the_calendar_is_left_to_end_quietly() -> None:
    request = build(a_night(400), OVER)

    assert request.cause is Cause.NIGHT
    assert outside_calendar(OVER, request.as_of) == (
        "nothing to do: bikes's source ended on 2013-12-31, before 2014-02-04"
    )


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        (a_day(0), "begins on 2013-01-01, after 2013-01-01"),
        (a_day(1), None),
        (a_day(365), None),
        (a_day(366), "ended on"),
    ],
)
def test_a_night_has_nothing_to_do_exactly_outside_the_calendar(moment: datetime, said: str | None) -> None:
    quiet = outside_calendar(OVER, moment)

    assert (quiet is None) if said is None else (said in str(quiet))


@given(st.booleans(), st.booleans())
def test_an_unreproducible_release_is_allowed_by_the_form_or_the_event_alone(form: bool, event: bool) -> None:
    said = airflow_said(form={"allow_unreproducible": form}, events=[{"allow_unreproducible": event}])

    assert build(said).allow_unreproducible is (form or event)


def test_nothing_unusual_is_allowed_unless_somebody_says_so() -> None:
    request = build(airflow_said(form={}))

    assert (request.promote, request.allow_unreproducible, request.user) == (True, False, None)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"promot": False}, "'promot'; did you mean 'promote'"),
        ({"dag": 1}, "'dag'; known are: as_of, reason, promote, allow"),
    ],
)
def test_a_misspelled_field_is_refused_before_it_promotes(form: dict[str, Any], said: str) -> None:
    with pytest.raises(RequestError, match=f"the form has a field {said}"):
        build(airflow_said(form=form))


def test_a_run_tried_again_days_later_asks_for_the_same() -> None:
    for said in (airflow_said(), a_night(9), airflow_said("asset_triggered", events=[{"as_of": "2013-02-01"}])):
        assert build(said).to_json() == build(dict(said)).to_json()
    assert build(airflow_said()).as_of == a_day(151)


# ---------------------------------------------------------------- windows


def test_a_night_judges_the_whole_days_before_its_interval_ends() -> None:
    request = monitor(a_window() | {"run_type": "scheduled", "interval": a_night(9)["interval"]})

    assert (request.start, request.end) == (a_day(8), a_day(9))


def test_a_window_of_weeks_ends_with_the_interval_too() -> None:
    request = monitor(a_window() | {"interval": a_night(21)["interval"]}, a_spec(monitor={"window": "1w"}))

    assert (request.start, request.end) == (a_day(14), a_day(21))


@given(st.integers(0, 10_000), st.sampled_from(["5m", "15m", "1h", "6h", "12h"]))
def test_windows_shorter_than_a_day_tile_the_hours(minutes: int, window: str) -> None:
    spec = a_spec(monitor={"window": window})
    size, began = spec.monitor.window, a_day(3) + timedelta(minutes=minutes)
    intervals = [(None, (began + turn * size).isoformat()) for turn in range(3)]

    windows = [monitor(a_window() | {"run_type": "scheduled", "interval": interval}, spec) for interval in intervals]

    assert all(later.start == earlier.end for earlier, later in pairwise(windows))
    assert timedelta(0) <= began - windows[0].end < size


@pytest.mark.parametrize(
    ("form", "window"),
    [
        ({"start": "2013-05-01", "end": "2013-05-03"}, (a_day(120), a_day(122))),
        ({"start": "2013-05-01"}, (a_day(120), a_day(121))),
        ({"end": "2013-05-03"}, (a_day(121), a_day(122))),
        ({"start": "", "end": None}, (a_day(150), a_day(151))),
        ({"start": "2013-05-01T06:00Z"}, (a_day(120) + timedelta(hours=6), a_day(121) + timedelta(hours=6))),
    ],
)
def test_a_person_may_name_one_end_or_both(form: dict[str, Any], window: tuple[datetime, datetime]) -> None:
    request = monitor(a_window(**form))

    assert (request.start, request.end) == window


@pytest.mark.parametrize("end", ["2013-05-01", "2013-04-01"])
def test_a_window_of_no_time_is_refused(end: str) -> None:
    with pytest.raises(RequestError, match=r"start .* is not before its end .*; swap or move them"):
        monitor(a_window(start="2013-05-01", end=end))


def test_a_window_beyond_the_calendar_is_refused_to_a_person() -> None:
    with pytest.raises(RequestError, match="end is 2014-06-01"):
        monitor(a_window(end="2014-06-01"), OVER)


# ---------------------------------------------------------------- written down


@given(
    st.builds(
        BuildRequest, aware, st.sampled_from(Cause), st.text(), st.booleans(), st.booleans(), st.none() | st.text()
    )
    | st.builds(MonitorRequest, aware, aware, st.sampled_from(Cause), st.booleans(), st.none() | st.text())
)
def test_a_request_comes_back_from_json_as_it_was(request_: BuildRequest | MonitorRequest) -> None:
    written = request_.to_json()

    assert type(request_).from_json(written) == request_
    assert canonical_json(written)
