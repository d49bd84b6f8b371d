"""What a reader learns from a card, and what nobody can smuggle onto one."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from factories.card import COMMIT, Page, content, interval, lineage, read_markdown, split
from factories.certificate import OTHER, SAME, a_certificate
from nightshift.card import CardContent, render_html, render_markdown, write_card
from nightshift.certificate import Comparison

EVIL = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</style><b>bold</b>",
    "[click](javascript:alert(1))",
    "![picture](http://example.org/x.png)",
    "a | b | c",
    "`code` and **bold** and _soft_ and ~~gone~~",
    "# heading",
    "1. first",
    "- point",
    "+ point",
    "---",
    "===",
    "> said",
    "two\n\n# lines\n| a |",
    "&lt;b&gt;",
    "\\<b>",
    "<https://example.org>",
)


def texts(content: CardContent) -> dict[str, str]:
    """Return what a reader sees, on the page and in the Markdown."""
    return {"html": Page(render_html(content)).text, "markdown": read_markdown(render_markdown(content)).text}


def with_purpose(text: str) -> CardContent:
    usual = content()
    return replace(usual, spec={**usual.spec, "purpose": text})


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_a_card_says_what_for_by_whom_how_good_and_from_what(form: str) -> None:
    text = texts(content())[form]

    for said in (
        "How many bikes will be rented in the next hour?",
        "city, city@example.org",
        "rented, known 1 day after the event",
        "rmse 41.5 38.25 to 44.75",
        "train 12,345 2013-02-03 00:00 2013-04-02 23:00",
        f"{COMMIT} on main, pushed",
        "arithmetic openblas Haswell",
        "rmse is 41.5; at most 60 is asked for",
        "All that determines the model is recorded and was proven.",
        "It has not been rebuilt yet",
        "eta 0.05",
        "temperature 75.0%, weather 25.0%",
    ):
        assert said in text


def test_the_two_forms_say_the_same() -> None:
    evidence = content(lineage=lineage(problems=("the code differs",)), quality=quality("hour is late"))

    page, markdown = (set(text.split()) for text in texts(evidence).values())

    only_on_the_page = {"–", "card"}  # its title; beside it the numbers in its pictures
    assert markdown - page == {"·"}
    assert {word for word in page - markdown if not word.rstrip("%").replace(".", "").isdigit()} == only_on_the_page


@pytest.mark.parametrize("form", ["html", "markdown"])
def test_a_model_that_cannot_be_made_again_says_so_with_every_reason(form: str) -> None:
    reasons = ("the code differs from its commit in 2 files", "xgboost is 3.1, the lock says 3.2")

    text = texts(content(lineage=lineage(problems=reasons)))[form]

    assert text.count("NOT REPRODUCIBLE") == 2
    assert all(reason in text for reason in reasons)
    assert "was proven" not in text


def test_splits_stand_in_the_order_of_time() -> None:
    text = texts(content())["markdown"]

    assert text.index("train 12,345") < text.index("validation 1,000") < text.index("test 1,000")


def test_a_comparison_shows_both_models_and_the_interval_of_the_difference() -> None:
    metrics = {"rmse": {"candidate": 41.5, "champion": 44.0, "difference": interval(-2.5, -3.75, -1.25)}}
    compared = {"version": "3", "learned_until": "2013-04-01T00:00:00+00:00", "rows": 800, "metrics": metrics}

    text = texts(evaluated(comparison=compared))["html"]

    assert "Champion: version 3, which learned from rows before 2013-04-01 00:00." in text
    assert "rmse 800 41.5 44 -2.5 -3.75 to -1.25" in text


@pytest.mark.parametrize(
    "why",
    [
        "no test row is later than 2013-05-01 00:00 UTC, until when it learned",
        "it needs the column 'wind', which the rows no longer have",
        "of the champion, 7 answers are no numbers",
    ],
)
def test_a_champion_that_could_not_be_compared_is_named_with_the_reason(why: str) -> None:
    compared = {
        "version": "3", "learned_until": "2013-05-01T00:00:00+00:00", "rows": 0, "metrics": {}, "why_not": why,
    }  # fmt: skip

    text = texts(evaluated(comparison=compared))["html"]

    assert f"Nothing could be compared: {why}." in text


def test_a_segment_that_the_rows_do_not_tell_is_not_left_out() -> None:
    metrics = {"rmse": {"candidate": 41.5, "champion": 44.0, "difference": interval(-2.5, -3.75, -1.25)}}
    compared = {
        "version": "3", "learned_until": "2013-04-01T00:00:00+00:00", "rows": 800, "metrics": metrics,
        "segments": {"weather = snow": {"rows": 120, "paired": None}}, "why_not": "",
    }  # fmt: skip

    text = texts(evaluated(comparison=compared))["html"]

    assert "weather = snow 120 – – – –" in text


def test_a_metric_nobody_knows_is_named_with_the_reason_and_is_a_limit() -> None:
    text = texts(evaluated(unknown={"auc": "only one class is there"}))["html"]

    assert "auc not known only one class is there" in text
    assert "Its auc is not known: only one class is there." in text


def test_no_gate_at_all_is_said_and_not_called_met() -> None:
    text = texts(content(verdict={"status": "FAIL", "checks": []}))["html"]

    assert "FAIL: no gate is declared." in text
    assert "are met." not in text.replace("if all gates are met.", "")


@pytest.mark.parametrize(
    ("days", "is_limit"), [("2013-02-03T00:00:00+00:00", True), ("2012-02-03T00:00:00+00:00", False)]
)
def test_less_than_a_year_of_training_is_a_limit(days: str, is_limit: bool) -> None:
    splits = content().splits
    long = split("train", days, "2013-04-02T23:00:00+00:00")

    text = texts(content(splits={**splits, "splits": {**splits["splits"], "train": long}}))["html"]

    assert ("less than a year" in text) is is_limit


@pytest.mark.parametrize(
    ("compared", "said"),
    [
        ((SAME,), "at 2026-01-02 03:04 UTC by ada: identical, 1 things compared."),
        ((SAME, OTHER), "train rows: recorded 77aa, rebuilt 78bb"),
    ],
    ids=["identical", "differs"],
)
def test_a_certificate_says_identical_or_what_differs(compared: tuple[Comparison, ...], said: str) -> None:
    text = texts(content(certificate=a_certificate(*compared).to_json()))["html"]

    assert said in text
    assert ("NOT identical" in text) is (OTHER in compared)
    assert "not been rebuilt" not in text


def test_who_decided_is_named_with_the_reason() -> None:
    at = "2013-05-01T09:00:00+00:00"
    yes = {"by": "ann", "answer": "approved", "at": at, "reason": "the summer is near"}
    none = {"by": None, "answer": "expired", "at": at, "reason": "nobody answered within 1 days"}

    text = texts(content(decisions=[none, yes]))["markdown"]

    assert "expired at 2013-05-01 09:00 UTC by nobody: nobody answered within 1 days." in text
    assert "approved at 2013-05-01 09:00 UTC by ann: the summer is near." in text


def test_broken_expectations_are_told_one_by_one() -> None:
    text = texts(content(quality=quality("hour is later than noon")))["html"]

    assert "40 expectations were held against 12,345 training rows; 1 are broken. hour is later than noon" in text


@pytest.mark.parametrize("text", EVIL)
def test_nothing_that_is_written_in_a_declaration_is_obeyed(text: str) -> None:
    evidence = with_purpose(text)

    page, markdown = Page(render_html(evidence)), read_markdown(render_markdown(evidence))

    assert page.tags == Page(render_html(content())).tags
    assert markdown.tags == read_markdown(render_markdown(content())).tags
    assert " ".join(text.split()) in page.text
    assert " ".join(text.split()) in markdown.text


@given(st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_any_words_are_shown_as_they_are(text: str) -> None:
    markdown = read_markdown(render_markdown(with_purpose(text)))

    assert " ".join(text.split()) in markdown.text
    assert markdown.tags.count("h2") == 10


def test_hostile_names_of_columns_and_categories_stay_names() -> None:
    name = "<script>x</script>"
    counts = {name: 3, **{f"c{n}": 1 for n in range(20)}}
    categories = {"rows": 23, "missing": 0, "counts": counts}
    training = {**content().training, "importance": {name: 1.0}}

    page = Page(render_html(content(profile={"rows": 23, "columns": {name: categories}}, training=training)))

    assert "script" not in page.tags
    assert "13 others" in page.text


def test_a_page_needs_nothing_but_itself() -> None:
    page = Page(render_html(content(profile=profile([1.0, 2.0], low=0.0, high=9.0))))

    assert {"script", "link", "img", "iframe", "object", "a", "form"}.isdisjoint(page.tags)
    assert not [value for name, value in page.attributes if name in {"src", "href", "style"} or name.startswith("on")]
    assert "svg" in page.tags


@pytest.mark.parametrize(
    ("edges", "low", "high"),
    [([1.0, 2.0], 0.0, 9.0), ([], 5.0, 5.0), ([5.0], 5.0, 5.0), ([], None, None), ([-1e300], -1e308, 1e308)],
    ids=["usual", "one value", "one value on an edge", "no value", "huge"],
)
def test_every_column_can_be_drawn(edges: list[float], low: float | None, high: float | None) -> None:
    html = render_html(content(profile=profile(edges, low=low, high=high)))

    drawing = html[html.index("What 10 training rows") :]
    assert "temperature: 0.0% missing" in drawing
    assert not any(word in drawing for word in ("nan", "inf", "None"))


def test_writing_twice_leaves_the_same_bytes(tmp_path: Path) -> None:
    write_card(tmp_path, content())
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    write_card(tmp_path, content())

    assert sorted(first) == ["card.html", "card.md"]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def evaluated(**changes: Any) -> CardContent:
    usual = content()
    return replace(usual, evaluation={**usual.evaluation, **changes})


def quality(*sentences: str) -> dict[str, Any]:
    checks = [{"sentence": sentence} for sentence in sentences]
    return {"success": not checks, "expectations": 40, "rows": 12_345, "checks": checks}


def profile(edges: list[float], *, low: float | None, high: float | None) -> dict[str, Any]:
    column = {
        "kind": "numeric", "rows": 10, "missing": 0, "counts": {}, "edges": edges,
        "bins": [2] * (len(edges) + 1), "lowest": low, "highest": high,
    }  # fmt: skip
    return {"rows": 10, "columns": {"temperature": column}}


def test_each_named_segment_is_told_and_from_how_many_rows_on_a_gate_asks() -> None:
    usual = content()
    champion = {
        "metric": "rmse",
        "margin": 0.0,
        "segments": ["weather"],
        "segment_margin": None,
        "segment_rows_min": 200,
    }
    segments = [
        {"name": "weather = snow", "rows": 1234, "metric": "rmse", "interval": interval(41.5, 38.25, 44.75)},
        {"name": "weather = hail", "rows": 1, "metric": "rmse", "interval": None},
    ]
    told = content(
        spec={**usual.spec, "gates": {**usual.spec["gates"], "champion": champion}},
        evaluation={**usual.evaluation, "segments": segments},
    )

    for text in texts(told).values():
        assert "Named segments" in text
        assert "weather = snow" in text
        assert "1,234" in text
        assert "weather = hail" in text
        assert "with at least 200 rows" in text
    assert "Named segments" not in render_markdown(usual)
