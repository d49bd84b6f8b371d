"""From versioned code and data to a champion, step by step.

Each step reads files that earlier steps wrote into the run folder, writes its
own, and can be run twice. The order and what stops it are in
``docs/architecture.md``.
"""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nightshift.card import CardContent, write_card
from nightshift.data.snapshot import days_in, write_partitions
from nightshift.data.source import load_source
from nightshift.data.split import make_splits
from nightshift.data.tables import assemble as assemble_table
from nightshift.errors import BrokenDataError, ReleaseError, ReturnToSenderError
from nightshift.files import write_text
from nightshift.ledger import Kind as EntryKind
from nightshift.lineage.code import CodeVersion, read_code
from nightshift.lineage.data import DatasetVersion
from nightshift.lineage.environment import Environment, read_environment
from nightshift.lineage.record import Lineage
from nightshift.model.evaluate import Champion
from nightshift.model.evaluate import evaluate as evaluate_rows
from nightshift.model.package import ModelPackage, open_package, write_package
from nightshift.model.train import TrainedModel
from nightshift.model.train import train as fit
from nightshift.pipelines.output import OUTPUT, label_kind, output_of
from nightshift.pipelines.rehearse import rehearse as rehearse_package
from nightshift.pipelines.request import BuildRequest, Cause, outside_calendar
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.profile.contract import Contract
from nightshift.profile.expectations import validate as validate_rows
from nightshift.profile.profile import Profile
from nightshift.profile.variation import Variation
from nightshift.spec import Kind, ModelSpec
from nightshift.verdict import Status

LEASE_LASTS = timedelta(hours=6)
EVIDENCE = (
    "request.json", "versions.json", "snapshot.json", "split.json", "lineage.json", "model/training.json",
    "profile.json", "contract.json", "contract.yaml", "expectations.json", "evaluation.json", "verdict.json",
    "card.md", "card.html",
)  # fmt: skip


def request_of(work: Work) -> BuildRequest:
    """Return what this run was asked to do."""
    return BuildRequest.from_json(work.run.read("request.json"))


def check_versions(work: Work) -> Outcome:
    """Prove code, data registry and environment before anything is made from them.

    Writes ``versions.json``. Stops a night that lies outside the source's
    calendar.

    Raises
    ------
    ReturnToSenderError
        With every missing box, unless the request allows an unreproducible release.
    """
    request = request_of(work)
    quiet = outside_calendar(work.spec, request.as_of) if request.cause is Cause.NIGHT else None
    if quiet:
        return Outcome(quiet, Then.STOP)
    work.data.create()
    code, environment = read_code(work.settings.project), read_environment(work.settings.lock)
    problems = [*code.problems(), *environment.problems(), *work.data.problems()]
    if problems and not request.allow_unreproducible:
        raise ReturnToSenderError(problems)
    work.run.write(
        "versions.json",
        {
            "format": 1,
            "code": code.to_json(),
            "environment": environment.to_json(),
            "spec_digest": work.spec.digest,
            "problems": problems,
        },
    )
    work.ledger.take_lease(work.spec.name, work.holder, now=work.now(), lasts=LEASE_LASTS)
    if problems:
        return Outcome(f"NOT REPRODUCIBLE, allowed by the request: {'; '.join(problems)}")
    return Outcome(f"code {code.commit[:10]}, environment and data registry are proven")


def snapshot(work: Work) -> Outcome:
    """Append the days that the source has and the data registry lacks; write ``snapshot.json``.

    Raises
    ------
    SourceError
        If the source is empty, or its newest day is too old.
    """
    request = request_of(work)
    version = work.data.version(work.spec.name)
    have = days_in(work.data.list_files(version)) if version else set()
    source = load_source(work.spec, work.settings.sources, work.settings.project)
    fresh = work.run.file("partitions")
    shutil.rmtree(fresh, ignore_errors=True)
    report = write_partitions(source, work.spec, have=have, as_of=request.as_of, to=fresh)
    added = f"{len(report.days)} new day(s), newest {report.newest}"
    timeless = {f"{name}.parquet" for name in source.static()}
    version = work.data.append(work.spec.name, fresh, f"{work.spec.name}: {added}", replace=timeless)
    shutil.rmtree(fresh)
    work.run.write("snapshot.json", {"format": 1, "data": version.to_json(), "report": report.to_json()})
    return Outcome(f"{added}; data {version.digest[:10]} at {version.commit[:10]}")


