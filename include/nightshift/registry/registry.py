"""Which versions a model has, and which one is champion.

A release is a version of MLflow's registered model, and one run in the
experiment ``nightshift/<model>`` whose artifacts are ``package/`` and
``evidence/``: the pages that people look at, and all records in one file. Its
key is the digest of its lineage: the same lineage is the same version, however
often and by how many processes it is registered.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nightshift.errors import ReleaseError
from nightshift.files import file_digest, write_bytes
from nightshift.registry.copies import check_manifest, is_intact, make_copy
from nightshift.registry.records import RECORDS, bundle, record_of, sha256_of
from nightshift.registry.release import (
    EVIDENCE,
    LINEAGE,
    PACKAGE,
    Release,
    file_name,
    first_of_each_lineage,
    model_name,
    own_tags_refused,
    sha256,
    version_number,
)
from nightshift.registry.run import describe_run, fill_run, find_experiment, find_runs, open_run
from nightshift.registry.server import MlflowServer, RefusedError, as_pairs

CHAMPION = "champion"
CARD = "card.md"
EVIDENCE_BYTES_MAX = 256 * 1024 * 1024
DESCRIPTION_LENGTH_MAX = 5000
"""MLflow's column for it is no wider."""


class ModelRegistry:
    """The releases behind one MLflow server, and verified copies of them in a local folder.

    Safe to share between threads. A call that gets no answer fails with
    :class:`~nightshift.errors.RegistryUnavailableError` after ``wait_seconds``.

    Parameters
    ----------
    url
        Where MLflow listens.
    cache
        Folder for copies: ``<cache>/<model>/<version>/``.
    wait_seconds
        How long MLflow may be away before a call gives up.
    """

    def __init__(self, url: str, cache: Path, *, wait_seconds: float = 60) -> None:
        self._server = MlflowServer(url, wait_seconds=wait_seconds)
        self._cache = cache

    def ping(self) -> None:
        """Return if the registry answers.

        Raises
        ------
        RegistryUnavailableError
            If it does not.
        """
        self._server.check_health()

    def find(self, model: str, lineage_digest: str) -> Release | None:
        """Return the release made from this lineage; none if there is none."""
        twins = self._twins(model, lineage_digest)
        return twins[0] if twins else None

    def champion(self, model: str) -> Release | None:
        """Return the release that answers; none if nobody does, or the model has no release yet."""
        try:
            answer = self._server.get("registered-models/alias", name=model_name(model), alias=CHAMPION)
        except RefusedError as refused:
            if refused.is_absent or refused.reason.endswith(f"alias {CHAMPION} not found."):
                return None
            raise
        return Release.of_version(answer["model_version"])

    def versions(self, model: str) -> list[Release]:
        """Return all releases, oldest first; empty if there is none."""
        return first_of_each_lineage(self._search(model))

    def version(self, model: str, version: str) -> Release:
        """Return one release.

        Raises
        ------
        ReleaseError
            If there is no such version.
        """
        try:
            answer = self._server.get("model-versions/get", name=model_name(model), version=version_number(version))
        except RefusedError as refused:
            if not refused.is_absent:
                raise
            known = ", ".join(release.version for release in self.versions(model)) or "none"
            raise ReleaseError(f"{model} has no version {version}; known are: {known}") from None
        return Release.of_version(answer["model_version"])

    def register(
        self,
        model: str,
        package: Path,
        evidence: Mapping[str, Path],
        *,
        lineage_digest: str,
        package_digest: str,
        tags: Mapping[str, str],
        metrics: Mapping[str, float],
        params: Mapping[str, Any],
        inputs: Mapping[str, Mapping[str, Any]],
        run_name: str,
    ) -> Release:
        """Return the release of this lineage, made now if there is none.

        The version is written last and in one call, so that there is none or a
        whole one. Of two makers at once the lower number wins; the other's
        version and run are removed.

        Parameters
        ----------
        package
            Folder with a ``manifest.json`` whose SHA-256 is ``package_digest``.
        evidence
            Text files that prove the release, by name; that of a ``card.md`` also becomes the version's description.
        tags
            Shown on the version.
        metrics, params
            Shown on the run.
        inputs
            The splits by name, each with ``digest``, ``source`` and ``rows``.

        Raises
        ------
        PackageError
            If the package is not the one of ``package_digest``.
        """
        twins = self._twins(model, lineage_digest)
        experiment = find_experiment(self._server, model)
        if twins:
            return self._settle(model, experiment, lineage_digest, twins)
        check_manifest(package, sha256(package_digest), f"the package in {package}")
        marks = {LINEAGE: lineage_digest, PACKAGE: package_digest}
        kept = bundle(evidence)
        proofs = {EVIDENCE + name: sha256_of(content) for name, content in kept.items()}
        try:
            run = open_run(self._server, experiment, marks, run_name)
            describe_run(self._server, run, metrics=metrics, params=params, inputs=inputs)
            fill_run(self._server, run, package, kept)
            self._create_version(
                name=model,
                source=run.package_uri,
                run_id=run.run_id,
                tags=as_pairs(own_tags_refused(tags) | marks | proofs),
                description=_description(evidence),
            )
        except RefusedError:
            # A twin that was faster removes this run under us; what counts is that the release exists.
            if not self.find(model, lineage_digest):
                raise
        return self._settle(model, experiment, lineage_digest, self._twins(model, lineage_digest))

    def promote(self, model: str, version: str, *, tags: Mapping[str, str]) -> None:
        """Make a version the champion. The tags are written first, so that no champion lacks them.

        Raises
        ------
        ReleaseError
            If there is no such version, or it was not registered by Nightshift.
        """
        release = _proven(self.version(model, version))
        self._tag(release, own_tags_refused(tags))
        self._server.post("registered-models/alias", name=model, alias=CHAMPION, version=release.version)

    def fetch(self, model: str, version: str) -> Path:
        """Return a local folder with the version's package, whole and verified.

        A copy that is still what the registry says is used again, any other is
        downloaded anew.

        Raises
        ------
        PackageError
            If what the registry holds is not what it was registered as; both digests are named.
        ReleaseError
            If there is no such version, or it was not registered by Nightshift.
        """
        release = _proven(self.version(model, version))
        folder = self._folder(release) / "package"
        if not is_intact(folder, release.package_digest):
            make_copy(
                folder,
                package_digest=release.package_digest,
                read=lambda name, most: self._server.download(f"{release.source}/{name}", bytes_max=most),
                what=f"the package of {release} in the registry",
            )
        return folder

    def evidence(self, model: str, version: str, name: str) -> Path:
        """Return a local copy of one piece of evidence, verified.

        Raises
        ------
        ReleaseError
            If the version has no such evidence, or its bytes are not those that were attached.
        """
        release = self.version(model, version)
        if name not in release.evidence and RECORDS in release.evidence:
            records = self._evidence(release, RECORDS)
            return record_of(records, file_name(name), others=release.evidence)
        return self._evidence(release, name)

    def _evidence(self, release: Release, name: str) -> Path:
        """Return a local copy of one file of evidence, verified."""
        expected = release.evidence.get(name)
        if expected is None:
            known = ", ".join(sorted(release.evidence)) or "none"
            raise ReleaseError(f"{release} has no evidence {name!r}; known are: {known}")
        file = self._folder(release) / "evidence" / file_name(name)
        if not file.is_file() or file_digest(file) != expected:
            write_bytes(file, self._read_evidence(release, name, expected))
        found = file_digest(file)
        if found != expected:
            file.unlink()
            raise ReleaseError(
                f"evidence {name} of {release} has digest {found}, expected {expected}; "
                "it was changed after it was attached: restore it in MLflow's artifact store"
            )
        return file

    def _read_evidence(self, release: Release, name: str, digest: str) -> bytes:
        """Return a file that was attached later, else the one that the version was registered with."""
        try:
            return self._server.download(f"{_evidence_uri(release)}/{digest}/{name}", bytes_max=EVIDENCE_BYTES_MAX)
        except RefusedError:
            return self._server.download(f"{_evidence_uri(release)}/{name}", bytes_max=EVIDENCE_BYTES_MAX)

    def attach(self, model: str, version: str, name: str, file: Path) -> None:
        """Add a piece of evidence to a version, or a newer one that counts from then on; a card is its description too.

        Each is kept under its digest: of two that come at once, or of one whose
        writer is killed, none is written over another.
        """
        release = self.version(model, version)
        content = file.read_bytes()
        self._server.upload(f"{_evidence_uri(release)}/{sha256_of(content)}/{file_name(name)}", content)
        self._tag(release, {EVIDENCE + name: sha256_of(content)})
        if name == CARD:
            told = _description({CARD: file})
            self._server.patch("model-versions/update", name=model, version=release.version, description=told)

    def tag(self, model: str, version: str, tags: Mapping[str, str]) -> None:
        """Write tags on a version, or new values over old ones."""
        self._tag(self.version(model, version), own_tags_refused(tags))

    def _search(self, model: str, more: str = "") -> list[Release]:
        what = f"name = '{model_name(model)}'{more}"
        return [
            Release.of_version(content)
            for content in self._server.pages("model-versions/search", "model_versions", filter=what)
        ]

    def _twins(self, model: str, lineage_digest: str) -> list[Release]:
        """Return the versions made from one lineage, oldest first; more than one only while twins settle."""
        found = self._search(model, f" AND tags.`{LINEAGE}` = '{sha256(lineage_digest)}'")
        return sorted(found, key=lambda release: release.number)

    def _create_version(self, **version: Any) -> None:
        """Write the version, and before the very first one the model."""
        try:
            self._server.post("model-versions/create", **version)
        except RefusedError as refused:
            if not refused.is_absent:
                raise
            with _but(lambda twin: twin.is_taken):
                self._server.post("registered-models/create", name=version["name"])
            self._server.post("model-versions/create", **version)

    def _settle(self, model: str, experiment: str, lineage_digest: str, versions: list[Release]) -> Release:
        """Return the one release of a lineage; remove its twins, and the runs nothing points to."""
        first, *twins = versions
        for twin in twins:
            with _but(lambda refused: refused.is_absent):
                self._server.delete("model-versions/delete", name=model, version=twin.version)
        for run in find_runs(self._server, experiment, {LINEAGE: lineage_digest}):
            if run.run_id != first.run_id:
                with _but(lambda refused: refused.is_absent):
                    self._server.post("runs/delete", run_id=run.run_id)
        return first

    def _tag(self, release: Release, tags: Mapping[str, str]) -> None:
        for pair in as_pairs(tags):
            self._server.post("model-versions/set-tag", name=release.model, version=release.version, **pair)

    def _folder(self, release: Release) -> Path:
        return self._cache / release.model / release.version


@contextmanager
def _but(expected: Callable[[RefusedError], bool]) -> Iterator[None]:
    """Go on after a refusal that only says a twin was faster."""
    try:
        yield
    except RefusedError as refused:
        if not expected(refused):
            raise


def _description(evidence: Mapping[str, Path]) -> str:
    """Return the card as far as MLflow has room for it, cut between two paragraphs."""
    if CARD not in evidence:
        return ""
    text = evidence[CARD].read_text()
    if len(text) <= DESCRIPTION_LENGTH_MAX:
        return text
    rest = f"\n\n… the rest is in the artifacts of the run, evidence/{CARD}."
    return text[: DESCRIPTION_LENGTH_MAX - len(rest)].rpartition("\n\n")[0] + rest


def _proven(release: Release) -> Release:
    if not release.lineage_digest or not release.package_digest:
        raise ReleaseError(
            f"{release} has no tags {LINEAGE} and {PACKAGE}: Nightshift did not register it and cannot prove it; "
            "build a version instead"
        )
    return release


def _evidence_uri(release: Release) -> str:
    return release.source.removesuffix("/package") + "/evidence"
