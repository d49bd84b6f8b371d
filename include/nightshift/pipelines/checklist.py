"""What a release must show before it is registered: each box ticked by evidence that is looked at just now."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any

from nightshift.data.split import Splits, read_splits
from nightshift.errors import NightshiftError, ReturnToSenderError
from nightshift.lineage.code import CodeVersion, read_code
from nightshift.lineage.environment import Environment, read_environment
from nightshift.lineage.record import Lineage
from nightshift.model.manifest import NATIVE
from nightshift.model.package import ModelPackage, open_package
from nightshift.model.train import TrainedModel
from nightshift.pipelines.request import BuildRequest
from nightshift.pipelines.work import Work
from nightshift.verdict import Status

FORMAT = 1
WAIVABLE = ("code versioned", "environment equals the lock")
"""What a request may let pass; the release is then marked as not reproducible."""


@dataclass(frozen=True)
class Box:
    """One thing to show: what was found, and why that is not enough; empty ``missing`` is a tick."""

    name: str
    found: str
    missing: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "ticked": not self.missing, "found": self.found, "missing": list(self.missing)}


def check_boxes(work: Work) -> list[Box]:
    """Look at every box and return them all; write ``checklist.json``.

    Raises
    ------
    ReturnToSenderError
        With everything that is missing, not just the first thing; an edited
        checkout or environment may be allowed by the request, nothing else.
    """
    evidence = Evidence(work)
    boxes = [_look(evidence, name, look) for name, look in BOXES.items()]
    waived = WAIVABLE if BuildRequest.of(work.run).allow_unreproducible else ()
    missing = [f"{box.name}: {why}" for box in boxes for why in box.missing if box.name not in waived]
    work.run.write(
        "checklist.json", {"format": FORMAT, "complete": not missing, "boxes": [box.to_json() for box in boxes]}
    )
    if missing:
        raise ReturnToSenderError(missing)
    return boxes


Look = Callable[["Evidence"], tuple[str, list[str]]]
"""Look at one box: what was found, and what is missing."""


@dataclass(frozen=True)
class Evidence:
    """A run's files, each read and proven when the first box asks for it, and once."""

    work: Work

    @cached_property
    def lineage(self) -> Lineage:
        return Lineage.from_json(self.read("lineage.json"))

    @cached_property
    def splits(self) -> Splits:
        return read_splits(self.work.run.file("splits"))

    @cached_property
    def package(self) -> ModelPackage:
        return open_package(self.work.run.file("package"))

    def read(self, name: str) -> Any:
        """Return what an earlier step wrote."""
        return self.work.run.read(name)


def _look(evidence: Evidence, name: str, look: Look) -> Box:
    """Return a box; evidence that cannot be read is a missing box like any other."""
    try:
        found, missing = look(evidence)
    except ReturnToSenderError as error:
        return Box(name, "nothing", error.reasons)
    except (NightshiftError, OSError, ValueError, KeyError, TypeError) as error:
        return Box(name, "nothing", (f"its evidence cannot be read: {error}",))
    return Box(name, found, tuple(missing))


def _code(evidence: Evidence) -> tuple[str, list[str]]:
    began, now = (
        CodeVersion.from_json(evidence.read("versions.json")["code"]),
        read_code(evidence.work.settings.project),
    )
    missing = now.problems()
    if (now.commit, now.changes_digest) != (began.commit, began.changes_digest):
        missing.append(
            f"the checkout was at {_stand(began)} when the build began and is at {_stand(now)}; "
            "let no one change it while it builds, and build again"
        )
    where = f", on a branch of {now.remote}" if now.pushed else ""
    return f"commit {now.commit}{where}", missing


def _stand(code: CodeVersion) -> str:
    return code.commit[:12] + (" with changes" if code.changes else "")


def _environment(evidence: Evidence) -> tuple[str, list[str]]:
    began, now = (
        Environment.from_json(evidence.read("versions.json")["environment"]),
        read_environment(evidence.work.settings.lock),
    )
    missing = now.problems()
    for what in ("python", "platform", "lock_digest", "arithmetic"):
        before, after = getattr(began, what), getattr(now, what)
        if before != after:
            missing.append(f"{what.replace('_', ' ')} was {before} when the build began and is {after}; build again")
    return f"{now.python}, {now.platform}, {now.arithmetic}, lock {now.lock_digest}", missing


