"""The newest of much, and of the right windows."""

from pathlib import Path

from factories.monitoring import promotion, window
from factories.page import many_windows
from factories.spine import add_window, ledger_url
from nightshift.verdict import Status
from nightshift.views.reading import LedgerReader


def a_reader(folder: Path) -> LedgerReader:
    return LedgerReader(ledger_url(folder))


def test_the_newest_windows_are_the_last_of_all_windows(tmp_path: Path) -> None:
    ledger = a_reader(tmp_path)
    for day in (3, 1, 2, 5, 4):
        window(ledger, day)

    found = ledger.newest_windows(3)["bikes"]

    assert found == ledger.windows("bikes")[-3:]


def test_a_window_judged_again_is_told_once_as_it_is_judged_now(tmp_path: Path) -> None:
    ledger = a_reader(tmp_path)
    window(ledger, 1, Status.HEALTHY)
    again = window(ledger, 1, Status.BROKEN)

    assert ledger.newest_windows(9) == {"bikes": [again]}


def test_each_model_has_its_own_newest(tmp_path: Path) -> None:
    ledger = a_reader(tmp_path)
    for model in ("bikes", "cars"):
        for day in range(3):
            add_window(ledger, day, {"day": day, "model": model}, model=model)

    found = ledger.newest_windows(1)

    assert {name: [entry.body for entry in entries] for name, entries in found.items()} == {
        "bikes": [{"day": 2, "model": "bikes"}], "cars": [{"day": 2, "model": "cars"}],
    }  # fmt: skip
    assert ledger.newest_windows(1, model="cars") == {"cars": found["cars"]}


def test_more_windows_than_one_query_takes_are_all_read(tmp_path: Path) -> None:
    many_windows(ledger_url(tmp_path), models=["bikes"], days=520, body={})
    ledger = a_reader(tmp_path)

    assert [entry.body["day"] for entry in ledger.newest_windows(1000)["bikes"]] == list(range(520))


def test_all_judgements_of_a_window_are_found_from_any_of_them(tmp_path: Path) -> None:
    ledger = a_reader(tmp_path)
    first, other, second = window(ledger, 1), window(ledger, 2), window(ledger, 1, Status.DRIFTED)

    assert ledger.judgements("bikes", first.id) == [first, second]
    assert ledger.judgements("bikes", second.id) == [first, second]
    assert ledger.judgements("bikes", other.id) == [other]
    assert ledger.judgements("cars", first.id) == []


def test_an_entry_that_judges_nothing_has_no_judgements(tmp_path: Path) -> None:
    ledger = a_reader(tmp_path)

    assert ledger.judgements("bikes", promotion(ledger, 1, "1").id) == []


def test_the_ledger_is_read_backwards_in_pages(tmp_path: Path) -> None:
    ledger = a_reader(tmp_path)
    entries = [window(ledger, day) for day in range(5)]

    first = ledger.newest("bikes", 2)
    rest = ledger.newest("bikes", 9, before=first[-1].id)

    assert [*first, *rest] == entries[::-1]
