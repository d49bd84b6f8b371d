"""The evidence a card is made of, as the build's steps write it, and what a reader's eye finds on a card."""

from html.parser import HTMLParser
from typing import Any

from markdown_it import MarkdownIt

from nightshift.card import CardContent
from nightshift.spec import example_spec, load_spec
from nightshift.verdict import Check, Status, judge_gates

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def interval(value: float, low: float | None = None, high: float | None = None) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


def split(name: str, first: str, last: str, *, rows: int = 1000) -> dict[str, Any]:
    return {
        "name": name, "digest": name.ljust(64, "0"), "rows": rows, "start": first, "end": last,
        "first": first, "last": last, "label_mean": 0.25, "repeated": 0,
    }  # fmt: skip


def content(**changes: Any) -> CardContent:
    """Return the evidence of a version of ``bikes`` that passed, with no champion before it."""
    passed = Check("gate:rmse", Status.PASS, "rmse", "rmse is 41.5; at most 60 is asked for", 41.5, 60.0, 1000)
    usual: dict[str, Any] = {
        "spec": load_spec(example_spec()).model_dump(mode="json"),
        "lineage": lineage(),
        "splits": {
            "as_of": "2013-05-01T00:00:00+00:00",
            "splits": {
                "test": split("test", "2013-04-17T00:00:00+00:00", "2013-04-30T23:00:00+00:00"),
                "train": split("train", "2013-02-03T00:00:00+00:00", "2013-04-02T23:00:00+00:00", rows=12_345),
                "validation": split("validation", "2013-04-03T00:00:00+00:00", "2013-04-16T23:00:00+00:00"),
            },
        },
        "training": {
            "best_iteration": 1, "history": {"rmse": [60.0, 41.0, 42.0]}, "parameters": {"eta": 0.05},
            "importance": {"weather": 0.25, "temperature": 0.75},
        },
        "evaluation": {
            "rows": 1000, "metrics": {"rmse": interval(41.5, 38.25, 44.75)}, "comparison": None,
            "resampled": "days", "unknown": {}, "segments": [], "weakest": [],
        },
        "verdict": judge_gates([passed]).to_json(),
        "request": {"cause": "schedule", "reason": "it is night", "user": None},
    }  # fmt: skip
    return CardContent(**(usual | changes))


def lineage(*, problems: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return a lineage with these boxes not ticked."""
    return {
        "digest": "ab" * 32,
        "reproducible": not problems,
        "problems": list(problems),
        "code": {"commit": COMMIT, "branch": "main", "changes": [], "pushed": True},
        "environment": {
            "python": "CPython 3.11.7",
            "platform": "linux-x86_64",
            "lock_digest": "cd" * 32,
            "arithmetic": "openblas Haswell",
        },
        "data": {"path": "bikes", "commit": "feed" * 10, "digest": "beef" * 8},
        "spec_digest": "ef" * 32,
    }


class Page(HTMLParser):
    """What is on an HTML page: its tags, their attributes, and the text a reader sees."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self._text: list[str] = []
        self._in_style = False
        self.feed(html)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self._text).split())

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        self.tags.append(tag)
        self.attributes += attributes

    def handle_data(self, data: str) -> None:
        if not self._in_style:
            self._text.append(data)


def read_markdown(markdown: str) -> Page:
    """Return what a reader of the Markdown sees once it is rendered, HTML in it included."""
    return Page(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))
