"""What was pinned once can be read for ever: by whom, why, from when to when, and who ended it."""

from datetime import UTC, datetime
from pathlib import Path

from nightshift.predictions.pinned import BOOK, Pinned, pins, write_down

FIRST, SECOND, THIRD = (datetime(2026, 1, day, 3, 4, tzinfo=UTC) for day in (1, 2, 3))
ADA = Pinned("1", "ada", "2 refuses rain", FIRST)
BOB = Pinned("2", "bob", "so does 1", SECOND)


def test_a_model_that_was_never_pinned_has_no_pins(tmp_path: Path) -> None:
    assert pins(tmp_path) == []


def test_a_pin_ends_by_the_next_one_or_by_a_person(tmp_path: Path) -> None:
    folder = tmp_path / "rides"
    write_down(folder, ADA, by="ada", at=FIRST)
    write_down(folder, BOB, by="bob", at=SECOND)
    lasting = pins(folder)
    write_down(folder, None, by="eve", at=THIRD)

    first, second = pins(folder)

    assert [one.pinned for one in (first, second)] == [ADA, BOB]
    assert (first.until, first.ended_by) == (SECOND, "bob")
    assert (lasting[-1].until, second.until, second.ended_by) == (None, THIRD, "eve")
    assert second.sentence == (
        "version 2 was pinned from 2026-01-02 03:04 to 2026-01-03 03:04 UTC, ended by eve: by bob, because so does 1"
    )
    assert lasting[-1].sentence == "version 2 was pinned from 2026-01-02 03:04 to now: by bob, because so does 1"


def test_an_end_without_a_beginning_is_none_and_a_line_that_was_cut_costs_no_other(tmp_path: Path) -> None:
    write_down(tmp_path, None, by="eve", at=FIRST)
    with (tmp_path / BOOK).open("a") as book:
        book.write('{"at": "2026-01\n')
    write_down(tmp_path, ADA, by="ada", at=FIRST)

    assert [one.pinned for one in pins(tmp_path)] == [ADA]
