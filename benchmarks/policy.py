"""What a policy of retraining costs and saves: `.venv/bin/python benchmarks/policy.py [--windows 40] [--worlds 1]`.

Streams of windows whose drift is known (and a year of flights in order) are
answered by a model; labels are in one window later. What is judged and decided
is judged by the real replay and decided by the real governor; a candidate must
pass the gate, which compares it with the champion on the newest labelled rows
that neither has learned from. Beside it: never retrain; retrain after every
window and after every fourth; retrain at each alarm, without governor or gate.
Prints, over all streams, the mean loss of what was served (log loss, or the
error in deviations of the label) between *every window* (0) and *never* (1),
the retrains, and how many promotions made the served model worse: on the four
windows after, by more than two standard errors of the paired difference.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from _windows import NUMERIC, World, coded, world

from nightshift.governor import SICK, Retrain, Situation, decide
from nightshift.replay.judge import Judge
from nightshift.replay.schema import Schema
from nightshift.spec import Governor, Kind
from nightshift.verdict import SEVERITY, Status

ROWS, LEARNED, HELD_OUT = 500, 6_000, 1_000
"""Rows of a window, of what a candidate learns from, and of those it is compared on."""
WEEK, BEGIN = timedelta(weeks=1), datetime(2013, 1, 7, tzinfo=UTC)
AFTER = 4
MARGIN = 0.02
"""A candidate may be worse by so much of the champion's loss, at the far end of the paired interval."""
KINDS = ("quiet", "sudden", "gradual", "inputs", "season", "fault")
FAMILIES = ("gaussians", "counts", "names")
POLICIES = ("never", "every window", "every fourth", "every alarm", "governor")


@dataclass
class Stream:
    """Windows in order, the first of them what the first champion learned from."""

    name: str
    world: World
    history: pd.DataFrame
    windows: list[pd.DataFrame]


@dataclass
class Model:
    """A booster, and what windows are compared with while it serves."""

    booster: xgboost.XGBModel
    world: World
    judge: Judge | None = None

    def answered(self, rows: pd.DataFrame) -> pd.DataFrame:
        return replace(self.world, model=self.booster).answered(rows)

    def losses(self, rows: pd.DataFrame) -> np.ndarray:
        """Return the loss of each row."""
        answered = self.answered(rows)
        if self.world.task == "regression":
            deviation = float(self.world.pool["target"].std())
            return (answered["prediction"] - rows["target"]).abs().to_numpy() / deviation
        truth = rows["target"].to_numpy().astype(int)
        if self.world.task == "binary":
            chance = np.where(truth == 1, answered["probability"], 1 - answered["probability"])
        else:
            each = answered[[name for name in answered if name.startswith("probability_")]].to_numpy()
            chance = each[np.arange(len(truth)), truth]
        return -np.log(np.clip(chance, 1e-6, 1.0))


@dataclass
class Told:
    """What became of one stream under one policy."""

    loss: float = 0.0
    retrains: int = 0
    promotions: int = 0
    worse: int = 0
    statuses: list[Status] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--windows", type=int, default=40)
    parser.add_argument("--worlds", type=int, default=1, help="how many of each family and kind of drift")
    parser.add_argument("--policies", default=",".join(POLICIES))
    asked = parser.parse_args()
    names = asked.policies.split(",")
    told: dict[str, list[Told]] = {name: [] for name in names}
    titles: list[str] = []
    for stream in streams(asked.worlds, asked.windows):
        titles.append(stream.name)
        for name in names:
            told[name].append(serve(stream, name))
        line = "  ".join(f"{name} {told[name][-1].loss:.4f} ({told[name][-1].retrains})" for name in names)
        print(f"{stream.name}: {line}", file=sys.stderr, flush=True)
    print_table(told, len(titles) * asked.windows)