def assemble(work: Work) -> Outcome:
    """Join the features as they were known before each event; write ``table.parquet``."""
    request = request_of(work)
    version = DatasetVersion.from_json(work.run.read("snapshot.json")["data"])
    tables = work.data.fetch(version, work.run.file("tables"))
    split = work.spec.split
    start = request.as_of - split.train - split.validation - split.test
    table = assemble_table(tables, work.spec, work.query, start=start, end=request.as_of, as_of=request.as_of)
    _write_rows(work, "table.parquet", table)
    shutil.rmtree(work.run.file("tables"))
    return Outcome(f"{len(table):,} rows from {start:%Y-%m-%d} to {request.as_of:%Y-%m-%d}")


def split(work: Work) -> Outcome:
    """Cut the table by time, pin each part in the data registry, and close the lineage.

    Writes ``split.json`` and ``lineage.json``. Stops if this very lineage
    already is the champion.

    Raises
    ------
    SplitError
        If parts overlap, leak, or are too small.
    """
    request, run = request_of(work), work.run
    splits = make_splits(pd.read_parquet(run.file("table.parquet")), work.spec, as_of=request.as_of)
    splits.check(work.spec)
    folder = run.file("splits")
    splits.write(folder)
    pinned = work.data.append(
        f"splits/{work.spec.name}", folder, f"{work.spec.name}: splits as of {request.as_of:%Y-%m-%d}", replace=True
    )
    run.write("split.json", {"format": 1, **splits.to_json(), "pinned": pinned.to_json()})
    lineage = _close_lineage(work, request, pinned, splits.digests)
    twin = work.registry.find(work.spec.name, lineage.digest)
    champion = work.registry.champion(work.spec.name)
    if twin and champion and twin.version == champion.version:
        work.ledger.end_lease(work.spec.name, work.holder, now=work.now())
        return Outcome(f"already built and live as version {twin.version}: same code, data and environment", Then.STOP)
    sizes = ", ".join(f"{name} {len(rows):,}" for name, rows in splits.frames())
    return Outcome(f"{sizes} rows; lineage {lineage.digest[:10]}")


def _close_lineage(work: Work, request: BuildRequest, pinned: DatasetVersion, digests: dict[str, str]) -> Lineage:
    versions = work.run.read("versions.json")
    lineage = Lineage(
        code=CodeVersion.from_json(versions["code"]),
        environment=Environment.from_json(versions["environment"]),
        spec_digest=versions["spec_digest"],
        as_of=request.as_of,
        data=DatasetVersion.from_json(work.run.read("snapshot.json")["data"]),
        table=pinned,
        splits=digests,
    )
    work.run.write("lineage.json", lineage.to_json())
    return lineage


def train(work: Work) -> Outcome:
    """Train on the oldest rows, stop by the next; write ``model/``."""
    rows, validation = _split(work, "train"), _split(work, "validation")
    model = fit(rows, validation, work.spec)
    model.write(work.run.file("model"))
    watched, seen = next(iter(model.history.items()))
    return Outcome(f"{model.best_iteration + 1} rounds, validation {watched} {seen[model.best_iteration]:.4f}")


