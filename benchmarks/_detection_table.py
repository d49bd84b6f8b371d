"""What was measured, line by line: target, share, windows, and the 95 % interval (Wilson)."""

from collections import defaultdict
from typing import Any

import numpy as np
from _plants import DRIFTS, LARGE, SIZES, SMALL, UNITS, Window
from scipy import stats


def print_table(
    found: list[Any], delays: dict[int, list[float]], seconds: dict[int, list[float]], *, by_family: bool
) -> None:
    print(f"| what | windows of | target | measured | n | 95 % interval |\n|{'---|' * 6}")
    for size in SIZES:
        here = [(name, one) for name, rows, one in found if rows == size]
        _print_size(here, size)
        late = delays[size]
        if late:
            low, high = np.percentile(
                np.random.default_rng(0).choice(late, (2000, len(late))).mean(axis=1), [2.5, 97.5]
            )
            interval = f"{low:.2f} – {high:.2f}"
            print(f"| until a ramp is noticed | {size:,} | <= 1 | {np.mean(late):.2f} | {len(late)} | {interval} |")
        if seconds[size]:
            print(f"| seconds a window | {size:,} | <= 0.1 | {np.mean(seconds[size]):.3f} | | |")
        if by_family:
            for name in sorted({name for name, _ in here}):
                print(f"\n--- {name}")
                _print_size([(one, window) for one, window in here if one == name], size)
            print()


