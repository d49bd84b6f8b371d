"""A registered release, made again from nothing but its lineage, and certified.

Nothing is taken from the run folder of the build: the release's evidence comes
from the model registry, the code from git, data and splits from the data
registry's remote, the packages by the lock. A step that finds a difference
writes it down; the ones after it then have nothing to do but certify.
"""

import logging
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path

from nightshift.certificate import Certificate, Comparison, compare_inputs, compare_results, compare_rows, render_page
from nightshift.errors import (
    DataRegistryError,
    ReleaseError,
    ReturnToSenderError,
    SettingsError,
    UnavailableError,
)
from nightshift.files import file_digest, read_json, write_text
from nightshift.ledger import Kind as EntryKind
from nightshift.lineage.checkout import check_out as check_out_commit
from nightshift.lineage.data import DataRegistry, DatasetVersion
from nightshift.lineage.installation import install_lock, package_variables
from nightshift.lineage.record import Lineage
from nightshift.model.compatibility import running_platform
from nightshift.pipelines.carding import show_on_card
from nightshift.pipelines.request import ReproduceRequest
from nightshift.pipelines.work import Outcome, Then, Work
from nightshift.registry.release import Release

LOG = logging.getLogger(__name__)
EVIDENCE = ("request.json", "lineage.json", "evaluation.json")
TIMED = ("recall", "check_out", "install", "fetch", "rebuild")
LOG_LINES_SHOWN = 5
Step = Callable[[Work], Outcome]


def timed(step: Step) -> Step:
    """Note how long a step took, for the certificate; let it pass if a difference was found before."""

    @wraps(step)
    def run(work: Work) -> Outcome:
        if step.__name__ != "recall" and _found(work):
            return Outcome("not needed: a difference is found already", Then.SKIP)
        began = time.monotonic()
        outcome = step(work)
        work.run.write(f"seconds/{step.__name__}.json", round(time.monotonic() - began, 3))
        return outcome

    return run


@timed
def recall(work: Work) -> Outcome:
    """Bring what the registry holds of the release; write ``release.json`` and ``recorded/``.

    Raises
    ------
    ReleaseError
        If there is no such version, or no champion to take instead.
    """
    for left in ("found", "seconds", "recorded", "run", "state"):
        shutil.rmtree(work.run.file(left), ignore_errors=True)
    work.run.file("certificate.json").unlink(missing_ok=True)
    release = _asked_release(work)
    shutil.copytree(work.registry.fetch(work.spec.name, release.version), work.run.file("recorded/package"))
    for name in EVIDENCE:
        shutil.copyfile(
            work.registry.evidence(work.spec.name, release.version, name), work.run.file(f"recorded/{name}")
        )
    work.run.write("release.json", release.to_json())
    lineage = _recorded(work)
    problems = lineage.problems()
    if lineage.digest != release.lineage_digest:
        problems.append(f"the lineage's digest is {lineage.digest}, registered was {release.lineage_digest}")
    if lineage.environment.platform != running_platform():
        problems.append(f"made on {lineage.environment.platform}, this is {running_platform()}; rebuild it there")
    _note(work, "recall", [Comparison("lineage", "to be rebuilt", "cannot be", problem) for problem in problems])
    return Outcome(f"version {release.version}: {'; '.join(problems) or f'lineage {release.lineage_digest[:10]}'}")


def _asked_release(work: Work) -> Release:
    version = ReproduceRequest.of(work.run).version
    if version:
        return work.registry.version(work.spec.name, version)
    champion = work.registry.champion(work.spec.name)
    if champion is None:
        raise ReleaseError(f"{work.spec.name} has no champion; name the version to reproduce")
    return champion


@timed
def check_out(work: Work) -> Outcome:
    """Clone the code at the commit into ``code/``."""
    code = _recorded(work).code
    with _difference(work, "code commit", code.commit, ReturnToSenderError):
        source = check_out_commit(
            code.commit, to=work.run.file("code"), sources=[str(work.settings.project), *filter(None, [code.remote])]
        )
        return Outcome(f"commit {code.commit[:10]} from {source}")
    return _differs(work)


@timed
def fetch(work: Work) -> Outcome:
    """Bring data and splits from the remote by digest, each file hashed again; write ``tables/`` and ``splits/``."""
    recorded, scratch = _recorded(work), work.run.file("scratch")
    # a scratch folder of its own: what lies in this machine's cache proves nothing
    registry = DataRegistry(work.settings.data_registry, work.settings.data_remote, scratch=scratch)
    try:
        for what, version, folder in (("data", recorded.data, "tables"), ("splits", recorded.table, "splits")):
            assert version is not None, "recall lets no other lineage through"
            with _difference(work, what, version.digest, DataRegistryError):
                registry.fetch(_here(version, registry), work.run.file(folder))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    assert recorded.data
    return (
        _differs(work) if _found(work) else Outcome(f"{recorded.data.files} files of data {recorded.data.digest[:10]}")
    )