def profile(work: Work) -> Outcome:
    """Profile the training rows, draw the contract, and hold the rows to it.

    Writes ``profile.json``, ``contract.json``, ``contract.yaml`` and ``expectations.json``.

    Raises
    ------
    BrokenDataError
        If the training rows break the contract drawn from themselves.
    """
    rows, run, spec = _split(work, "train"), work.run, work.spec
    reference = Profile.of(rows, {**spec.kinds, spec.label.column: label_kind(spec)})
    contract = Contract.derive(reference, spec.features)
    quality = validate_rows(rows[list(spec.features)], contract, docs=run.file("docs"), name=f"{spec.name} training")
    run.write("expectations.json", quality.to_json())
    if not quality.success:
        raise BrokenDataError(
            "the training rows break their own contract: " + "; ".join(check.sentence for check in quality.checks)
        )
    run.write("profile.json", reference.to_json())
    write_text(run.file("contract.yaml"), contract.to_yaml())
    run.write("contract.json", contract.to_json())
    return Outcome(f"{len(reference.columns)} columns profiled, contract drawn and kept by all {len(rows):,} rows")


def package(work: Work) -> Outcome:
    """Put model, contract and profiles into the folder that will be served; write ``package/``.

    The profile of the output is of answers to test rows: those to rows it
    learned from would look better than life.
    """
    run, spec, test = work.run, work.spec, _split(work, "test")
    model = TrainedModel.read(run.file("model"))
    manifest = write_package(
        run.file("package"),
        model,
        spec,
        contract=run.read("contract.json"),
        profile=_reference(work, model),
        golden=test,
        lock=work.settings.lock,
        lineage_digest=run.read("lineage.json")["digest"],
    )
    formats = "all formats agree" if manifest.has_onnx else "ONNX is not faithful and left out, the others agree"
    return Outcome(f"{formats} on {manifest.golden_rows:,} golden rows")


def _reference(work: Work, model: TrainedModel) -> dict[str, Any]:
    """Return what windows will be compared with: inputs, answers, and how both vary from window to window."""
    spec, inputs = work.spec, Profile.from_json(work.run.read("profile.json"))
    rows = pd.concat([_split(work, name) for name in ("train", "validation", "test")])
    answers = pd.DataFrame({spec.time.column: rows[spec.time.column], OUTPUT: output_of(model.predict(rows), spec)})
    tested = answers[answers[spec.time.column] >= _split(work, "test")[spec.time.column].min()]
    output = Profile.of(tested, {OUTPUT: Kind.NUMERIC})
    windows = [Profile.of(part, spec.kinds, bins_of=inputs) for part in _windows(rows, spec)]
    answered = [Profile.of(part, output.kinds, bins_of=output) for part in _windows(answers, spec)]
    return {
        "inputs": inputs.to_json(),
        "output": output.to_json(),
        "variation": {
            "inputs": Variation.of(inputs, windows, model.importance).to_json(),
            "output": Variation.of(output, answered, {OUTPUT: 1.0}).to_json(),
        },
    }


def _windows(rows: pd.DataFrame, spec: ModelSpec) -> list[pd.DataFrame]:
    """Return the rows of each whole window that the monitor would judge, oldest first."""
    starts = rows[spec.time.column].dt.floor("D")
    number = (starts.max() - starts) // spec.monitor.window
    sizes = number.value_counts()
    whole = sizes[sizes >= spec.monitor.rows_min].index.sort_values(ascending=False)
    return [rows[number == place] for place in whole]


def evaluate(work: Work) -> Outcome:
    """Judge the candidate on rows it has not seen, and against the champion on rows neither has.

    Writes ``evaluation.json`` and ``verdict.json``. Stops, with the champion
    kept, if a gate is not met.
    """
    spec, test, candidate = work.spec, _split(work, "test"), open_package(work.run.file("package"))
    result = evaluate_rows(
        candidate.predict, test, spec, classes=candidate.classes, champion=_champion(work), seed=spec.training.seed
    )
    verdict = result.verdict(spec)
    work.run.write("evaluation.json", result.to_json())
    work.run.write("verdict.json", verdict.to_json())
    if verdict.status is Status.PASS:
        return Outcome("PASS: " + "; ".join(check.sentence for check in verdict.checks))
    work.ledger.append(
        spec.name, EntryKind.BUILD, start=test[spec.time.column].min(), end=request_of(work).as_of,
        body={"run": work.holder, "version": None, "verdict": verdict.to_json(), "why": verdict.why}, now=work.now(),
    )  # fmt: skip
    work.ledger.end_lease(spec.name, work.holder, now=work.now())
    return Outcome(f"FAIL, kept the champion: {verdict.why}", Then.STOP)


