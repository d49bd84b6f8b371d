"""A model that is watched: its release, its callers, its labels, and the monitor's steps on real files.

The registry is the one fake, for MLflow takes half a minute to start; the
release in it is a real one.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pandas as pd

from factories.model import START, a_model, a_spec, pack, rides
from nightshift.errors import ReleaseError
from nightshift.files import write_json
from nightshift.ledger import Entry, Kind
from nightshift.model.evaluate import evaluate
from nightshift.pipelines.expect import FILE, Expected
from nightshift.pipelines.output import OUTPUT, output_of
from nightshift.pipelines.request import Asked, MonitorRequest
from nightshift.pipelines.steps import find_step
from nightshift.pipelines.work import Work
from nightshift.predictions.log import PredictionLog
from nightshift.predictions.record import Answered, Columns, micros
from nightshift.profile.profile import Profile
from nightshift.profile.variation import Variation
from nightshift.registry import ModelRegistry
from nightshift.registry.release import Release
from nightshift.runs import RunFolder
from nightshift.settings import Settings
from nightshift.spec import Kind as ColumnKind
from nightshift.spec import ModelSpec

DAY = timedelta(days=1)
ROWS = 400
STEPS = ("collect", "profile", "compare", "performance", "look_back", "judge", "decide", "alert")
"""All but ``validate``, which has tests of its own: Great Expectations takes six seconds to be imported."""


class OneRelease(ModelRegistry):
    """A registry that holds versions of one model as folders."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def champion(self, model: str) -> Release | None:
        return None

    def fetch(self, model: str, version: str) -> Path:
        return self._folder / version / "package"

    def evidence(self, model: str, version: str, name: str) -> Path:
        if not (self._folder / version / name).exists():
            raise ReleaseError(f"{model} {version} has no evidence {name!r}")
        return self._folder / version / name


class Watching(Work):
    """A run's work with the registry in a folder."""

    @cached_property
    def registry(self) -> ModelRegistry:
        return OneRelease(self.settings.releases / "fake")


@dataclass(frozen=True)
class Nights:
    """An installation in ``folder`` where ``rides`` is served and judged day by day."""

    folder: Path
    spec: ModelSpec

    @property
    def settings(self) -> Settings:
        return Settings.load(state=self.folder)

    def work(self, run_id: str) -> Work:
        run = RunFolder.of(self.settings.runs, model=self.spec.name, pipeline="monitor", run_id=run_id)
        return Watching(self.spec, run, self.settings)

    def ask(self, rows: pd.DataFrame, *, version: str = "1", noise: float | None = None) -> None:
        """Answer ``rows`` as the model would and log it; with ``noise`` in the answers, as a challenger in shadow."""
        names, model = list(self.spec.features), a_model()
        chances = model.predict(rows)
        if noise is not None:
            chances = np.clip(chances + np.random.default_rng(7).normal(0, noise, len(rows)), 0.01, 0.99)
        kinds = {name: str(kind) for name, kind in self.spec.kinds.items()}
        columns = Columns(self.spec.name, version, "ab" * 32, "binary", kinds, key="ride_id", time="at")
        plain = rows[names].astype(object).where(rows[names].notna(), None)
        answered = Answered(
            id=f"{rows['ride_id'].iloc[0]}-{len(rows)}",
            at=micros(rows["at"].max().to_pydatetime()),
            version=version,
            rows=[tuple(row) for row in plain.itertuples(index=False)],
            outputs=[float(chance) for chance in chances],
            keys=rows["ride_id"].tolist(),
            times=[micros(moment.to_pydatetime()) for moment in rows["at"]],
            flaws={},
        )
        log = PredictionLog(self.settings.predictions / self.spec.name / ("shadow" if noise is not None else "."))
        log.append(columns, [answered])

    def tell(self, rows: pd.DataFrame, *, known_after: timedelta = DAY, month: bool = False) -> None:
        """Let the source know what became of ``rows``, so long after they happened.

        In a file of their own, or of the ``month``: a source of a year has files of some size.
        """
        name = f"{rows['at'].iloc[0]:%Y-%m}" if month else f"{rows['ride_id'].iloc[0]}-{len(rows)}"
        path = Path(str(self.spec.source.path)).parent / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        told = rows.assign(known_at=rows["at"] + known_after)
        before = [pd.read_parquet(path)] if month and path.exists() else []
        pd.concat([*before, told]).to_parquet(path, index=False)

    def judge(self, day: int, *, run_id: str = "", again: tuple[str, ...] = ()) -> Entry:
        """Run the monitor for one day and return its entry; ``again`` are steps to run twice."""
        work = self.work(run_id or f"night-{day}")
        asked = Asked.by_person(now=start_of(day + 1), start=start_of(day), end=start_of(day + 1))
        work.run.begin(MonitorRequest.from_asked(self.spec, asked).to_json())
        for name in STEPS:
            find_step("monitor", name)(work)
            if name in again:
                find_step("monitor", name)(work)
            if name == "profile":
                work.run.write("quality.json", {"format": 1, "checks": []})
        return self.entry(day)

    def entry(self, day: int) -> Entry:
        """Return the newest judgement of a day."""
        return next(one for one in self.work("x").ledger.windows(self.spec.name) if one.start == start_of(day))

    def entries(self, kind: Kind) -> list[Entry]:
        return self.work("x").ledger.entries(self.spec.name, kind)