def _here(version: DatasetVersion, registry: DataRegistry) -> DatasetVersion:
    """Return the version as this registry tells it; the recorded digest stays what is asked for."""
    return DatasetVersion(**{**version.to_json(), "registry": registry.url})


@timed
def install(work: Work) -> Outcome:
    """Make the environment of the commit's lock, or take the one made before; write ``python.json``."""
    lock = work.run.file("code") / _in_project(work, work.settings.lock)
    recorded = _recorded(work).environment
    found = file_digest(lock) if lock.is_file() else "none"
    if found != recorded.lock_digest:
        _note(work, "install", [Comparison("lock", recorded.lock_digest, found)])
        return _differs(work)
    environments = work.settings.state / "environments"
    with _difference(work, "environment", recorded.lock_digest, ReturnToSenderError):
        python = install_lock(lock, python=recorded.python.split()[-1], below=environments)
        work.run.write("python.json", str(python))
        return Outcome(f"{recorded.python} with the locked packages in {python.parent.parent}")
    return _differs(work)


@timed
def rebuild(work: Work) -> Outcome:
    """Run the commit's own code in that environment on that data; write ``run/`` and ``rebuild.log``."""
    log, code = work.run.file("rebuild.log"), work.run.file("code")
    shutil.rmtree(work.run.file("run"), ignore_errors=True)
    command = [work.run.read("python.json"), "-P", "-m", "nightshift.pipelines.rebuild"]
    with log.open("wb") as out:
        child = subprocess.run(  # noqa: S603 - our own module, in the environment of the lock
            [*command, work.spec.name, str(work.run.path)],
            env=_variables(work, code), cwd=code, stdout=out, stderr=subprocess.STDOUT, check=False,
        )  # fmt: skip
    said = log.read_text(errors="replace")
    LOG.info(said.strip())
    if child.returncode:
        last = " ".join(said.strip().splitlines()[-LOG_LINES_SHOWN:])[-800:]
        how = f"the rebuild ended with {child.returncode}: {last}"
        _note(work, "rebuild", [Comparison("build", "came to its end", "did not", how)])
        return _differs(work)
    return Outcome("rebuilt; all steps came to their end")


def _variables(work: Work, code: Path) -> dict[str, str]:
    """Return the child's whole environment: what runs is decided by commit and lock, not by this process."""
    return package_variables(os.environ) | {
        "HOME": str(work.run.file("state")),
        "PYTHONPATH": str(code / "include"),
        "PYTHONNOUSERSITE": "1",
        "NIGHTSHIFT_PROJECT": str(code),
        "NIGHTSHIFT_STATE": str(work.run.file("state")),
        "NIGHTSHIFT_SPECS": str(_in_project(work, work.settings.specs)),
        "NIGHTSHIFT_LOCK": str(_in_project(work, work.settings.lock)),
    }


def _in_project(work: Work, path: Path) -> Path:
    """Return where a checkout has what this installation has at ``path``.

    Raises
    ------
    SettingsError
        If it is outside the project: then no commit holds it.
    """
    if not path.is_relative_to(work.settings.project):
        raise SettingsError(f"{path} is outside the project {work.settings.project}, so no commit holds it; move it in")
    return path.relative_to(work.settings.project)


def certify(work: Work) -> Outcome:
    """Compare everything, cause before effect; attach the certificate to the version and tell the ledger.

    Writes ``certificate.json`` and ``certificate.html``. What was rebuilt is
    removed if it is identical: it is in the registry already.

    Raises
    ------
    ReleaseError
        If the registry's version is not the one that was rebuilt; nothing is attached then.
    ReturnToSenderError
        If anything differs; the certificate is attached all the same.
    """
    made = work.run.file("certificate.json")
    certificate = Certificate.from_json(read_json(made)) if made.is_file() else _certificate(work)
    _refuse_another_release(work, certificate)
    work.run.write("certificate.json", certificate.to_json())
    write_text(work.run.file("certificate.html"), render_page(certificate))
    for name in ("certificate.json", "certificate.html"):
        work.registry.attach(certificate.model, certificate.version, name, work.run.file(name))
    verdict = "identical" if certificate.is_identical else "differs"
    work.registry.tag(certificate.model, certificate.version, {"certificate": f"{verdict}, {certificate.made_at:%F}"})
    show_on_card(work, certificate.version)
    _remember(work, certificate)
    if not certificate.is_identical:
        raise ReturnToSenderError([certificate.sentence, *(one.sentence for one in certificate.differences[1:])])
    for rest in ("code", "tables", "splits", "run", "state", "recorded/package"):
        shutil.rmtree(work.run.file(rest), ignore_errors=True)
    return Outcome(f"{certificate.sentence}: {len(certificate.compared)} things compared")


