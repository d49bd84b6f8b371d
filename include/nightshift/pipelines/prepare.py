"""The first half of a build: versions proven, days snapshot, table joined, splits pinned."""

import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd

from nightshift.data.snapshot import days_in, write_partitions
from nightshift.data.source import Source, load_source
from nightshift.data.split import make_splits
from nightshift.data.tables import assemble as assemble_table
from nightshift.data.tables import assemble_live
from nightshift.errors import BrokenDataError, ReturnToSenderError
from nightshift.files import write_json
from nightshift.ledger import Kind
from nightshift.lineage.code import CodeVersion, read_code
from nightshift.lineage.data import DatasetVersion
from nightshift.lineage.environment import Environment, read_environment
from nightshift.lineage.record import Lineage
from nightshift.model.package import open_package
from nightshift.pipelines.definitions import changed_under_champions
from nightshift.pipelines.history import champion_or_last
from nightshift.pipelines.recipe import recipe, recipe_to_learn, service_of
from nightshift.pipelines.request import BuildRequest, Cause, outside_calendar
from nightshift.pipelines.standing import blocked_days
from nightshift.pipelines.window import whole_windows
from nightshift.pipelines.work import LEASE_LASTS, Outcome, Then, Work
from nightshift.profile.drift import compare as compare_profiles
from nightshift.profile.profile import Profile
from nightshift.profile.variation import Variation
from nightshift.spec import ModelSpec
from nightshift.verdict import Status


def check_versions(work: Work) -> Outcome:
    """Prove code, data registry and environment before anything is made from them.

    Writes ``versions.json``. Stops a night that lies outside the source's
    calendar.

    Raises
    ------
    ReturnToSenderError
        With every missing box, unless the request allows an unreproducible release; and always if a view that a
        champion uses has changed and its version has not.
    """
    request = BuildRequest.of(work.run)
    quiet = outside_calendar(work.spec, request.as_of) if request.cause is Cause.NIGHT else None
    if quiet:
        return Outcome(quiet, Then.STOP)
    _refuse_lost_registry(work)
    _refuse_changed_views(work)
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
            "began": work.now().isoformat(),
            "problems": problems,
        },
    )
    work.ledger.take_lease(work.spec.name, work.holder, now=work.now(), lasts=LEASE_LASTS)
    if problems:
        return Outcome(f"NOT REPRODUCIBLE, allowed by the request: {'; '.join(problems)}")
    return Outcome(f"code {code.commit[:10]}, environment and data registry are proven")


def _refuse_lost_registry(work: Work) -> None:
    """Refuse to begin a data registry anew in the place of one that releases were built from."""
    built = work.ledger.entries(work.spec.name, Kind.PROMOTION)
    if built and work.data.version(work.spec.name) is None:
        versions = ", ".join(sorted({entry.body["version"] for entry in built}, key=int))
        raise ReturnToSenderError(
            [
                f"the data registry {work.data.url} holds no {work.spec.name}, though version(s) {versions} were built "
                "from it: restore it from its backup, or set NIGHTSHIFT_DATA_REGISTRY to where it is. A new one would "
                "leave those releases without their data"
            ]
        )


def _refuse_changed_views(work: Work) -> None:
    """Refuse another meaning under the same version: whoever else uses the view would not know."""
    changed = changed_under_champions(work.settings, work.registry) if work.spec.feature_service else []
    if changed:
        raise ReturnToSenderError(changed)


def snapshot(work: Work) -> Outcome:
    """Append the days that the source has and the data registry lacks; write ``snapshot.json``.

    Days of a BROKEN window are left out, and leave the newest version if they
    were in it, until a person releases them.

    Raises
    ------
    SourceError
        If the source is empty, or its newest day is too old.
    BrokenDataError
        If the new days look broken to the champion; nothing is appended then.
    """
    request = BuildRequest.of(work.run)
    version = work.data.version(work.spec.name)
    blocked = blocked_days(work.ledger.entries(work.spec.name))
    there = work.data.list_files(version) if version else {}
    have = days_in(there)
    source = load_source(work.spec, work.settings.sources, work.settings.project)
    fresh = work.run.file("partitions")
    shutil.rmtree(fresh, ignore_errors=True)
    report = write_partitions(source, work.spec, have=have | blocked, as_of=request.as_of, to=fresh)
    _refuse_broken_days(work, source, report.days)
    added = f"{len(report.days)} new day(s), newest {report.newest}"
    timeless = {f"{name}.parquet" for name in source.static()}
    without = {name for name in there if days_in([name]) & blocked}
    version = work.data.append(work.spec.name, fresh, f"{work.spec.name}: {added}", replace=timeless, without=without)
    shutil.rmtree(fresh)
    kept_out = sorted(day.isoformat() for day in blocked if day < request.as_of.date())
    taken = {"data": version.to_json(), "report": report.to_json(), "blocked": kept_out}
    work.run.write("snapshot.json", {"format": 1, **taken})
    beside = f"; {len(kept_out)} day(s) blocked as BROKEN are left out" if kept_out else ""
    return Outcome(f"{added}; data {version.digest[:10]} at {version.commit[:10]}{beside}")


