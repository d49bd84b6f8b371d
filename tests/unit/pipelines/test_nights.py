"""Nights on real files: judged, blocked, restated, decided once, asked whether it helped; and replayed."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from factories.model import a_model
from factories.monitoring import ADA
from factories.nights import DAY, Nights, OneRelease, rides_of, start_of, watched
from factories.spine import a_day
from nightshift.errors import RegistryUnavailableError
from nightshift.files import read_json, write_json
from nightshift.ledger import Kind, Lease, Ledger
from nightshift.pipelines import people
from nightshift.pipelines.rejudge import replay
from nightshift.pipelines.request import Asked, MonitorRequest
from nightshift.pipelines.situation import situation
from nightshift.pipelines.steps import find_step
from nightshift.pipelines.why import explain, lines
from nightshift.predictions.pinned import Pinned, note
from nightshift.spec import ModelSpec, with_policy
from nightshift.verdict import Check, Status, Verdict

SICK = {"distance": lambda values: values + 6.0}
BROKEN = {"speed": -1.0}


def status(nights: Nights, day: int) -> str:
    return str(nights.entry(day).body["verdict"]["status"])


def live(nights: Nights, *days: int, **columns: object) -> None:
    """Ask, label and judge each of ``days``."""
    for day in days:
        rows = rides_of(day, **columns)
        nights.ask(rows)
        nights.tell(rides_of(day))
        nights.judge(day)


# ---------------------------------------------------------------- judged


def test_a_quiet_night_is_healthy_and_its_signals_are_kept(tmp_path: Path) -> None:
    nights = watched(tmp_path)

    live(nights, 20, 21)

    body = nights.entry(21).body
    assert body["verdict"]["status"] == "HEALTHY"
    assert body["signals"]["judged"] == 400
    assert set(body["signals"]["realised"]) >= {"auc", "log_loss"}
    assert set(body["signals"]["estimated"]) >= {"auc", "log_loss"}
    assert abs(body["signals"]["estimate_errors"]["auc"]) < 0.05
    assert body["segments"]["zone = east"]["status"] == "HEALTHY"
    assert body["signals"]["gaps"] == []


def test_performance_is_of_the_newest_cohort_whose_labels_are_mature(tmp_path: Path) -> None:
    nights = watched(tmp_path, label={"column": "outcome", "matures_after": "2d"})

    live(nights, 20, 21, 22)

    cohort = nights.entry(22).body["signals"]["cohort"]
    assert (cohort["start"], cohort["end"]) == (start_of(20).isoformat(), start_of(21).isoformat())
    assert nights.entry(22).body["signals"]["labelled"] == 400
    assert nights.entry(21).body["signals"]["labelled"] == 0


def test_labels_that_changed_with_inputs_that_did_not_are_degraded_once_they_are_in(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    for day in (20, 21):
        nights.ask(rides_of(day))
        nights.tell(rides_of(day, outcome=lambda values: 1 - values))
        nights.judge(day)

    assert status(nights, 20) == "HEALTHY"
    assert status(nights, 21) == "DEGRADED"
    (reason, *_) = Verdict.from_json(nights.entry(21).body["verdict"]).reasons
    assert (reason.name, reason.subject, reason.rows) == ("performance:auc", "auc", 400)
    assert "auc is 0." in reason.sentence


def test_labels_that_moved_are_told_of_when_they_are_in(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    for day in (20, 21):
        nights.ask(rides_of(day))
        nights.tell(rides_of(day, outcome=lambda values: values.where(values.index % 5 > 3, 1.0)))
        nights.judge(day)

    told = [
        check for check in Verdict.from_json(nights.entry(21).body["verdict"]).checks if check.name == "label drift"
    ]

    assert [(check.subject, str(check.status), check.rows) for check in told] == [("labels", "DRIFTED", 400)]
    assert "the labels moved: PSI" in told[0].sentence


def test_one_segment_that_goes_wrong_is_named_and_told_of(tmp_path: Path) -> None:
    nights = watched(tmp_path, monitor={"limits": {"performance": {"auc": 0.3}}}, alerts={"cooldown": "0d"})
    for day in (20, 21):
        rows = rides_of(day, rows=1200)
        nights.ask(rows)
        nights.tell(rows.assign(outcome=rows["outcome"].where(rows["zone"] != "east", 1 - rows["outcome"])))
        nights.judge(day)

    segments = nights.entry(21).body["segments"]
    assert {name for name, one in segments.items() if one["status"] != "HEALTHY"} == {"zone = east"}
    assert segments["zone = east"]["why"].startswith("for zone = east, auc is 0.")
    assert "zone = east is DEGRADED" in (nights.folder / "alerts" / "rides.jsonl").read_text()


def test_an_alias_that_was_moved_by_hand_is_told_of_on_a_quiet_night(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    body = {"version": "1", "before": None, "run": "build/1"}
    nights.work("x").ledger.append(
        "rides", Kind.PROMOTION, start=start_of(0), end=start_of(0), body=body, now=a_day(50)
    )

    live(nights, 20)  # the registry of these nights has no alias

    told = (nights.folder / "alerts" / "rides.jsonl").read_text()
    assert status(nights, 20) == "HEALTHY"
    assert "points to no version, the ledger knows of version 1: it was moved in MLflow by hand" in told


def test_a_pin_is_told_of_once_on_a_quiet_night_and_so_is_its_end(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    folder = nights.settings.predictions / "rides"
    note(folder, Pinned("1", "ada", "2 refuses rain", a_day(1)))
    live(nights, 20, 21)
    note(folder, None)

    live(nights, 22)

    told = [json.loads(line) for line in (nights.folder / "alerts" / "rides.jsonl").read_text().splitlines()]
    assert ["pinned" in one["title"] for one in told] == [True, True]
    assert "pinned by ada" in told[0]["text"]
    assert "2 refuses rain" in told[0]["text"]


def test_people_are_told_of_a_window_although_the_registry_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: OneRelease, model: str) -> None:
        raise RegistryUnavailableError(f"the registry of {model} is away")

    nights = watched(tmp_path)
    monkeypatch.setattr(OneRelease, "champion", away)

    nights.judge(20)  # nobody asked anything: UNKNOWN

    assert "UNKNOWN from 2013-01-21 to 2013-01-22" in (nights.folder / "alerts" / "rides.jsonl").read_text()


def test_tried_again_people_are_not_told_again(tmp_path: Path) -> None:
    nights = watched(tmp_path)

    nights.judge(20, again=("alert",))

    assert len((nights.folder / "alerts" / "rides.jsonl").read_text().splitlines()) == 1


def test_nights_that_nobody_judged_are_told_of_until_they_are(tmp_path: Path) -> None:
    nights = watched(tmp_path, alerts={"cooldown": "0d"})
    for day in (20, 23, 24, 21, 22, 25):
        live(nights, day)

    told = [json.loads(line)["title"] for line in (nights.folder / "alerts" / "rides.jsonl").read_text().splitlines()]
    assert [title for title in told if "never judged" in title] == [
        "rides: windows were never judged (opened)",
        "rides: windows were never judged (resolved)",
    ]


def test_segments_with_too_few_rows_say_nothing(tmp_path: Path) -> None:
    nights = watched(tmp_path, monitor={"segment_rows_min": 10_000})

    live(nights, 20)

    assert nights.entry(20).body["segments"] == {}


def test_silence_is_unknown_and_labels_that_do_not_come_are_too(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    nights.tell(rides_of(19))
    for day in (20, 21):
        nights.ask(rides_of(day))
        nights.judge(day)
    nights.judge(30)

    assert status(nights, 20) == "HEALTHY"  # nothing was due yet
    assert status(nights, 21) == "UNKNOWN"
    assert "only 0% of the labels have come in" in nights.entry(21).body["why"]
    assert status(nights, 30) == "UNKNOWN"


# ---------------------------------------------------------------- broken


def test_a_broken_night_blocks_its_days_until_a_person_releases_them(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    live(nights, 20, **BROKEN)

    (block,) = nights.entries(Kind.BLOCK)
    people.release(nights.work("x").ledger, nights.spec, start_of(20), ADA)
    nights.judge(20, run_id="by hand")

    assert status(nights, 20) == "BROKEN"
    assert (block.start, block.end) == (start_of(20), start_of(21))
    assert any("speed" in reason for reason in block.body["reasons"])
    assert nights.entries(Kind.BLOCK) == [block], "what a person released is not blocked again"
    assert nights.entry(20).body["decision"]["rule"] == "broken"
    assert "nightshift release rides 2013-01-21" in (nights.folder / "alerts" / "rides.jsonl").read_text()


def test_a_snoozed_column_is_quiet_from_then_on(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    live(nights, 20, **SICK)
    before = status(nights, 20)

    ledger = nights.work("x").ledger
    for subject in ("distance", "output", "auc"):
        people.snooze(ledger, nights.spec, subject, ADA, lasts=10 * DAY)
    live(nights, 21, **SICK)

    quiet = Verdict.from_json(nights.entry(21).body["verdict"])
    assert before in ("DRIFTED", "DEGRADED")
    assert not [check for check in quiet.reasons if check.subject in ("distance", "output", "auc")]
    assert any("snoozed by ada" in check.sentence for check in quiet.checks)


# ---------------------------------------------------------------- decided


def test_a_retrain_is_asked_for_once_and_a_step_tried_again_changes_nothing(tmp_path: Path) -> None:
    nights = watched(tmp_path, governor={"wanted": 1, "nights": 1, "cooldown": "0d", "weekly": 7})
    rows = rides_of(20, **SICK)
    nights.ask(rows)
    nights.tell(rides_of(20))

    first = nights.judge(20, again=("look_back", "judge", "decide"))

    lease = nights.work("x").ledger.lease("rides")
    assert first.body["decision"]["retrain"]
    assert len(nights.entries(Kind.WINDOW)) == 1
    assert lease is not None
    assert lease.holder == first.body["run"], "from the decision on, nobody else may ask"

    live(nights, 21, **SICK)

    assert nights.entry(21).body["decision"]["rule"] == "building"


def test_no_hour_is_counted_twice_however_often_people_judge_it(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    ledger, work = nights.work("x").ledger, nights.work("judged")
    hour = timedelta(hours=1)
    for start, end, verdict in (
        (start_of(18), start_of(19), "HEALTHY"),
        (start_of(19), start_of(20), "DRIFTED"),
        (start_of(19) + hour, start_of(20), "DRIFTED"),  # by hand, of a part of that day
        (start_of(18) + hour, start_of(19) + hour, "DRIFTED"),  # by hand, across two days
        (start_of(20) + hour, start_of(21) + hour, "DRIFTED"),  # by hand, reaching into the window judged now
    ):
        body = {"verdict": {"status": verdict}, "version": "1", "decision": {"retrain": False}}
        ledger.append("rides", Kind.WINDOW, start=start, end=end, body=body, now=end)
    asked = Asked.by_person(now=start_of(22), start=start_of(21), end=start_of(22))
    work.run.begin(MonitorRequest.from_asked(nights.spec, asked).to_json())
    work.run.write("window.json", {"version": "1"})

    seen = situation(work, Status.DRIFTED)

    assert seen.earlier == ["HEALTHY", "DRIFTED"]


def test_two_windows_decided_at_once_ask_for_one_retrain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the question and the answer of one, the other asks, is built and ends: the budget was for one."""
    nights = watched(tmp_path, governor={"wanted": 1, "nights": 1, "cooldown": "0d"})
    for day in (20, 21):
        nights.ask(rides_of(day, **SICK))
        nights.tell(rides_of(day))
    reserve, late = Ledger.reserve, []

    def slow_reserve(ledger: Ledger, model: str, holder: str, **times: object) -> Lease | None:
        if not late:
            late.append(holder)
            nights.judge(20)
            ledger.end_lease(model, "monitor/night-20", now=datetime.now(UTC))
        return reserve(ledger, model, holder, **times | {"now": datetime.now(UTC)})  # type: ignore[arg-type]

    monkeypatch.setattr(Ledger, "reserve", slow_reserve)  # the seam: where the other one may come in between

    nights.judge(21)

    decisions = {entry.start: entry.body["decision"] for entry in nights.entries(Kind.WINDOW)}
    assert decisions[start_of(20)]["retrain"]
    assert decisions[start_of(21)]["rule"] == "budget"
    lease = nights.work("x").ledger.lease("rides")
    assert lease is not None
    assert lease.until <= datetime.now(UTC), "who does not ask keeps nobody waiting"


