"""A difference ends the work of all later steps but the certificate; what no commit holds cannot be rebuilt."""

from pathlib import Path

import pytest

from factories.certificate import a_certificate
from factories.lineage import a_lineage
from factories.registry import digest, version
from factories.spec import write_spec
from factories.spine import a_day
from nightshift.certificate import Certificate
from nightshift.errors import ReleaseError, RequestError, SettingsError
from nightshift.files import write_json
from nightshift.pipelines.reproduce import certify, check_out, fetch, install, rebuild
from nightshift.pipelines.request import Asked, ReproduceRequest
from nightshift.pipelines.steps import open_work
from nightshift.pipelines.work import Then, Work
from nightshift.registry import ModelRegistry
from nightshift.registry.release import Release
from nightshift.settings import Settings


def a_work(folder: Path, **settings: object) -> Work:
    """Return a run that recalled a release of ``bikes``."""
    write_spec(folder / "specs")
    places = {"project": folder, "specs": folder / "specs", "state": folder / "state"}
    work = open_work("reproduce", model="bikes", run_id="audit", settings=Settings.load(**places | settings))
    work.run.write("recorded/lineage.json", a_lineage().to_json())
    return work


class OneVersion(ModelRegistry):
    """A registry with one version of ``bikes`` that remembers what was attached to it."""

    def __init__(self, lineage: str) -> None:
        self._lineage = lineage
        self.attached: list[str] = []

    def version(self, model: str, version_: str) -> Release:
        return Release.of_version(version(int(version_), lineage=self._lineage))

    def attach(self, model: str, version: str, name: str, file: Path) -> None:
        self.attached.append(name)


class Certifying(Work):
    """A run whose registry is in memory."""

    registry: ModelRegistry


@pytest.mark.parametrize("step", [check_out, install, fetch, rebuild])
def test_a_step_after_a_difference_has_nothing_to_do(tmp_path: Path, step: object) -> None:
    work = a_work(tmp_path)
    work.run.write("found/data.json", [{"what": "data", "recorded": "1", "rebuilt": "2", "how": ""}])

    assert step(work).then is Then.SKIP  # type: ignore[operator]


def test_a_commit_that_is_nowhere_is_a_difference_and_no_crash(tmp_path: Path) -> None:
    work = a_work(tmp_path)

    outcome = check_out(work)

    assert outcome.then is Then.GO_ON
    assert outcome.sentence.startswith("differs: code commit: recorded")
    assert "is nowhere" in outcome.sentence


def test_another_lock_is_a_difference(tmp_path: Path) -> None:
    work = a_work(tmp_path)
    write_json(work.run.file("code/requirements.txt"), "something else")

    outcome = install(work)

    assert outcome.sentence.startswith("differs: lock: recorded")


def test_a_lock_outside_the_project_is_refused(tmp_path: Path) -> None:
    work = a_work(tmp_path, lock=Path("/etc/hostname"))

    with pytest.raises(SettingsError, match="outside the project"):
        install(work)


@pytest.mark.parametrize(
    ("certificate", "registered"),
    [
        (a_certificate(model="bikes", version="4", lineage_digest=digest("a"), package_digest=digest("package")), "a"),
        (a_certificate(model="cars", version="3", lineage_digest=digest("a"), package_digest=digest("package")), "a"),
        (a_certificate(model="bikes", version="3", lineage_digest=digest("b"), package_digest=digest("package")), "a"),
        (a_certificate(model="bikes", version="3", lineage_digest=digest("a"), package_digest=digest("trees")), "a"),
        (a_certificate(model="bikes", version="3", lineage_digest=digest("a"), package_digest=digest("package")), "b"),
    ],
    ids=["version", "model", "lineage", "package", "number-given-anew"],
)
def test_a_certificate_of_another_release_is_attached_to_none(
    tmp_path: Path, certificate: Certificate, registered: str
) -> None:
    usual = a_work(tmp_path)
    work, registry = Certifying(usual.spec, usual.run, usual.settings), OneVersion(registered)
    work.registry = registry
    work.run.write("release.json", Release.of_version(version(3, lineage="a")).to_json())
    work.run.write("certificate.json", certificate.to_json())

    with pytest.raises(ReleaseError, match="a certificate is not for another release"):
        certify(work)

    assert registry.attached == []


@pytest.mark.parametrize(("asked", "version"), [("3", "3"), (" v12 ", "12"), (None, None), ("", None), (4, "4")])
def test_a_version_is_a_number_or_the_champions(asked: object, version: str | None, tmp_path: Path) -> None:
    spec = a_work(tmp_path).spec

    request = ReproduceRequest.from_asked(spec, Asked.by_person(now=a_day(0), version=asked))

    assert request.version == version


@pytest.mark.parametrize("asked", ["newest", "0", "-1", "1.5", "1; drop", "../1"])
def test_what_is_no_version_is_refused(asked: str, tmp_path: Path) -> None:
    spec = a_work(tmp_path).spec

    with pytest.raises(RequestError, match="give a number"):
        ReproduceRequest.from_asked(spec, Asked.by_person(now=a_day(0), version=asked))


def test_a_request_and_back_is_the_same(tmp_path: Path) -> None:
    request = ReproduceRequest.from_asked(a_work(tmp_path).spec, Asked.by_person(now=a_day(0), user="ada", version="3"))

    assert ReproduceRequest.from_json(request.to_json()) == request
