"""What a reader must not expect of a model, as far as its own evidence tells."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from nightshift.card.content import CardContent

YEAR = timedelta(days=365)


def known_limits(content: CardContent) -> Iterator[str]:
    """Yield one sentence for each limit, what weighs most first."""
    if not content.lineage["reproducible"]:
        yield "It cannot be proven that it can be made again; see Lineage."
    yield from _of_time(content)
    yield from _of_inputs(content.spec["features"])
    for name, why in content.evaluation.get("unknown", {}).items():
        yield f"Its {name} is not known: {why}."
    label = content.spec["label"]
    yield (
        f"It foretells {label['column']} for rows like those it learned from; it says nothing of causes, and a changed "
        "world makes it worse before labels can show it."
    )


def _of_time(content: CardContent) -> Iterator[str]:
    train, test = content.splits["splits"]["train"], content.splits["splits"]["test"]
    if not (train["first"] and train["last"] and test["first"] and test["last"]):
        return
    first, last = datetime.fromisoformat(train["first"]), datetime.fromisoformat(train["last"])
    if last - first < YEAR:
        yield (
            f"It learned from {(last - first).days + 1} days ({first:%Y-%m-%d} to {last:%Y-%m-%d}), less than a year: "
            "seasons it has not seen may surprise it."
        )
    begin, end = datetime.fromisoformat(test["first"]), datetime.fromisoformat(test["last"])
    yield f"Its performance was measured on {(end - begin).days + 1} days only, {begin:%Y-%m-%d} to {end:%Y-%m-%d}."


def _of_inputs(features: dict[str, Any]) -> Iterator[str]:
    lenient = [name for name, feature in features.items() if feature["unseen"] == "accept"]
    if lenient:
        yield (
            "Values that training never saw are answered all the same, categories as if they were missing, in "
            f"{_listed(lenient)}."
        )


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:6])
    return f"{shown} and {len(names) - 6} more" if len(names) > 6 else shown