def _data(evidence: Evidence) -> tuple[str, list[str]]:
    lineage, assembled = evidence.lineage, evidence.read("assembled.json")
    if lineage.data is None:
        return "nothing", ["no data version is recorded; take a snapshot first"]
    missing = []
    if assembled["digest"] != lineage.data.digest:
        missing.append(f"the table was made from data {assembled['digest']}, recorded is {lineage.data.digest}")
    return f"{assembled['files']} files of data {lineage.data.digest}, each hashed again", missing


def _data_version(evidence: Evidence) -> tuple[str, list[str]]:
    data = evidence.lineage.data
    if data is None:
        return "nothing", ["no data version is recorded; take a snapshot first"]
    held = evidence.work.data.version(data.path, data.commit)
    missing = [] if held and held.digest == data.digest else [_gone(data.path, data.commit, data.digest)]
    return f"{data.path} at commit {data.commit}, digest {data.digest}", missing


def _splits(evidence: Evidence) -> tuple[str, list[str]]:
    """Hash the rows of every split again, look for leaks again, and for their version in the data registry."""
    lineage, splits = evidence.lineage, evidence.splits
    splits.check(evidence.work.spec)
    missing = [
        f"{name} has digest {digest}, the lineage says {lineage.splits.get(name)}"
        for name, digest in splits.digests.items()
        if digest != lineage.splits.get(name)
    ]
    pinned = lineage.table
    held = evidence.work.data.version(pinned.path, pinned.commit) if pinned else None
    if pinned and not (held and held.digest == pinned.digest):
        missing.append(_gone(pinned.path, pinned.commit, pinned.digest))
    if pinned is None:
        missing.append("the splits are not in the data registry; split again")
    found = [
        f"{each.name} {each.rows:,} rows to {each.last:%Y-%m-%d %H:%M}" for each in splits.records.values() if each.last
    ]
    return "; ".join(found), missing


def _gone(path: str, commit: str, digest: str) -> str:
    return f"the data registry has no {path} with digest {digest} at commit {commit}; restore it, or build again"


def _model(evidence: Evidence) -> tuple[str, list[str]]:
    opened, trained = evidence.package, TrainedModel.read(evidence.work.run.file("model"))
    lineage = evidence.lineage.digest
    packed, found = opened.manifest.files[NATIVE].sha256, sha256(trained.native).hexdigest()
    missing = [] if packed == found else [f"the package holds booster {packed}, trained was {found}; package again"]
    if opened.manifest.lineage_digest != lineage:
        missing.append(f"the package is of lineage {opened.manifest.lineage_digest}, this is {lineage}; package again")
    return f"package {opened.digest}, booster {packed}", missing


def _profiles(evidence: Evidence) -> tuple[str, list[str]]:
    profile = evidence.package.profile
    inputs = profile.get("inputs", {}).get("columns", {})
    lacking = [name for name in evidence.work.spec.features if name not in inputs]
    missing = [f"the profile lacks {', '.join(lacking)}; profile again"] if lacking else []
    if not profile.get("output"):
        missing.append("there is no profile of the answers; package again")
    return f"{len(inputs)} columns of inputs, and the answers", missing


def _performance(evidence: Evidence) -> tuple[str, list[str]]:
    evaluation, test = evidence.read("evaluation.json"), evidence.splits.records["test"]
    bare = [name for name, each in evaluation["metrics"].items() if each["low"] is None or each["high"] is None]
    missing = [f"{name} has no interval; evaluate again" for name in bare]
    if not evaluation["metrics"]:
        missing.append("no metric is known on the test rows; look at evaluation.json")
    if evaluation["rows"] != test.rows:
        missing.append(f"{evaluation['rows']} rows were judged, the test split has {test.rows}; evaluate again")
    if evidence.read("verdict.json")["status"] != Status.PASS:
        missing.append("the gates are not met; the champion stays")
    told = ", ".join(f"{name} {each['value']:.4g}" for name, each in evaluation["metrics"].items())
    return f"{told} on {evaluation['rows']:,} test rows, with intervals", missing


BOXES: dict[str, Look] = {
    "code versioned": _code,
    "environment equals the lock": _environment,
    "data versioned and hashed again": _data,
    "exact data version recorded": _data_version,
    "splits pinned": _splits,
    "model trained and saved": _model,
    "inputs and answers profiled": _profiles,
    "test performance recorded": _performance,
}
"""Every box in the order of the build; each returns what was found and what is missing."""