def print_peers(found: list[Any], peers: list[str], seconds: dict[str, list[float]]) -> None:
    """Print what peers made of the same windows: shares of all that were asked; an error is no alarm, and no answer."""
    if not peers:
        return
    titles = ("peer", "windows of", "quiet alarmed", "whole set", "small", "large", "broken bond",
              "harm precision", "recall", "answered", "hostile answered", "s a window")  # fmt: skip
    print(f"\n| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for name in peers:
        for size in SIZES:
            here = [one for _, rows, one in found if rows == size and name in one.peers]
            if here:
                cells = [name, f"{size:,}", *_peer_cells(here, name), f"{np.nanmean(seconds[name]):.2f}"]
                print(f"| {' | '.join(cells)} |")


def _peer_cells(here: list[Window], name: str) -> list[str]:
    def alarmed(kinds: Any, word: str = "any") -> str:
        return _share([bool(one.peers[name].get(word)) for one in here if one.kind in kinds])

    hostile = [one for one in here if one.kind.startswith("hostile")]
    drifted = [one for one in here if one.kind == "harm?"]
    # who says nothing of performance is taken at his alarm
    said = "harm" if any("harm" in one.peers[name] for one in here) else "any"
    harmed = [(bool(one.peers[name].get(said)), one.harm > 3) for one in drifted]
    return [
        alarmed({"quiet"}),
        alarmed({"quiet"}, "whole") if any("whole" in one.peers[name] for one in here) else "",
        alarmed(SMALL),
        alarmed(LARGE),
        alarmed({"bond"}),
        _share([truly for told, truly in harmed if told]),
        _share([told for told, truly in harmed if truly]),
        _share(["error" not in one.peers[name] for one in here if not one.kind.startswith("hostile")]),
        _share(["error" not in one.peers[name] for one in hostile]),
    ]


def _share(hits: list[bool]) -> str:
    return f"{np.mean(hits):.1%} of {len(hits)}" if hits else "–"


def _print_size(here: list[tuple[str, Window]], size: int) -> None:
    by_kind: dict[str, list[Window]] = defaultdict(list)
    for _, one in here:
        by_kind[one.kind].append(one)
    quiet, planted = by_kind["quiet"], [one for kind in SMALL | LARGE for one in by_kind[kind]]
    few = 0.8 if size <= 300 else 0.9
    _line("quiet, drift", size, "<= 1 %", [one.answer["drift"] for one in quiet])
    _line("quiet, anything at all", size, "<= 1 %", [one.answer["verdict"] != "HEALTHY" for one in quiet])
    by_time = by_kind["quiet by time"]
    _line("quiet stretches by time, drift", size, "<= 1 %", [one.answer["drift"] for one in by_time])
    _line("quiet stretches by time, harm", size, "<= 1 %", [one.answer["performance"] for one in by_time])
    _line("quiet stretches by time, labels in", size, "<= 1 %", [one.answer["labelled"] for one in by_time])
    _line("quiet, performance without labels", size, "<= 1 %", [one.answer["performance"] for one in quiet])
    _line("quiet, performance with labels", size, "<= 1 %", [one.answer["labelled"] for one in quiet])
    for group, least in ((SMALL, f">= {few:.0%}"), (LARGE, ">= 99 %")):
        for kind in group:
            _line(kind, size, least, [one.answer["drift"] for one in by_kind[kind]])
    _line("all small", size, f">= {few:.0%}", [one.answer["drift"] for kind in SMALL for one in by_kind[kind]])
    _line("all large", size, ">= 99 %", [one.answer["drift"] for kind in LARGE for one in by_kind[kind]])
    _line(
        "broken bond", size, ">= 85 %" if size <= 300 else ">= 95 %", [one.answer["drift"] for one in by_kind["bond"]]
    )
    _line("changed labels, labels in", size, ">= 90 %", [one.answer["labelled"] for one in by_kind["labels"]])
    _line("changed labels, before", size, "<= 1 %", [_speaks(one) for one in by_kind["labels"]])
    heard = [one for one in planted if one.answer["drift"]]
    _line("right column named", size, ">= 95 %", [one.answer["columns"][one.column] for one in heard])
    others = [sum(one.answer["columns"].values()) - one.answer["columns"][one.column] for one in heard]
    print(f"| other columns named | {size:,} | <= 0.1 | {np.mean(others):.3f} | {len(others)} | |") if others else None
    told = [one for one in (*heard, *by_kind["honest drift"]) if one.answer["drift"]]
    right = [one.answer["verdict"] == "BROKEN" if _broken(one) else one.answer["verdict"] != "BROKEN" for one in told]
    _line("BROKEN against DRIFTED", size, ">= 95 %", right)
    _line("  of faults", size, "", [ok for one, ok in zip(told, right, strict=True) if _broken(one)])
    _line(
        "  of whole columns in another unit",
        size,
        "",
        [one.answer["verdict"] == "BROKEN" for one in told if one.kind in UNITS],
    )
    _line("  of drifts", size, "", [ok for one, ok in zip(told, right, strict=True) if not _broken(one)])
    _harm_lines(by_kind["harm?"], size)
    _line(
        "hostile answered",
        size,
        "100 %",
        [
            bool(one.answer.get("verdict")) and "cannot be judged" not in str(one.answer["reasons"])
            for kind in by_kind
            if kind.startswith("hostile")
            for one in by_kind[kind]
        ],
    )


def _speaks(one: Window) -> bool:
    return bool(one.answer["drift"] or one.answer["performance"])


def _broken(one: Window) -> bool:
    return one.kind not in DRIFTS and one.kind != "honest drift"


def _harm_lines(drifted: list[Window], size: int) -> None:
    """Print precision and recall of alarms without labels, where harm is a mean error three standard errors up."""
    harmed = [one.harm > 3 for one in drifted]
    alarmed = [bool(one.answer["performance"]) for one in drifted]
    _line("windows that really are harmed", size, "", harmed)
    _line("harm precision", size, ">= 75 %", [h for a, h in zip(alarmed, harmed, strict=True) if a])
    _line("harm recall", size, ">= 80 %", [a for a, h in zip(alarmed, harmed, strict=True) if h])


def _line(what: str, size: int, target: str, hits: list[Any]) -> None:
    if hits:
        count, rows = sum(map(bool, hits)), len(hits)
        low, high = stats.binomtest(count, rows).proportion_ci(method="wilson")
        share, limit = count / rows, float(target.split()[1]) / 100 if len(target.split()) > 2 else None
        missed = limit is not None and (share > limit if target.startswith("<") else share < limit)
        mark = " **missed**" if missed else ""
        print(f"| {what} | {size:,} | {target} | {share:.1%}{mark} | {rows} | {low:.1%} – {high:.1%} |")