def start_of(day: int) -> datetime:
    """Return the midnight on which day ``day`` begins; the model learned from days 0 to 19."""
    return START + day * DAY


def rides_of(day: int, *, rows: int = ROWS, **columns: Any) -> pd.DataFrame:
    """Return one day's rides; ``columns`` replace columns, or change them if they are functions."""
    found = rides(rows=rows, seed=1000 + day, days=1)
    found["at"] = found["at"] + day * DAY
    changed = {name: change(found[name]) if callable(change) else change for name, change in columns.items()}
    return found.assign(**changed)


def watched(folder: Path, *, versions: Sequence[str] = ("1",), **policy: Any) -> Nights:
    """Return an installation with version 1 of ``rides`` in its registry; ``policy`` are keys of the declaration."""
    usual = {"window": "1d", "rows_min": 100, "limits": {"performance": {"auc": 0.1}}, "segments": ["zone"],
             "segment_rows_min": 50, "false_alarms": "1 per 2 years"}  # fmt: skip
    changes = {"monitor": usual | policy.pop("monitor", {}), "source": {"path": str(folder / "source" / "*.parquet")}}
    spec = a_spec(**(changes | policy))
    nights = Nights(folder / "state", spec)
    for version in versions:
        shutil.copytree(_release(), nights.settings.releases / "fake" / version)
    return nights


@cache
def _release() -> Path:
    """Return a release of ``rides``; it is made once for all tests."""
    folder = Path(mkdtemp())
    spec = a_spec(monitor={"window": "1d", "segments": ["zone"], "segment_rows_min": 50})
    model, rows, test = a_model(), rides(rows=8000), rides(rows=4000, seed=5)
    inputs = Profile.of(rows, spec.kinds)
    answers = pd.DataFrame({OUTPUT: output_of(model.predict(test), spec)})
    output = Profile.of(answers, {OUTPUT: ColumnKind.NUMERIC})
    windows = [Profile.of(part, spec.kinds, bins_of=inputs) for _, part in rows.groupby(rows["at"].dt.date)]
    profile = {
        "inputs": inputs.to_json(),
        "output": output.to_json(),
        "variation": {
            "inputs": Variation.of(inputs, windows, model.importance).to_json(),
            "output": Variation().to_json(),
        },
    }
    pack(folder / "package", model=model, profile=profile)
    write_json(folder / "split.json", {"splits": {"validation": {"end": start_of(20).isoformat()}}})
    write_json(folder / "training.json", {"importance": dict(model.importance)})
    write_json(folder / "evaluation.json", evaluate(model.predict, test, spec).to_json())
    write_json(folder / FILE, Expected.of(test, rows, model.predict, spec, ()).to_json())
    return folder