def _refuse_another_release(work: Work, certificate: Certificate) -> None:
    """Compare what the certificate is of with what was recalled, and with what the registry has at that number now."""
    recalled = Release.from_json(work.run.read("release.json"))
    held = work.registry.version(recalled.model, recalled.version)
    of: dict[str, Certificate | Release] = {"was rebuilt": certificate, "was recalled": recalled, "is registered": held}
    found = {
        how: f"{one.model} version {one.version}, lineage {one.lineage_digest}, package {one.package_digest}"
        for how, one in of.items()
    }
    if len(set(found.values())) > 1:
        told = "; ".join(f"{how} {what}" for how, what in found.items())
        raise ReleaseError(f"a certificate is not for another release: {told}. Nothing was attached; reproduce it anew")


def _certificate(work: Work) -> Certificate:
    request, release = ReproduceRequest.of(work.run), Release.from_json(work.run.read("release.json"))
    lineage = _recorded(work)
    return Certificate(
        model=release.model,
        version=release.version,
        lineage_digest=release.lineage_digest,
        package_digest=release.package_digest,
        made_at=work.now(),
        made_by=request.user or str(request.cause),
        reason=request.reason,
        made_on=f"{lineage.environment.python}, {running_platform()}, lock {lineage.environment.lock_digest[:16]}",
        seconds={name: read_json(file) for name in TIMED if (file := work.run.file(f"seconds/{name}.json")).is_file()},
        compared=tuple(_found(work) or _compare(work, lineage)),
    )


def _compare(work: Work, recorded: Lineage) -> list[Comparison]:
    run, folder = work.run.file("run"), work.run.path
    rebuilt = Lineage.from_json(read_json(run / "lineage.json"))
    splits = compare_rows(
        recorded.splits, rebuilt.splits, before=folder / "splits", now=run / "splits", key=work.spec.key
    )
    results = compare_results(
        folder / "recorded" / "package",
        run / "package",
        metrics=read_json(folder / "recorded" / "evaluation.json"),
        again=read_json(run / "evaluation.json"),
    )
    return [*compare_inputs(recorded, rebuilt), *splits, *results]


def _remember(work: Work, certificate: Certificate) -> None:
    """Append the result to the ledger, unless an earlier try of this run has."""
    told = [entry.body["run"] for entry in work.ledger.entries(work.spec.name, EntryKind.CERTIFICATE)]
    if work.holder in told:
        return
    first = certificate.first.sentence if certificate.first else None
    body = {
        "version": certificate.version, "identical": certificate.is_identical, "first_difference": first,
        "user": certificate.made_by, "reason": certificate.reason, "run": work.holder,
    }  # fmt: skip
    moment = _recorded(work).as_of
    work.ledger.append(
        work.spec.name, EntryKind.CERTIFICATE, start=moment, end=moment, body=body, now=certificate.made_at
    )


def _recorded(work: Work) -> Lineage:
    return Lineage.from_json(work.run.read("recorded/lineage.json"))


@contextmanager
def _difference(work: Work, what: str, recorded: str, error: type[Exception]) -> Iterator[None]:
    """Turn an error of the body into a difference that is written down; what may heal by itself is none."""
    try:
        yield
    except UnavailableError:
        raise
    except error as found:
        said = "; ".join(found.reasons) if isinstance(found, ReturnToSenderError) else str(found)
        _note(work, what.replace(" ", "_"), [Comparison(what, recorded, "not to be had", said)])


def _note(work: Work, name: str, differences: list[Comparison]) -> None:
    if differences:
        work.run.write(f"found/{name}.json", [vars(one) for one in differences])


def _found(work: Work) -> list[Comparison]:
    """Return the differences that steps wrote down, in the order of causes."""
    order = ("recall", "code_commit", "install", "environment", "data", "splits", "rebuild")
    files = [work.run.file(f"found/{name}.json") for name in order]
    return [Comparison(**one) for file in files if file.is_file() for one in read_json(file)]


def _differs(work: Work) -> Outcome:
    return Outcome(f"differs: {_found(work)[0].sentence}")
