"""Releases of models, kept in MLflow: the one place that knows which versions are and which one is champion.

A release is a version of MLflow's registered model, and one run in the
experiment ``nightshift/<model>`` whose artifacts are ``package/`` and
``evidence/``. Its key is the digest of its lineage: the same lineage is the
same version, however often and by how many processes it is registered.
"""

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from nightshift.errors import PackageError, ReleaseError
from nightshift.files import canonical_json, file_digest, read_json, write_bytes
from nightshift.mlflow_server import MlflowServer, RefusedError
from nightshift.spec import NAME

CHAMPION = "champion"
OWN = "nightshift."
LINEAGE, PACKAGE, EVIDENCE = f"{OWN}lineage_digest", f"{OWN}package_digest", f"{OWN}evidence."
MANIFEST = "manifest.json"
FILE_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}"
VERSION = r"[1-9][0-9]{0,17}"
DIGEST = r"[0-9a-f]{64}"


@dataclass(frozen=True)
class Release:
    """One version of a model.

    ``tags`` are those of its maker and of its promotion; ``evidence`` holds the
    SHA-256 of each piece of evidence by file name.
    """

    model: str
    version: str
    lineage_digest: str
    package_digest: str
    run_id: str
    tags: dict[str, str]
    created: datetime
    evidence: dict[str, str]
    source: str

    def to_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "version": self.version,
            "lineage_digest": self.lineage_digest,
            "package_digest": self.package_digest,
            "run_id": self.run_id,
            "tags": self.tags,
            "created": self.created.isoformat(),
            "evidence": self.evidence,
            "source": self.source,
        }

    @classmethod
    def of_version(cls, content: dict[str, Any]) -> Self:
        """Return the release that MLflow describes as a model version."""
        tags = _pairs(content.get("tags", []))
        return cls(
            model=content["name"],
            version=str(content["version"]),
            lineage_digest=tags.get(LINEAGE, ""),
            package_digest=tags.get(PACKAGE, ""),
            run_id=content.get("run_id", ""),
            tags={name: value for name, value in tags.items() if not name.startswith(OWN)},
            created=datetime.fromtimestamp(int(content["creation_timestamp"]) / 1000, UTC),
            evidence={n.removeprefix(EVIDENCE): value for n, value in tags.items() if n.startswith(EVIDENCE)},
            source=content.get("source", ""),
        )


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
        self._server.is_healthy()

    def find(self, model: str, lineage_digest: str) -> Release | None:
        """Return the release made from this lineage; none if there is none."""
        found = self._search(model, f" AND tags.`{LINEAGE}` = '{_checked(lineage_digest, DIGEST, 'a digest')}'")
        return found[0] if found else None

    def champion(self, model: str) -> Release | None:
        """Return the release that answers; none if nobody does, or the model has no release yet."""
        try:
            answer = self._server.get("registered-models/alias", name=_model(model), alias=CHAMPION)
        except RefusedError as refused:
            if refused.is_absent or refused.reason.endswith(f"alias {CHAMPION} not found."):
                return None
            raise
        return Release.of_version(answer["model_version"])

    def versions(self, model: str) -> list[Release]:
        """Return all releases, oldest first; empty if there is none."""
        return self._search(model)

    def version(self, model: str, version: str) -> Release:
        """Return one release.

        Raises
        ------
        ReleaseError
            If there is no such version.
        """
        try:
            answer = self._server.get("model-versions/get", name=_model(model), version=_version(version))
        except RefusedError as refused:
            if refused.is_absent:
                known = ", ".join(release.version for release in self.versions(model)) or "none"
                raise ReleaseError(f"{model} has no version {version}; known are: {known}") from None
            raise
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

        The version is written last and in one call, so there is either none or
        a whole one. Of two makers at once the lower number wins; the other's
        version and run are removed.

        Parameters
        ----------
        package
            Folder with a ``manifest.json`` whose SHA-256 is ``package_digest``.
        evidence
            Files that prove the release, by name.
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
        existing = self.find(model, lineage_digest)
        if existing:
            return existing
        _check_digest(package, package_digest, f"the package in {package}")
        marks = {LINEAGE: _checked(lineage_digest, DIGEST, "a digest"), PACKAGE: package_digest}
        try:
            run = self._run(model, marks, run_name)
            self._describe(run, metrics, params, inputs)
            self._upload(run, package, evidence)
            proofs = {EVIDENCE + name: file_digest(file) for name, file in evidence.items()}
            self._create_version(model, run["info"], {**_own_refused(tags), **marks, **proofs})
        except RefusedError:
            # A twin that was faster removes this run; what counts is that the release exists.
            existing = self.find(model, lineage_digest)
            if existing:
                return existing
            raise
        return self._settle(model, lineage_digest)

    def promote(self, model: str, version: str, *, tags: Mapping[str, str]) -> None:
        """Make a version the champion. The tags are written first, so that no champion lacks them.

        Raises
        ------
        ReleaseError
            If there is no such version.
        """
        release = self.version(model, version)
        self._tag(release, _own_refused(tags))
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
        release = self.version(model, version)
        if not re.fullmatch(DIGEST, release.package_digest):
            raise ReleaseError(
                f"{model} version {version} has no tag {PACKAGE}; "
                "it was not registered by Nightshift and cannot be proven"
            )
        folder = self._folder(release) / "package"
        if not is_intact(folder, release.package_digest):
            self._download(release, folder)
        return folder

    def evidence(self, model: str, version: str, name: str) -> Path:
        """Return a local copy of one piece of evidence, verified.

        Raises
        ------
        ReleaseError
            If the version has no such evidence, or its bytes are not those that were attached.
        """
        release = self.version(model, version)
        expected = release.evidence.get(name)
        if expected is None:
            known = ", ".join(sorted(release.evidence)) or "none"
            raise ReleaseError(f"{model} version {version} has no evidence {name!r}; known are: {known}")
        file = self._folder(release) / "evidence" / _file_name(name)
        if not file.is_file() or file_digest(file) != expected:
            write_bytes(file, self._server.download(f"{_root(release)}/evidence/{name}"))
        found = file_digest(file)
        if found != expected:
            file.unlink()
            raise ReleaseError(
                f"evidence {name} of {model} version {version} has digest {found}, expected {expected}; "
                "it was changed after it was attached: restore it in MLflow's artifact store"
            )
        return file

    def attach(self, model: str, version: str, name: str, file: Path) -> None:
        """Add a piece of evidence to a version, or put a newer one in its place."""
        release = self.version(model, version)
        self._server.upload(f"{_root(release)}/evidence/{_file_name(name)}", file)
        self._tag(release, {EVIDENCE + name: file_digest(file)})

    def _search(self, model: str, more: str = "") -> list[Release]:
        """Return releases, oldest first; of twins with one lineage only the first counts."""
        found = self._server.pages("model-versions/search", "model_versions", filter=f"name = '{_model(model)}'{more}")
        releases: dict[str, Release] = {}
        for release in sorted(map(Release.of_version, found), key=lambda release: int(release.version)):
            releases.setdefault(release.lineage_digest or f"version {release.version}", release)
        return list(releases.values())

    def _run(self, model: str, marks: Mapping[str, str], name: str) -> dict[str, Any]:
        """Return the run to fill: what a killed maker of the very same package left, else a new one."""
        experiment = self._experiment(model)
        same = " AND ".join(f"tags.`{key}` = '{value}'" for key, value in marks.items())
        left = self._server.search_runs(experiment, same)
        if left:
            return left[0]
        return self._server.post(
            "runs/create",
            experiment_id=experiment,
            run_name=name,
            start_time=_now_ms(),
            tags=_as_pairs(marks),
        )["run"]

    def _experiment(self, model: str) -> str:
        name = f"nightshift/{_model(model)}"
        try:
            return str(self._server.post("experiments/create", name=name)["experiment_id"])
        except RefusedError as refused:
            if not refused.is_taken:
                raise
            return str(self._server.get("experiments/get-by-name", experiment_name=name)["experiment"]["experiment_id"])

    def _describe(
        self, run: dict[str, Any], metrics: Mapping[str, float], params: Mapping[str, Any], inputs: Mapping[str, Any]
    ) -> None:
        """Write what people look for on the run; what a killed maker has written already stays."""
        known = {pair["key"] for pair in run["data"].get("params", [])}
        self._server.post(
            "runs/log-batch",
            run_id=run["info"]["run_id"],
            metrics=[{"key": k, "value": float(v), "timestamp": _now_ms(), "step": 0} for k, v in metrics.items()],
            params=[pair for pair in _as_pairs(params) if pair["key"] not in known],
        )
        if not run.get("inputs", {}).get("dataset_inputs"):
            datasets = [_dataset_input(name, **about) for name, about in inputs.items()]
            self._server.post("runs/log-inputs", run_id=run["info"]["run_id"], datasets=datasets)

    def _upload(self, run: dict[str, Any], package: Path, evidence: Mapping[str, Path]) -> None:
        root = run["info"]["artifact_uri"]
        for file in sorted(package.iterdir()):
            self._server.upload(f"{root}/package/{_file_name(file.name)}", file)
        for name, file in evidence.items():
            self._server.upload(f"{root}/evidence/{_file_name(name)}", file)
        self._server.post("runs/update", run_id=run["info"]["run_id"], status="FINISHED", end_time=_now_ms())

    def _create_version(self, model: str, run: dict[str, Any], tags: Mapping[str, str]) -> None:
        try:
            self._server.post("registered-models/create", name=model)
        except RefusedError as refused:
            if not refused.is_taken:
                raise
        source = f"{run['artifact_uri']}/package"
        self._server.post(
            "model-versions/create", name=model, source=source, run_id=run["run_id"], tags=_as_pairs(tags)
        )

    def _settle(self, model: str, lineage_digest: str) -> Release:
        """Return the one release of a lineage; remove its twins and the runs nothing points to."""
        same = f"tags.`{LINEAGE}` = '{lineage_digest}'"
        found = self._server.pages("model-versions/search", "model_versions", filter=f"name = '{model}' AND {same}")
        first, *twins = sorted(map(Release.of_version, found), key=lambda release: int(release.version))
        for twin in twins:
            self._remove("model-versions/delete", self._server.delete, name=model, version=twin.version)
        for run in self._server.search_runs(self._experiment(model), same):
            if run["info"]["run_id"] != first.run_id:
                self._remove("runs/delete", self._server.post, run_id=run["info"]["run_id"])
        return first

    def _remove(self, path: str, order: Any, **what: str) -> None:
        try:
            order(path, **what)
        except RefusedError as refused:
            if not refused.is_absent:
                raise

    def _tag(self, release: Release, tags: Mapping[str, str]) -> None:
        for key, value in tags.items():
            self._server.post(
                "model-versions/set-tag", name=release.model, version=release.version, key=key, value=value
            )

    def _folder(self, release: Release) -> Path:
        return self._cache / release.model / release.version

    def _download(self, release: Release, folder: Path) -> None:
        """Put the package at ``folder``: the manifest first, then exactly the files it names, each proven."""
        draft = folder.parent / f".package.{uuid4().hex}.tmp"
        what = f"the package of {release.model} version {release.version} in the registry"
        try:
            self._download_file(release, draft, MANIFEST)
            _check_digest(draft, release.package_digest, what)
            files = _manifest_files(draft)
            for name in files:
                self._download_file(release, draft, name)
            for name, digest in files.items():
                found = file_digest(draft / name)
                if found != digest:
                    raise PackageError(
                        f"{what}: {name} has digest {found}, expected {digest}; restore it, or build again"
                    )
            _put_folder(draft, folder, digest=release.package_digest)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _download_file(self, release: Release, folder: Path, name: str) -> None:
        write_bytes(folder / name, self._server.download(f"{release.source}/{name}"))


