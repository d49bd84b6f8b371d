"""The end of a build: registered with its evidence, rehearsed, promoted."""

from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from nightshift.card import write_card
from nightshift.errors import ReleaseError, ReturnToSenderError
from nightshift.files import read_json
from nightshift.ledger import Kind as EntryKind
from nightshift.lineage.record import Lineage
from nightshift.model.package import ModelPackage, open_package
from nightshift.pipelines.approval import unapproved
from nightshift.pipelines.carding import card_content, decisions_on, show_on_card
from nightshift.pipelines.checklist import check_boxes
from nightshift.pipelines.output import output_of
from nightshift.pipelines.rehearse import rehearse as rehearse_package
from nightshift.pipelines.request import BuildRequest
from nightshift.pipelines.standing import pause
from nightshift.pipelines.work import LEASE_LASTS, Outcome, Then, Work
from nightshift.profile.contract import Contract
from nightshift.registry.release import Release
from nightshift.spec import ModelSpec

EVIDENCE = (
    "spec.json", "request.json", "versions.json", "snapshot.json", "split.json", "lineage.json", "model/training.json",
    "profile.json", "contract.json", "contract.yaml", "expectations.json", "evaluation.json", "expected.json",
    "verdict.json", "checklist.json", "card.md", "card.html",
)  # fmt: skip


def register(work: Work) -> Outcome:
    """Enter the release with all its evidence; write ``checklist.json``, ``release.json``, ``card.md``, ``card.html``.

    The same lineage is the same version, however often this runs.

    Raises
    ------
    ReturnToSenderError
        With every box of the checklist that is not ticked; or if this lineage is
        registered with another package, which nobody has judged here.
    """
    check_boxes(work)
    run, spec, request = work.run, work.spec, BuildRequest.of(work.run)
    lineage, splits = Lineage.from_json(run.read("lineage.json")), run.read("split.json")
    evaluation = run.read("evaluation.json")
    run.write("spec.json", spec.model_dump(mode="json"))
    files = {Path(name).name: run.file(name) for name in EVIDENCE}
    write_card(run.path, card_content(lambda name: read_json(files[name])))
    opened = open_package(run.file("package"))
    release = work.registry.register(
        spec.name,
        run.file("package"),
        files,
        lineage_digest=lineage.digest,
        package_digest=opened.digest,
        tags={
            "code_commit": lineage.code.commit,
            "data_revision": lineage.data.commit if lineage.data else "",
            "spec_digest": lineage.spec_digest,
            "run_folder": str(run.path.relative_to(work.settings.runs)),
            "as_of": request.as_of.isoformat(),
            "learned_until": splits["splits"]["validation"]["end"],
            "reproducible": str(lineage.reproducible).lower(),
            "reason": request.reason,
        },
        metrics=_flat_metrics(evaluation),
        params={**spec.training.model_dump(exclude={"parameters"}), **spec.training.parameters},
        inputs=_inputs(splits),
        run_name=work.run.path.name,
    )
    _refuse_other_bytes(release, opened)
    run.write("release.json", release.to_json())
    return Outcome(f"version {release.version}" + ("" if lineage.reproducible else ", NOT REPRODUCIBLE"))


def _refuse_other_bytes(release: Release, built: ModelPackage) -> None:
    if release.package_digest != built.digest:
        raise ReturnToSenderError([
            f"{release} has the same lineage {release.lineage_digest} and package {release.package_digest}, built was "
            f"{built.digest}: equal inputs must give equal bytes. Nothing goes live; `nightshift reproduce "
            f"{release.model} {release.version}` names the first difference"
        ])  # fmt: skip


def rehearse(work: Work) -> Outcome:
    """Start the real server with the registered version and ask it what it must know; write ``rehearsal.json``."""
    release = work.run.read("release.json")
    folder = work.registry.fetch(work.spec.name, release["version"])
    rows, answers = _admissible_golden_rows(open_package(folder), work.spec)
    result = rehearse_package(folder, work.spec, work.settings, work.run.path, rows=rows, answers=answers)
    work.run.write("rehearsal.json", result.to_json())
    return Outcome(
        f"{result.golden_rows:,} golden rows answered as recorded, {result.refused} bad ones refused, "
        f"ready in {result.ready_seconds:.1f} s, {result.latency_ms_median:.1f} ms a row"
    )


def _admissible_golden_rows(opened: ModelPackage, spec: ModelSpec) -> tuple[list[dict[str, Any]], np.ndarray]:
    """Return the golden rows that the contract lets in; the edges are made to be odd."""
    rows, contract = opened.golden.rows, Contract.from_json(opened.contract)
    places = [
        place for place, row in enumerate(rows) if not any(problem.refused for problem in contract.check_row(row))
    ]
    if not places:
        raise ReleaseError(f"the contract of {opened.model} refuses all {len(rows)} golden rows; look at contract.yaml")
    return [rows[place] for place in places], output_of(opened.golden.answers[places], spec)


