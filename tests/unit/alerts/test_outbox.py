"""An alert is kept whatever becomes of it, and whoever can be told is told."""

import email
import email.policy
import json
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from factories.sinks import a_channel, a_postbox
from factories.spine import a_day
from nightshift.alerts import Alert, Level, Sent, deliver, send
from nightshift.errors import SettingsError

ALERT = Alert(
    "bikes", "bikes:DRIFTED", "bikes: DRIFTED ☾", "temperature moved\nDecided: no retrain, because …", a_day(7)
)


def kept(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "bikes.jsonl").read_text().splitlines()]


def test_the_log_channel_is_the_kept_file(tmp_path: Path) -> None:
    sent = send(ALERT, ["log"], folder=tmp_path / "alerts")

    assert sent == Sent(("log",), ())
    assert kept(tmp_path / "alerts") == [ALERT.to_json()]
    assert ALERT.to_json()["at"] == "2013-01-08T00:00:00+00:00"


def test_alerts_are_added_one_a_line(tmp_path: Path) -> None:
    for _ in range(3):
        send(ALERT, [], folder=tmp_path)

    assert kept(tmp_path) == [ALERT.to_json()] * 3


def test_an_alert_is_said_in_the_log_of_the_process_too(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "nightshift.alerts"):
        send(ALERT, ["log"], folder=tmp_path)

    assert "bikes: DRIFTED" in caplog.text


def test_a_channel_is_an_address_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_channel() as (address, heard):
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", address)

        sent = send(ALERT, ["log", "ops"], folder=tmp_path)

    assert sent == Sent(("log", "ops"), ())
    assert [(message["title"], message["message"]) for message in heard] == [(ALERT.title, ALERT.text)]


@pytest.mark.parametrize("address", ["json://127.0.0.1:1", "no address", "gopher://x"], ids=["away", "none", "unknown"])
def test_a_channel_that_does_not_take_it_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", address)

    sent = send(ALERT, ["log", "ops"], folder=tmp_path)

    assert sent == Sent(("log",), ("ops",))
    assert kept(tmp_path) == [ALERT.to_json()]


def test_a_channel_that_refuses_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_channel(status=500) as (address, heard):
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", address)

        sent = send(ALERT, ["ops"], folder=tmp_path)

    assert sent == Sent((), ("ops",))
    assert len(heard) == 1


def test_a_channel_without_an_address_is_named_after_all_others_were_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with a_channel() as (address, heard):
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", address)

        with pytest.raises(SettingsError, match="channel 'pager' has no address; set NIGHTSHIFT_CHANNEL_PAGER to an"):
            send(ALERT, ["pager", "ops"], folder=tmp_path)

    assert kept(tmp_path) == [ALERT.to_json()]
    assert len(heard) == 1


def test_no_address_is_in_what_is_kept_or_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", "json://me:hunter2@127.0.0.1:1")

    with caplog.at_level(logging.INFO):
        sent = send(ALERT, ["ops"], folder=tmp_path)

    assert "hunter2" not in caplog.text + repr(sent) + (tmp_path / "bikes.jsonl").read_text()


def test_what_a_channel_did_not_take_is_sent_again_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", "json://127.0.0.1:1")
    for title in ("first", "second"):
        send(replace(ALERT, title=title), ["ops"], folder=tmp_path)
    waiting = deliver(tmp_path, now=ALERT.at)

    with a_channel() as (address, heard):
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", address)
        sent = send(replace(ALERT, title="third"), ["ops"], folder=tmp_path)
        left = deliver(tmp_path, now=ALERT.at)

    assert waiting == {"ops": 2}
    assert [message["title"] for message in heard] == ["first", "second", "third"]
    assert (sent, left) == (Sent(("ops",), ()), {})


def test_a_channel_that_is_down_keeps_no_other_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_channel() as (address, heard):
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_AWAY", "json://127.0.0.1:1")
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", address)

        sent = send(ALERT, ["away", "ops"], folder=tmp_path)

    assert (sent, len(heard)) == (Sent(("ops",), ("away",)), 1)


def test_a_message_that_lost_its_channels_address_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", "json://127.0.0.1:1")
    send(ALERT, ["ops"], folder=tmp_path)
    monkeypatch.delenv("NIGHTSHIFT_CHANNEL_OPS")

    assert deliver(tmp_path, now=ALERT.at) == {"ops": 1}


def test_without_an_outbox_there_is_nothing_to_send(tmp_path: Path) -> None:
    assert deliver(tmp_path, now=ALERT.at) == {}


def test_a_channel_may_be_a_letter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_postbox() as (address, letters):
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_POST", address)

        sent = send(ALERT, ["post"], folder=tmp_path)

    assert sent == Sent(("post",), ())
    (letter,) = (email.message_from_bytes(one, policy=email.policy.default) for one in letters)
    assert (letter["Subject"], letter["To"]) == (ALERT.title, "ops@example.org")
    assert "temperature moved" in str(letter.get_body(("plain", "html")))


# ---------------------------------------------------------------- quiet hours


def test_what_is_held_back_goes_out_when_its_time_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    morning = ALERT.at + timedelta(hours=7)
    with a_channel() as (address, heard):
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", address)

        sent = send(replace(ALERT, not_before=morning), ["log", "ops"], folder=tmp_path)
        send(replace(ALERT, title="urgent"), ["ops"], folder=tmp_path)
        night = deliver(tmp_path, now=morning - timedelta(seconds=1))
        day = deliver(tmp_path, now=morning)

    assert (sent, night, day) == (Sent(("log",), (), ("ops",)), {"ops": 1}, {})
    assert [message["title"] for message in heard] == ["urgent", ALERT.title]


def test_a_channel_may_rank_by_how_bad_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_channel() as (address, heard):
        monkeypatch.setenv("NIGHTSHIFT_CHANNEL_OPS", address)
        for level in Level:
            send(replace(ALERT, level=level), ["ops"], folder=tmp_path)

    assert [message["type"] for message in heard] == ["success", "info", "warning", "failure"]


def test_a_message_from_before_there_were_levels_is_still_sent() -> None:
    earlier = {name: value for name, value in ALERT.to_json().items() if name not in ("level", "not_before")}

    assert Alert.from_json(earlier) == ALERT


def test_an_address_may_come_from_somewhere_else(tmp_path: Path) -> None:
    with a_channel() as (address, heard):
        sent = send(ALERT, ["ops"], folder=tmp_path, address={"ops": address}.get)

    assert (sent.channels, len(heard)) == (("ops",), 1)