def test_a_build_that_has_begun_does_not_change_what_was_decided(tmp_path: Path) -> None:
    nights = watched(tmp_path, governor={"wanted": 1, "nights": 1})
    nights.ask(rides_of(20, **SICK))
    nights.tell(rides_of(20))
    nights.judge(20)
    work = nights.work("night-20")
    work.ledger.take_lease("rides", "build/b1", now=work.now(), lasts=timedelta(hours=6))

    find_step("monitor", "decide")(work)

    assert nights.entry(20).body["decision"]["retrain"]
    assert len(nights.entries(Kind.WINDOW)) == 1


def test_a_persons_wish_is_met_by_the_next_window(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    people.wish(nights.work("x").ledger, nights.spec, ADA)

    live(nights, 20)

    decision = nights.entry(20).body["decision"]
    assert (decision["retrain"], decision["trigger"]) == (True, "person")
    assert "ada (she looked) asked for it" in decision["sentence"]


def test_so_many_new_labels_ask_for_a_retrain(tmp_path: Path) -> None:
    nights = watched(tmp_path, governor={"new_labels": 700})
    ledger = nights.work("x").ledger
    ledger.append(
        "rides", Kind.PROMOTION, start=start_of(20), end=start_of(20), now=a_day(50),
        body={"version": "1", "before": None, "run": "build/x"},
    )  # fmt: skip

    live(nights, 20, 21, 22)

    assert [nights.entry(day).body["decision"]["trigger"] for day in (20, 21, 22)] == [None, None, "labels"]


# ---------------------------------------------------------------- looked back at


def test_a_late_label_restates_its_window_and_the_old_judgement_stays(tmp_path: Path) -> None:
    nights = watched(tmp_path, label={"column": "outcome", "matures_after": "1d", "coverage": 0.5})
    for day in (20, 21):
        nights.ask(rides_of(day))
    good, late = rides_of(20)[:250], rides_of(20, outcome=lambda values: 1 - values)[250:]
    nights.tell(good)
    nights.tell(late, known_after=timedelta(days=2, hours=1))
    nights.judge(21)
    nights.ask(rides_of(22))
    nights.tell(rides_of(21))
    nights.tell(rides_of(22))

    nights.judge(22)  # 110 late labels are known by now
    nights.judge(23)

    judged = [one for one in nights.entries(Kind.WINDOW) if one.start == start_of(21)]
    assert [one.body["signals"]["labelled"] for one in judged] == sorted(
        {one.body["signals"]["labelled"] for one in judged}
    )
    assert judged[0].body["verdict"]["status"] == "HEALTHY"
    assert judged[-1].body["signals"]["labelled"] == 400
    assert judged[-1].body["verdict"]["status"] == "DEGRADED"
    assert judged[-1].body["restated"]["was"] in ("HEALTHY", "DEGRADED")
    assert "labels are known than when it was judged" in judged[-1].body["restated"]["because"]
    assert judged[-1].body["decision"] == judged[0].body["decision"]
    assert "DEGRADED from 2013-01-22 to 2013-01-23, restated" in (nights.folder / "alerts" / "rides.jsonl").read_text()


def test_what_cannot_be_looked_back_at_keeps_no_night_from_its_verdict(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    nights.ask(rides_of(20))
    nights.tell(rides_of(20))
    nights.judge(20)
    nights.ask(replace_ids(rides_of(20), "late")[:50])
    registry = nights.settings.releases / "fake"
    shutil.move(registry / "1", registry / "2")
    nights.ask(rides_of(21), version="2")

    nights.judge(21)

    (told,) = nights.work("night-21").run.read("look_back.json")["told"]
    assert told.startswith("2013-01-21 cannot be judged again: ")
    assert nights.entry(21).body["version"] == "2"


def test_a_late_record_restates_only_its_window(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = watched(tmp_path)
    live(nights, 20, 21)
    late = replace_ids(rides_of(20), "late")
    nights.ask(late[:50])
    # the one seam: Great Expectations takes six seconds to be imported, and has tests of its own
    monkeypatch.setattr(
        "nightshift.pipelines.observe.validate", lambda work: work.run.write("quality.json", {"checks": []})
    )

    live(nights, 22)

    counts = {
        day: [one.body["rows"] for one in nights.entries(Kind.WINDOW) if one.start == start_of(day)]
        for day in (20, 21, 22)
    }
    assert counts[20] == [400, 450]
    assert counts[22] == [400]
    assert "50 more records" in nights.entry(20).body["restated"]["because"]


KILOMETRES = Check("skew", Status.BROKEN, "distance", "distance is not what training would have", 1.0, 0.01, 400)


def skewed(nights: Nights, day: int) -> None:
    """Let the window of a day be found skewed: ``rides`` has no feature service, so its own step finds nothing."""
    nights.work(f"night-{day}").run.write("skew.json", {"format": 1, "checks": [KILOMETRES.to_json()]})


def test_a_late_record_does_not_mend_a_window_that_was_made_from_other_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nights = watched(tmp_path)
    skewed(nights, 20)
    live(nights, 20)
    nights.ask(replace_ids(rides_of(20), "late")[:50])
    monkeypatch.setattr(
        "nightshift.pipelines.observe.validate", lambda work: work.run.write("quality.json", {"checks": []})
    )

    live(nights, 21)

    assert nights.entry(20).body["restated"]["was"] == "BROKEN"
    assert nights.entry(20).body["verdict"]["status"] == "BROKEN"
    assert "distance is not what training would have" in nights.entry(20).body["why"]


def test_a_late_label_does_not_mend_it_either(tmp_path: Path) -> None:
    nights = watched(tmp_path, label={"column": "outcome", "matures_after": "1d", "coverage": 0.5})
    for day in (20, 21):
        nights.ask(rides_of(day))
    nights.tell(rides_of(20)[:250])
    nights.tell(rides_of(20)[250:], known_after=timedelta(days=2, hours=1))
    skewed(nights, 21)
    nights.judge(21)
    nights.ask(rides_of(22))

    nights.judge(22)
    nights.judge(23)

    assert nights.entry(21).body["signals"]["labelled"] == 400
    assert nights.entry(21).body["verdict"]["status"] == "BROKEN"


def test_with_late_records_features_are_compared_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nights = watched(tmp_path)
    live(nights, 20)
    nights.ask(replace_ids(rides_of(20), "late")[:50])
    monkeypatch.setattr(
        "nightshift.pipelines.observe.validate", lambda work: work.run.write("quality.json", {"checks": []})
    )
    # the other seam: a model with a feature service has tests of its own, and takes real flights
    monkeypatch.setattr(
        "nightshift.pipelines.skew.skew", lambda work: work.run.write("skew.json", {"checks": [KILOMETRES.to_json()]})
    )

    live(nights, 21)

    assert nights.entry(20).body["verdict"]["status"] == "BROKEN"


def replace_ids(rows: object, word: str) -> object:
    return rows.assign(ride_id=[f"{word}-{name}" for name in rows["ride_id"]])  # type: ignore[attr-defined]


def test_after_a_retrain_both_models_are_asked_the_same_later_rows(tmp_path: Path) -> None:
    nights = watched(tmp_path, versions=("1", "2"))
    ledger = nights.work("x").ledger
    ledger.append(
        "rides", Kind.PROMOTION, start=start_of(20), end=start_of(20), now=a_day(50),
        body={"version": "2", "before": "1", "run": "build/x"},
    )  # fmt: skip

    live(nights, 20, 21, 22, 23, 24)

    told = [entry.body for entry in nights.entries(Kind.HELP)]
    assert [one["rows"] for one in told] == [400, 800, 1200]  # labels of the last day are never in yet
    assert [one["helped"] for one in told] == [None, None, False], "the same model twice is no help, said at the end"
    assert told[0]["paired"]["difference"]["value"] == 0.0
    assert told[-1]["sentence"].startswith("the retrain did not help: log_loss 0.")


# ---------------------------------------------------------------- replayed


def policy_of(nights: Nights, text: str) -> ModelSpec:
    path = nights.folder.parent / "policy.yaml"
    path.write_text(text)
    return with_policy(nights.spec, path)


def replayed(nights: Nights, text: str) -> dict[str, object]:
    work = nights.work("x")
    found = replay(
        work.ledger.entries("rides"),
        nights.spec,
        policy_of(nights, text),
        settings=work.settings,
        registry=work.registry,
    )
    return json.loads(json.dumps(found.to_json()))


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Nights:
    """Two quiet days, two sick ones (inputs and answers move), a broken one; raw data are gone since."""
    nights = watched(tmp_path_factory.mktemp("lived"))
    tmp_path = nights.folder.parent
    live(nights, 20, 21)
    live(nights, 22, 23, **SICK)
    live(nights, 24, **BROKEN)
    for path in [*nights.settings.runs.rglob("window.parquet"), *(tmp_path / "source").glob("*")]:
        path.unlink()
    return nights


def test_the_same_policy_says_what_was_said(lived: Nights) -> None:
    found = replayed(lived, "governor: {wanted: 2, nights: 3}\n")

    assert found["totals"]["recorded"] == found["totals"]["policy"]
    for night in found["windows"]:
        assert night["recorded"] == night["policy"]
        assert night["has_evidence"]


def test_a_sleepier_policy_misses_what_was_truly_wrong(lived: Nights) -> None:
    sleepy = "monitor: {limits: {drift: 99.0, column: 99.0, output_drift: 99.0, performance: {auc: 0.9}}}\n"

    found = replayed(lived, sleepy)

    recorded, policy = found["totals"]["recorded"], found["totals"]["policy"]
    assert recorded["retrains"] == 1
    assert policy["retrains"] == 0
    assert (recorded["alerts"], policy["alerts"]) == (3, 1)
    assert (recorded["missed_incidents"], policy["missed_incidents"]) == (0, 1)
    assert [night["incident"] for night in found["windows"]][2] == "auc was worse than allowed"
    assert found["windows"][4]["incident"] == "broken"
    assert found["windows"][4]["policy"]["verdict"] == "BROKEN"


def test_a_policy_that_asks_for_more_rows_knows_nothing_and_misses_every_incident(lived: Nights) -> None:
    found = replayed(lived, "monitor: {rows_min: 1000}\n")

    assert {night["policy"]["verdict"] for night in found["windows"]} == {"UNKNOWN"}
    assert found["totals"]["policy"]["missed_incidents"] == 2


def test_a_retrain_that_a_policy_would_have_asked_for_rests_it_as_well(lived: Nights) -> None:
    eager = "governor: {wanted: 1, nights: 1, cooldown: 30d}\n"

    found = replayed(lived, eager)

    assert [night["policy"]["rule"] for night in found["windows"]][2:4] == ["retrain", "cooldown"]


def test_a_window_that_was_made_from_other_features_stays_broken_under_every_policy(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    skewed(nights, 20)
    live(nights, 20)

    (night,) = replayed(nights, "monitor: {limits: {drift: 99.0}}\n")["windows"]

    assert (night["recorded"]["verdict"], night["policy"]["verdict"]) == ("BROKEN", "BROKEN")


def test_without_evidence_a_verdict_stays_and_the_page_says_so(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    live(nights, 20, **BROKEN)
    nights.work("night-20").run.file("drift.json").unlink()

    (night,) = replayed(nights, "monitor: {limits: {drift: 99.0}}\n")["windows"]

    assert not night["has_evidence"]
    assert night["policy"]["verdict"] == "BROKEN"


# ---------------------------------------------------------------- since when


def reason_of(nights: Nights, day: int, subject: str) -> str:
    """Return the weightiest sentence about ``subject``."""
    reasons = Verdict.from_json(nights.entry(day).body["verdict"]).reasons
    return next(check.sentence for check in reasons if check.subject == subject)


def test_a_movement_is_told_with_when_it_began(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    live(nights, 20, 21, 22)
    live(nights, 23, 24, **SICK)

    first, second = (reason_of(nights, day, "distance") for day in (23, 24))
    assert first.endswith("; suddenly, unlike the 3 windows before")
    assert second.endswith(f"; since {start_of(23).day} {start_of(23):%b}")
    courses = nights.entry(24).body["signals"]["courses"]
    course = next(one for one in courses if one["column"] == "distance")
    assert (course["onset"], course["since"]) == ("lasting", start_of(23).isoformat())
    assert course["windows"] == 4
    baselines = nights.work("night-24").run.read("baselines.json")
    assert baselines["trailing"]["distance"]["rows"] == 4 * 400
    told = list(lines(explain(nights.work("x").ledger.entries("rides"), nights.entry(24))))
    (beside,) = [line for line in told if line.startswith("  distance (")]
    assert beside.endswith("; lasting")
    assert "from training, " in beside
    assert "from the windows before" in beside


def test_windows_of_another_version_or_length_are_no_baseline(tmp_path: Path) -> None:
    nights = watched(tmp_path, versions=("1", "2"))
    live(nights, 20, 21)
    rows = rides_of(22, **SICK)
    nights.ask(rows, version="2")
    nights.tell(rides_of(22))

    nights.judge(22)

    assert nights.entry(22).body["signals"]["courses"] == []


def test_a_quiet_night_reads_no_earlier_profile(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    live(nights, 20)
    (nights.settings.runs / "rides" / "monitor").joinpath("night-20", "profile.json").write_text("not json")

    live(nights, 21)

    assert status(nights, 21) == "HEALTHY"


# ---------------------------------------------------------------- what it costs


def test_what_a_broken_column_costs_is_told_before_labels_are_in(tmp_path: Path) -> None:
    nights = watched(tmp_path)

    live(nights, 20, distance=-999.0)

    body = nights.entry(20).body
    cost = body["signals"]["cost"]
    assert cost["observed"] > cost["allowed"]
    truly = (rides_of(20)["outcome"] != (a_model().predict(rides_of(20, distance=-999.0)) >= 0.5)).mean()
    assert cost["observed"] == pytest.approx(truly, abs=0.12)
    assert body["verdict"]["status"] == "BROKEN"
    told = (nights.folder / "alerts" / "rides.jsonl").read_text()
    assert cost["sentence"] in told
    assert "of rows are to be expected" in cost["sentence"]


def test_a_quiet_night_costs_nothing_and_asks_nobody(tmp_path: Path) -> None:
    nights = watched(tmp_path)

    live(nights, 20)

    assert "cost" not in nights.entry(20).body["signals"]


def test_of_an_older_release_without_a_second_opinion_nothing_is_told(tmp_path: Path) -> None:
    nights = watched(tmp_path)
    kept = nights.settings.releases / "fake" / "1" / "expected.json"
    content = read_json(kept)
    del content["opinion"]
    write_json(kept, content)

    live(nights, 20, **SICK)

    assert status(nights, 20) == "DRIFTED"
    assert "cost" not in nights.entry(20).body["signals"]


# ---------------------------------------------------------------- in shadow


def test_a_challenger_in_shadow_is_held_beside_the_champion_and_turns_no_verdict(tmp_path: Path) -> None:
    nights = watched(tmp_path, versions=("1", "2"))
    for day in (20, 21):
        nights.ask(rides_of(day), version="2", noise=0.3)
    live(nights, 20, 21)

    body = nights.entry(21).body
    shadow = body["signals"]["shadow"]
    assert body["verdict"]["status"] == "HEALTHY"
    assert (shadow["version"], shadow["rows"], shadow["labelled"]) == ("2", 400, 400)
    assert 0.05 < shadow["other_class"] < 0.5
    assert shadow["mean_size"] > abs(shadow["mean_difference"])
    assert shadow["metrics"]["log_loss"]["difference"]["low"] > 0
    told = list(lines(explain(nights.work("x").ledger.entries("rides"), nights.entry(21))))
    assert f"  {shadow['sentence']}" in told
    assert shadow["sentence"].startswith("version 2 answered 400 of the rows in shadow: another class for ")
    assert "labelled rows (difference +" in shadow["sentence"]


def test_rows_that_a_challenger_may_have_learned_from_are_not_compared(tmp_path: Path) -> None:
    nights = watched(tmp_path, versions=("1", "2"))
    learned = {"splits": {"validation": {"end": start_of(25).isoformat()}}}
    write_json(nights.settings.releases / "fake" / "2" / "split.json", learned)
    for day in (20, 21):
        nights.ask(rides_of(day), version="2", noise=0.0)
    live(nights, 20, 21)

    shadow = nights.entry(21).body["signals"]["shadow"]
    assert (shadow["rows"], shadow["labelled"], shadow["metrics"]) == (400, 0, {})
    assert (shadow["other_class"], shadow["mean_size"]) == (0, 0)


def test_without_a_challenger_nothing_is_told_of_one(tmp_path: Path) -> None:
    nights = watched(tmp_path, versions=("1", "2"))
    nights.ask(rides_of(20)[:10], version="2", noise=0.1)

    live(nights, 20, 21)

    assert "shadow" not in nights.entry(20).body["signals"]
    assert "shadow" not in nights.entry(21).body["signals"]