def is_intact(folder: Path, package_digest: str) -> bool:
    """Whether ``folder`` holds the package of this digest, with every file of its manifest as it was."""
    try:
        return file_digest(folder / MANIFEST) == package_digest and all(
            file_digest(folder / name) == digest for name, digest in _manifest_files(folder).items()
        )
    except (OSError, PackageError):
        return False


def _manifest_files(folder: Path) -> dict[str, str]:
    try:
        files = {
            _file_name(name): str(about["sha256"]) for name, about in read_json(folder / MANIFEST)["files"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError, ReleaseError) as error:
        raise PackageError(f"{MANIFEST} of a package does not name its files with sha256 ({error})") from None
    return files


def _check_digest(folder: Path, expected: str, what: str) -> None:
    try:
        found = file_digest(folder / MANIFEST)
    except OSError as error:
        raise PackageError(f"{what} has no readable {MANIFEST}: {error}; write the package first") from None
    if found != expected:
        raise PackageError(f"{what} has a {MANIFEST} of digest {found}, expected {expected}; build the package again")


def _put_folder(draft: Path, folder: Path, *, digest: str) -> None:
    """Rename ``draft`` to ``folder``; a damaged folder in the way is removed, a twin's good one is kept."""
    if folder.exists() and not is_intact(folder, digest):
        away = draft.with_suffix(".old")
        folder.rename(away)
        shutil.rmtree(away)
    try:
        draft.rename(folder)
    except OSError:
        if not is_intact(folder, digest):
            raise


def _root(release: Release) -> str:
    return release.source.removesuffix("/package")


def _dataset_input(name: str, *, digest: str, source: str, rows: int) -> dict[str, Any]:
    where = canonical_json({"uri": source, "digest": digest}).decode()
    profile = canonical_json({"num_rows": rows}).decode()
    dataset = {"name": name, "digest": digest[:36], "source_type": "nightshift", "source": where, "profile": profile}
    return {"tags": [{"key": "mlflow.data.context", "value": name}], "dataset": dataset}


def _own_refused(tags: Mapping[str, str]) -> dict[str, str]:
    taken = sorted(key for key in tags if key.startswith(OWN))
    if taken:
        raise ReleaseError(f"tags {', '.join(taken)} begin with {OWN!r}, which is the registry's own; rename them")
    return dict(tags)


def _model(name: str) -> str:
    return _checked(name, NAME, "a model's name")


def _version(version: str) -> str:
    return _checked(version, VERSION, "a version")


def _file_name(name: str) -> str:
    return _checked(name, FILE_NAME, "a file's name")


def _checked(value: str, pattern: str, what: str) -> str:
    if not re.fullmatch(pattern, value):
        raise ReleaseError(f"{value!r} is not {what}; expected {pattern}")
    return value


def _pairs(pairs: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {pair["key"]: pair.get("value", "") for pair in pairs}


def _as_pairs(values: Mapping[str, Any]) -> list[dict[str, str]]:
    return [{"key": key, "value": str(value)} for key, value in values.items()]


def _now_ms() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)