def promote(work: Work) -> Outcome:
    """Make the version the champion, if request and declaration say so.

    Not while a person's promotion by hand keeps automatic promotion paused, nor if a newer build took over.
    The alias moves first, then the ledger is told: a run that is killed between
    the two does both again, which changes nothing that is done.

    Raises
    ------
    ReleaseError
        If a newer build is at work, or went live since this one began.
    """
    spec, request, release = work.spec, BuildRequest.of(work.run), work.run.read("release.json")
    version = release["version"]
    if not request.promote or spec.promotion == "manual":
        work.ledger.end_lease(spec.name, work.holder, now=work.now())
        return Outcome(f"version {version} is registered; nothing goes live, as was asked", Then.SKIP)
    paused = pause(work.ledger.entries(spec.name))
    if paused:
        work.ledger.end_lease(spec.name, work.holder, now=work.now())
        return Outcome(
            f"version {version} is registered; promotion is paused since {paused.body['user']} made version "
            f"{paused.body['version']} the champion ({paused.body['reason']}). To go on: promote_{spec.name} with "
            "'Resume automatic promotion'",
            Then.SKIP,
        )
    why_not = _unapproved(work, version)
    if why_not:
        work.ledger.end_lease(spec.name, work.holder, now=work.now())
        return Outcome(f"version {version} is registered; {why_not}", Then.SKIP)
    _refuse_if_overtaken(work, version)
    before = _champion_before(work, version)
    if decisions_on(version, work.ledger.entries(spec.name)):
        show_on_card(work, version)  # before it answers: a champion is complete
    promoted = {"promoted_by": request.user or str(request.cause), "promoted_because": request.reason}
    work.registry.promote(spec.name, version, tags=promoted)
    _give_way_to_a_person(work, version)
    _remember_promotion(work, request, version, before)
    work.ledger.end_lease(spec.name, work.holder, now=work.now())
    was = f", before it {before}" if before else ", the first"
    return Outcome(f"Lock 'n' load! Version {version} is the champion{was}", event={"version": version})


def _unapproved(work: Work, version: str) -> str | None:
    if work.spec.promotion != "approve":
        return None
    return unapproved(work.ledger.entries(work.spec.name), version, work.holder)


def _refuse_if_overtaken(work: Work, version: str) -> None:
    """Take the lease again; refuse if a newer build is at work or has gone live. One that failed is no obstacle."""
    name = work.spec.name
    what = f"{work.holder} may not promote version {version} of {name}"
    if work.ledger.reserve(name, work.holder, now=work.now(), lasts=LEASE_LASTS) is None:
        lease = work.ledger.lease(name)
        raise ReleaseError(
            f"{what}: a newer build ({lease.holder if lease else 'unknown'}) took the lease. Nothing was changed; "
            "let that build end, or clear this task again if it fails."
        )
    began = datetime.fromisoformat(work.run.read("versions.json")["began"])
    for entry in work.ledger.entries(name, EntryKind.PROMOTION):
        if entry.at > began and entry.body["run"] != work.holder:
            work.ledger.end_lease(name, work.holder, now=work.now())
            raise ReleaseError(
                f"{what}: version {entry.body['version']} went live at {entry.at:%Y-%m-%d %H:%M} UTC, after this build "
                f"began ({entry.body['run']}). Nothing was changed; build again, so that it is compared with that one."
            )


def _give_way_to_a_person(work: Work, version: str) -> None:
    """Give the alias back if a person promoted while it was on its way: the pause is told before their alias moves."""
    paused = pause(work.ledger.entries(work.spec.name))
    if paused and paused.body["version"] != version:
        work.registry.promote(work.spec.name, paused.body["version"], tags={})
        work.ledger.end_lease(work.spec.name, work.holder, now=work.now())
        raise ReleaseError(
            f"{paused.body['user']} made version {paused.body['version']} of {work.spec.name} the champion while "
            f"version {version} was on its way ({paused.body['reason']}); theirs answers, automatic promotion is paused"
        )


def _champion_before(work: Work, version: str) -> str | None:
    """Return who answered before this version: the ledger knows where an earlier try moved the alias, or it is gone."""
    champion = work.registry.champion(work.spec.name)
    if champion is not None and champion.version != version:
        return champion.version
    others = [entry.body["version"] for entry in work.ledger.entries(work.spec.name, EntryKind.PROMOTION)]
    return next((other for other in reversed(others) if other != version), None)


def _remember_promotion(work: Work, request: BuildRequest, version: str, before: str | None) -> None:
    """Append the promotion, unless an earlier try of this run has."""
    body = {
        "version": version,
        "before": before,
        "run": work.holder,
        "cause": str(request.cause),
        "reason": request.reason,
        "user": request.user,
    }
    told = [entry.body["run"] for entry in work.ledger.entries(work.spec.name, EntryKind.PROMOTION)]
    if work.holder not in told:
        work.ledger.append(
            work.spec.name, EntryKind.PROMOTION, start=request.as_of, end=request.as_of, body=body, now=work.now()
        )


def _flat_metrics(evaluation: dict[str, Any]) -> dict[str, float]:
    """Return metrics as MLflow takes them: one number each, with the interval's ends beside."""
    return {
        name if part == "value" else f"{name}_{part}": value
        for name, interval in evaluation["metrics"].items()
        for part, value in interval.items()
        if value is not None
    }


def _inputs(splits: dict[str, Any]) -> dict[str, dict[str, Any]]:
    pinned = splits["pinned"]
    source = f"{pinned['registry']}@{pinned['commit']}:{pinned['path']}"
    return {
        name: {"digest": record["digest"], "source": f"{source}/{name}.parquet", "rows": record["rows"]}
        for name, record in splits["splits"].items()
    }