def print_table(told: dict[str, list[Told]], windows: int) -> None:
    print(f"{windows:,} windows of {ROWS} rows")
    print("| policy | mean loss | between every (0) and never (1) | retrains | promoted | made it worse |")
    print(f"|{'---|' * 6}")
    mean = {name: float(np.mean([one.loss for one in each])) for name, each in told.items()}
    for name, each in told.items():
        span = mean.get("never", np.nan) - mean.get("every window", np.nan)
        place = (mean[name] - mean.get("every window", np.nan)) / span
        retrains, promoted, worse = (
            sum(getattr(one, what) for one in each) for what in ("retrains", "promotions", "worse")
        )
        print(f"| {name} | {mean[name]:.4f} | {place:.2f} | {retrains} | {promoted} | {worse} |")


# ---------------------------------------------------------------- streams
def streams(worlds: int, windows: int) -> Iterator[Stream]:
    for turn in range(worlds):
        yield flights(900 + turn, windows)
        for family in FAMILIES:
            here = world(family, 900 + turn)
            for kind in KINDS:
                chance = np.random.default_rng([900 + turn, KINDS.index(kind), len(family)])
                history = here.draw(LEARNED + HELD_OUT, chance)
                cut = [_window(here, kind, place / windows, chance) for place in range(windows)]
                yield Stream(f"{family} {kind}", here, history, cut)


def flights(seed: int, windows: int) -> Stream:
    """Return the year from its second month on, in order of time."""
    here = world("flights", seed, ordered=True)
    rest = here.pool.iloc[LEARNED + HELD_OUT :]
    step = len(rest) // windows
    cut = [rest.iloc[place * step : place * step + ROWS].reset_index(drop=True) for place in range(windows)]
    return Stream("flights", here, here.pool.iloc[: LEARNED + HELD_OUT], cut)


def _window(here: World, kind: str, at: float, chance: np.random.Generator) -> pd.DataFrame:
    """Return a window ``at`` this part of the stream: what the inputs are, and what they mean."""
    column = next(name for name in here.important if here.kinds[name] == NUMERIC)
    ranks = here.pool[column].rank(pct=True).fillna(0.5).to_numpy() - 0.5
    size = {"inputs": 5 * max(0.0, at - 0.3), "season": 3 * np.sin(2 * np.pi * 2 * at)}.get(kind, 0.0)
    rows = here.draw(ROWS, chance, tilt=np.asarray(size * ranks) if size else None)
    if kind == "fault" and 0.3 <= at < 0.45:
        return rows.assign(**{column: -999.0})
    share = {"sudden": float(at >= 0.4), "gradual": min(max((at - 0.25) / 0.5, 0.0), 1.0)}.get(kind, 0.0)
    return _other_meaning(here, rows, column, share, chance)


def _other_meaning(
    here: World, rows: pd.DataFrame, column: str, share: float, chance: np.random.Generator
) -> pd.DataFrame:
    """Return rows of which those with a high value in ``column`` have another label, in so large a share."""
    high = (rows[column] > here.pool[column].quantile(0.6)).to_numpy() & (chance.random(len(rows)) < share)
    target = rows["target"]
    if here.task == "regression":
        return rows.assign(target=np.where(high, target + here.pool["target"].std(), target))
    classes = np.sort(here.pool["target"].unique())
    return rows.assign(target=np.where(high, classes[(target.astype(int) + 1) % len(classes)], target))


# ---------------------------------------------------------------- served
def serve(stream: Stream, policy: str) -> Told:
    """Answer the stream under a policy; return what became of it."""
    told, watched = Told(), policy in ("every alarm", "governor")
    champion = learn(stream.world, stream.history, watched=watched)
    known, asked, losses, learned_until = stream.history, [], [], None
    for place, rows in enumerate(stream.windows):
        losses.append(champion.losses(rows).mean())
        before = stream.windows[place - 1] if place else None
        if before is not None and not (watched and told.statuses[-1] is Status.BROKEN):
            known = pd.concat([known, before], ignore_index=True)  # a broken window is kept from training
        if watched:
            told.statuses.append(judged(champion, rows, before))
        now = BEGIN + (place + 1) * WEEK
        # whether a promotion helped is known when the windows after it are
        retrains = [Retrain(when, helped if now >= known_at else None) for when, known_at, helped in asked]
        if not wanted(policy, place, told.statuses, now, retrains, learned_until):
            continue
        told.retrains += 1
        candidate = learn(stream.world, known, watched=watched)
        promoted = policy != "governor" or passes(candidate, champion, known[-HELD_OUT:])
        if not promoted:
            asked.append((now, now, False))
            continue
        told.promotions += 1
        worse, better = beside(candidate, champion, stream.windows[place + 1 : place + 1 + AFTER])
        told.worse += worse
        asked.append((now, now + AFTER * WEEK, better))
        champion, learned_until = candidate, now
    told.loss = float(np.mean(losses))
    return told


