"""The ledger forgets nothing, changes nothing, and of two who want the same lease one is the second."""

import json
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories.spine import DAY, a_day, a_ledger, add_window, ledger_url, new_ledger
from nightshift.errors import NightshiftError, SettingsError, UnavailableError
from nightshift.ledger import Kind, Ledger

TOGETHER = """
import sys
from datetime import UTC, datetime, timedelta
from nightshift.ledger import Kind, Ledger

url, name, rounds = sys.argv[1:]
ledger, moment = Ledger(url), datetime(2013, 1, 1, tzinfo=UTC)
print("ready", flush=True)
sys.stdin.readline()
for turn in range(int(rounds)):
    entry = ledger.append("bikes", Kind.BUILD, start=moment, end=moment, body={"who": name, "turn": turn}, now=moment)
    lease = ledger.take_lease("bikes", f"{name}/{turn}", now=moment, lasts=timedelta(hours=1))
    print(entry.id, lease.fence, flush=True)
"""
bodies = st.dictionaries(
    st.text(max_size=5),
    st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
)
few = settings(max_examples=15)


def together(url: str, *, writers: int, rounds: int) -> list[tuple[int, int]]:
    """Let several processes append and take leases at once; return each entry's id and fence, as they were told."""
    command = [sys.executable, "-c", TOGETHER, url]
    crowd = [
        subprocess.Popen(
            [*command, f"writer {number}", str(rounds)], text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for number in range(writers)
    ]
    for one in crowd:
        assert one.stdout is not None
        assert one.stdout.readline() == "ready\n"
    for one in crowd:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    told = [one.communicate(timeout=120)[0].splitlines() for one in crowd]
    return [(int(line.split()[0]), int(line.split()[1])) for lines in told for line in lines]


# ---------------------------------------------------------------- entries


@few
@given(st.lists(bodies, min_size=1, max_size=5))
def test_entries_are_read_as_they_were_written_and_never_change(written: list[dict[str, Any]]) -> None:
    with new_ledger() as ledger:
        for number, body in enumerate(written):
            before = ledger.entries("bikes")

            added = ledger.append("bikes", Kind.BUILD, start=a_day(number), end=a_day(9), body=body, now=a_day(9))

            assert ledger.entries("bikes") == [*before, added]
            assert added.body == body


def test_an_entry_keeps_its_moments_to_the_microsecond_whatever_the_zone(tmp_path: Path) -> None:
    moment = datetime(2013, 7, 1, 23, 59, 59, 999_999, tzinfo=timezone(timedelta(hours=-4)))

    a_ledger(tmp_path).append("bikes", Kind.BUILD, start=moment, end=moment, body={}, now=moment)

    (entry,) = a_ledger(tmp_path).entries("bikes")
    assert entry.start == entry.end == entry.at == moment
    assert entry.start.tzinfo is UTC


def test_entries_are_asked_for_by_model_and_kind(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    add_window(ledger, 1, {"of": "bikes"})
    add_window(ledger, 1, {"of": "rides"}, model="rides")
    ledger.append("bikes", Kind.PROMOTION, start=a_day(2), end=a_day(2), body={}, now=a_day(2))

    assert [entry.body for entry in ledger.entries("bikes", Kind.WINDOW)] == [{"of": "bikes"}]
    assert len(ledger.entries("bikes")) == 2
    assert ledger.entries("nobody") == []


def test_what_json_cannot_say_is_not_entered(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)

    with pytest.raises(ValueError, match="not JSON compliant"):
        add_window(ledger, 1, {"psi": float("nan")})

    assert ledger.entries("bikes") == []


@few
@given(st.lists(st.tuples(st.integers(0, 3), st.integers()), max_size=6))
def test_the_newest_judgement_of_each_window_counts(judged: list[tuple[int, int]]) -> None:
    with new_ledger() as ledger:
        for day, opinion in judged:
            add_window(ledger, day, {"opinion": opinion})

        windows = {entry.start: entry.body["opinion"] for entry in ledger.windows("bikes")}

        assert windows == {a_day(day): opinion for day, opinion in judged}
        assert list(windows) == sorted(windows)
        assert [entry.body["opinion"] for entry in ledger.entries("bikes")] == [opinion for _, opinion in judged]


def test_windows_that_begin_together_and_end_apart_are_two(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    for days in (7, 1):
        ledger.append("bikes", Kind.WINDOW, start=a_day(0), end=a_day(days), body={"days": days}, now=a_day(9))

    assert [entry.body["days"] for entry in ledger.windows("bikes")] == [1, 7]


# ---------------------------------------------------------------- leases


def test_a_model_that_was_never_built_has_no_lease(tmp_path: Path) -> None:
    assert a_ledger(tmp_path).lease("bikes") is None


def test_a_second_holder_gets_the_next_fence_and_the_first_is_out(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    first = ledger.take_lease("bikes", "one", now=a_day(0), lasts=DAY)

    second = ledger.take_lease("bikes", "two", now=a_day(0), lasts=DAY)

    assert (first.fence, second.fence) == (1, 2)
    assert ledger.lease("bikes") == second


def test_a_step_tried_again_keeps_its_fence_and_gets_more_time(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    first = ledger.take_lease("bikes", "one", now=a_day(0), lasts=DAY)

    again = ledger.take_lease("bikes", "one", now=a_day(1), lasts=DAY)

    assert again.fence == first.fence
    assert again.until == a_day(2)


def test_letting_go_ends_only_ones_own_lease(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    ledger.take_lease("bikes", "one", now=a_day(0), lasts=DAY)
    ledger.take_lease("rides", "one", now=a_day(0), lasts=DAY)

    ledger.end_lease("bikes", "two", now=a_day(0))
    held = ledger.lease("bikes")
    ledger.end_lease("bikes", "one", now=a_day(0))

    assert held is not None
    assert held.until == a_day(1)
    ended, other = ledger.lease("bikes"), ledger.lease("rides")
    assert ended is not None
    assert other is not None
    assert (ended.until, other.until) == (a_day(0), a_day(1))


@few
@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
def test_fences_rise_by_one_with_every_change_of_hands(holders: list[str]) -> None:
    with new_ledger() as ledger:
        fences = [ledger.take_lease("bikes", holder, now=a_day(0), lasts=DAY).fence for holder in holders]

    rises = [after - before for before, after in pairwise(fences)]
    assert fences[0] == 1
    assert rises == [int(before != after) for before, after in pairwise(holders)]


def test_who_asks_for_a_build_reserves_it_and_a_second_one_may_not_ask(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)

    first = ledger.reserve("bikes", "monitor/one", now=a_day(0), lasts=DAY)
    again = ledger.reserve("bikes", "monitor/one", now=a_day(0), lasts=DAY)
    second = ledger.reserve("bikes", "monitor/two", now=a_day(0), lasts=DAY)

    assert first == again
    assert second is None
    assert ledger.lease("bikes") == first


def test_the_build_that_was_asked_for_takes_over_and_outranks_who_asked(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    asked = ledger.reserve("bikes", "monitor/one", now=a_day(0), lasts=DAY)

    built = ledger.take_lease("bikes", "build/one", now=a_day(0), lasts=DAY)

    assert asked is not None
    assert built.fence == asked.fence + 1
    assert ledger.reserve("bikes", "monitor/two", now=a_day(0), lasts=DAY) is None


@pytest.mark.parametrize("let_go", [True, False], ids=["the build ended", "it lapsed"])
def test_a_lease_that_is_over_may_be_reserved(tmp_path: Path, let_go: bool) -> None:
    ledger = a_ledger(tmp_path)
    ledger.take_lease("bikes", "build/one", now=a_day(0), lasts=DAY)
    if let_go:
        ledger.end_lease("bikes", "build/one", now=a_day(0))

    found = ledger.reserve("bikes", "monitor/two", now=a_day(0) if let_go else a_day(1), lasts=DAY)

    assert found is not None
    assert found.fence == 2


@few
@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.booleans()), max_size=12))
def test_nobody_reserves_what_somebody_else_holds(acts: list[tuple[str, int, bool]]) -> None:
    """Of builds that are asked for, never two are in flight, in whatever order they are asked for and end."""
    held: tuple[str, int] | None = None
    with new_ledger() as ledger:
        for hour, (name, lasts, ends) in enumerate(acts):
            now = a_day(0) + hour * DAY
            found = ledger.reserve("bikes", name, now=now, lasts=lasts * DAY)
            free = held is None or held[0] == name or held[1] <= hour
            assert (found is not None) == free
            if found:
                held = (name, hour + lasts)
            if ends:
                ledger.end_lease("bikes", name, now=now)
                held = None if held and held[0] == name else held


def test_of_many_processes_at_once_each_gets_a_fence_of_its_own_and_no_entry_is_lost(tmp_path: Path) -> None:
    told = together(ledger_url(tmp_path), writers=4, rounds=10)

    entries = a_ledger(tmp_path).entries("bikes")
    assert sorted(fence for _, fence in told) == list(range(1, 41))
    assert sorted(number for number, _ in told) == [entry.id for entry in entries]
    turns = {
        name: [e.body["turn"] for e in entries if e.body["who"] == name] for name in {e.body["who"] for e in entries}
    }
    assert turns == {f"writer {number}": list(range(10)) for number in range(4)}


# ---------------------------------------------------------------- when the database is wrong


@pytest.mark.parametrize(
    "url",
    ["", "ledger.db", "postgres//x", "nodatabase://me:hunter2@x/y", "mysql://me:hunter2@x/y", "http://[x/y", "://"],
)
def test_an_address_that_is_none_is_called_by_its_variable_and_its_password_kept(url: str) -> None:
    with pytest.raises(SettingsError, match=r"NIGHTSHIFT_LEDGER is no database address .* give one such as") as caught:
        Ledger(url)

    assert "hunter2" not in str(caught.value)


def test_a_database_that_is_away_may_come_back(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="ledger did not answer: ") as caught:
        Ledger("postgresql+psycopg2://me:hunter2@127.0.0.1:1/ledger")

    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_text("not a database, but somebody's text" * 100)

    with pytest.raises(NightshiftError, match="damaged or foreign: file is not a database"):
        a_ledger(tmp_path)

    assert (tmp_path / "ledger.db").read_text().startswith("not a database")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(SettingsError, match=r"file/state cannot be made: .*; set NIGHTSHIFT_STATE"):
        a_ledger(tmp_path / "file" / "state")


def test_a_writer_that_was_killed_leaves_no_half_an_entry(tmp_path: Path) -> None:
    a_ledger(tmp_path)
    program = """
import os, sys
import sqlalchemy as sql
from nightshift.ledger import ENTRIES, Ledger
ledger = Ledger(sys.argv[1])
with ledger._transaction() as connection:
    row = {"model": "bikes", "kind": "build", "start": "x", "end": "x", "at": "x", "body": "{"}
    connection.execute(sql.insert(ENTRIES).values(**row))
    os._exit(9)
"""
    killed = subprocess.run([sys.executable, "-c", program, ledger_url(tmp_path)], check=False)

    add_window(a_ledger(tmp_path), 1, {"after": "the kill"})

    assert killed.returncode == 9
    assert [entry.body for entry in a_ledger(tmp_path).entries("bikes")] == [{"after": "the kill"}]


def test_bodies_are_kept_as_canonical_json(tmp_path: Path) -> None:
    add_window(a_ledger(tmp_path), 1, {"b": 1, "a": [1.5, None]})

    with sqlite3.connect(tmp_path / "ledger.db") as database:
        (body,) = database.execute("SELECT body FROM entries").fetchone()
    database.close()
    assert body == '{"a":[1.5,null],"b":1}'
    assert json.loads(body) == {"a": [1.5, None], "b": 1}