def register(work: Work) -> Outcome:
    """Enter the release with all its evidence; write ``release.json``, ``card.md`` and ``card.html``.

    The same lineage is the same version, however often this runs.
    """
    run, spec, request = work.run, work.spec, request_of(work)
    lineage, splits = Lineage.from_json(run.read("lineage.json")), run.read("split.json")
    evaluation = run.read("evaluation.json")
    write_card(run.path, _card(work, lineage))
    opened = open_package(run.file("package"))
    release = work.registry.register(
        spec.name,
        run.file("package"),
        {Path(name).name: run.file(name) for name in EVIDENCE},
        lineage_digest=lineage.digest,
        package_digest=opened.digest,
        tags={
            "code_commit": lineage.code.commit,
            "data_revision": lineage.data.commit if lineage.data else "",
            "spec_digest": lineage.spec_digest,
            "run_folder": str(run.path),
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
    run.write("release.json", release.to_json())
    return Outcome(f"version {release.version}" + ("" if lineage.reproducible else ", NOT REPRODUCIBLE"))


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
    """Make the version the champion, if the request and the declaration say so and no newer build took over.

    The alias moves first, then the ledger is told: a run that is killed between
    the two does both again, which changes nothing that is done.

    Raises
    ------
    ReleaseError
        If another build took the lease since this one began.
    """
    spec, request, release = work.spec, request_of(work), work.run.read("release.json")
    version = release["version"]
    if not request.promote or spec.promotion == "manual":
        work.ledger.end_lease(spec.name, work.holder, now=work.now())
        return Outcome(f"version {version} is registered; nothing goes live, as was asked", Then.SKIP)
    lease = work.ledger.lease(spec.name)
    if lease is None or lease.holder != work.holder:
        raise ReleaseError(
            f"{work.holder} may not promote version {version} of {spec.name}: a newer build "
            f"({lease.holder if lease else 'none'}) took the lease. Nothing was changed; let that build end."
        )
    before = work.registry.champion(spec.name)
    promoted = {"promoted_by": request.user or str(request.cause), "promoted_because": request.reason}
    work.registry.promote(spec.name, version, tags=promoted)
    _remember_promotion(work, request, version, before.version if before else None)
    work.ledger.end_lease(spec.name, work.holder, now=work.now())
    was = f", before it {before.version}" if before else ", the first"
    return Outcome(f"Lock 'n' load! Version {version} is the champion{was}", event={"version": version})


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


def _champion(work: Work) -> Champion | None:
    release = work.registry.champion(work.spec.name)
    if release is None:
        return None
    opened = open_package(work.registry.fetch(work.spec.name, release.version))
    return Champion(release.version, opened.predict, datetime.fromisoformat(release.tags["learned_until"]))


def _card(work: Work, lineage: Lineage) -> CardContent:
    run, trained = work.run, work.run.read("model/training.json")
    return CardContent(
        spec=work.spec.model_dump(mode="json"),
        lineage={**lineage.to_json(), "problems": lineage.problems()},
        splits=run.read("split.json"),
        training=trained,
        evaluation=run.read("evaluation.json"),
        verdict=run.read("verdict.json"),
        request=run.read("request.json"),
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


def _split(work: Work, name: str) -> pd.DataFrame:
    return pd.read_parquet(work.run.file(f"splits/{name}.parquet"))


def _write_rows(work: Work, name: str, rows: pd.DataFrame) -> None:
    draft = work.run.file(f".{name}.tmp")
    rows.to_parquet(draft, index=False)
    draft.replace(work.run.file(name))


STEPS = (
    check_versions, snapshot, assemble, split, train, profile, package, evaluate, register, rehearse, promote
)  # fmt: skip