def wanted(
    policy: str, place: int, statuses: list[Status], now: datetime, retrains: list[Retrain], learned: datetime | None
) -> bool:
    match policy:
        case "never":
            return False
        case "every window":
            return True
        case "every fourth":
            return place % 4 == 3
        case "every alarm":
            return statuses[-1] in (*SICK, Status.BROKEN)
    seen = Situation(now, statuses[-1], statuses[:-1], tuple(retrains), champion_as_of=learned)
    return decide(Governor(), seen).retrain


def learn(here: World, known: pd.DataFrame, *, watched: bool) -> Model:
    """Return a model of the newest rows but those it will be compared on, with what windows are compared with."""
    rows = known[-(LEARNED + HELD_OUT) : -HELD_OUT]
    model = Model(_fitted(here, rows), here)
    if not watched:
        return model
    # of what it learned from it answers too well: halves answer for each other
    halves = [rows.iloc[place::2] for place in (0, 1)]
    crossed = [
        Model(_fitted(here, other), here).answered(half) for half, other in zip(halves, halves[::-1], strict=True)
    ]
    reference = pd.concat(crossed).sort_index()
    classes = tuple(sorted(here.pool["target"].unique().tolist())) if here.task != "regression" else ()
    kinds: dict[str, Any] = {name: Kind(kind) for name, kind in here.kinds.items()}
    schema = Schema(features=kinds, task=here.task, ordered=True, window_rows=(ROWS,), classes=classes)
    return replace(model, judge=Judge.of(reference, schema))


def _fitted(here: World, rows: pd.DataFrame) -> xgboost.XGBModel:
    # the same settings as the world's own model
    fresh = type(here.model)(**{name: value for name, value in here.model.get_params().items() if value is not None})
    return fresh.fit(coded(rows, here.kinds, here.levels), rows["target"])


def judged(champion: Model, rows: pd.DataFrame, before: pd.DataFrame | None) -> Status:
    """Return the verdict: on the window as it is, and on the one before by its labels."""
    assert champion.judge is not None
    found = [Status(champion.judge.judge(champion.answered(rows).drop(columns="target"))["verdict"])]
    if before is not None:
        late = champion.judge.judge(champion.answered(before).drop(columns="target"), before["target"])
        found += [Status.DEGRADED] if late["performance"] else []
    return max(found, key=SEVERITY.index)


def passes(candidate: Model, champion: Model, rows: pd.DataFrame) -> bool:
    """Say whether a candidate is not worse than the champion, at the far end of the paired interval."""
    own, other = candidate.losses(rows), champion.losses(rows)
    difference = own - other
    far = difference.mean() + 1.96 * difference.std() / np.sqrt(len(rows))
    return bool(far <= MARGIN * other.mean())


def beside(new: Model, old: Model, later: list[pd.DataFrame]) -> tuple[bool, bool]:
    """Return whether the new model is worse, and better, than the old one on later windows, beyond chance."""
    if not later:
        return False, True
    difference = np.concatenate([new.losses(rows) - old.losses(rows) for rows in later])
    reach = 2 * difference.std() / np.sqrt(len(difference))
    return bool(difference.mean() > reach), bool(difference.mean() < -reach)


if __name__ == "__main__":
    main()