def _refuse_broken_days(work: Work, source: Source, days: Sequence[date]) -> None:
    """Hold the new days, as features, to what the champion learned from: faults stop here, honest drift does not."""
    spec, champion = work.spec, champion_or_last(work)
    if champion is None or not days:
        return
    start, end = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (min(days), max(days)))
    rows = assemble_live(
        source, spec, recipe(spec, work.settings), start=start, end=end + timedelta(days=1), lookback=spec.time.lookback
    )
    known = open_package(work.registry.fetch(spec.name, champion.version)).profile
    taken = set(days)  # a window with a blocked day in it is not taken as a whole, and was judged already
    windows = [part for part in whole_windows(rows, spec) if set(part[spec.time.column].dt.date) <= taken]
    faults = [fault for part in windows for fault in _faults(part, known, spec)]
    if faults:
        raise BrokenDataError(
            f"{len(days)} new day(s) from {min(days)} to {max(days)} are BROKEN and were not taken: "
            + "; ".join(faults)
            + ". Mend the source and build again."
        )


def _faults(rows: pd.DataFrame, known: Mapping[str, Any], spec: ModelSpec) -> list[str]:
    """Return what is broken in one window's rows, in a sentence each."""
    reference = Profile.from_json(known["inputs"])
    report = compare_profiles(
        reference,
        Profile.of(rows, spec.kinds, bins_of=reference),
        importance=dict.fromkeys(spec.features, 1 / len(spec.features)),
        limits=spec.monitor.limits,
        variation=Variation.from_json(known["variation"]["inputs"]),
    )
    since = rows[spec.time.column].min()
    return [f"from {since:%Y-%m-%d}: {check.sentence}" for check in report.checks if check.status is Status.BROKEN]


def assemble(work: Work) -> Outcome:
    """Join the features as they were known before each event; write ``table.parquet`` and ``assembled.json``."""
    request = BuildRequest.of(work.run)
    version = DatasetVersion.from_json(work.run.read("snapshot.json")["data"])
    tables = work.data.fetch(version, work.run.file("tables"))
    split = work.spec.split
    start = request.as_of - split.train - split.validation - split.test
    how = recipe_to_learn(work.spec, work.settings)
    table = assemble_table(tables, work.spec, how, start=start, end=request.as_of, as_of=request.as_of)
    _write_rows(work, "table.parquet", table)
    service = service_of(work.spec, work.settings)
    # fetching hashed every file again: what the table was made from is what the digest says
    made = {"digest": version.digest, "files": version.files, "rows": len(table)}
    work.run.write("assembled.json", {"format": 1, **made, "features": service.to_json() if service else None})
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
    request, run = BuildRequest.of(work.run), work.run
    splits = make_splits(pd.read_parquet(run.file("table.parquet")), work.spec, as_of=request.as_of)
    splits.check(work.spec)
    folder = run.file("splits")
    splits.write(folder)
    _note_features(work)
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


def _note_features(work: Work) -> None:
    """Put the feature service beside the splits, so that their version says by which definitions they were made."""
    features = work.run.read("assembled.json").get("features")
    if features:
        write_json(work.run.file("splits") / "features.json", features)


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
        features=(work.run.read("assembled.json").get("features") or {}).get("digest", ""),
    )
    work.run.write("lineage.json", lineage.to_json())
    return lineage


def _write_rows(work: Work, name: str, rows: pd.DataFrame) -> None:
    draft = work.run.file(f".{name}.tmp")
    rows.to_parquet(draft, index=False)
    draft.replace(work.run.file(name))
