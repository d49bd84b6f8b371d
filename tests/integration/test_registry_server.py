"""The registry against a real MLflow server: twins, kills, tampering, and what MLflow's own client sees."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import httpx
import pytest

from factories.mlflow import Mlflow, mlflow_server
from factories.model import a_model, pack, rides
from factories.registry import candidate, digest
from nightshift.errors import PackageError, RegistryUnavailableError, ReleaseError
from nightshift.files import read_json
from nightshift.ledger import Kind, Ledger
from nightshift.pipelines.history import stray
from nightshift.registry import ModelRegistry
from nightshift.registry.release import Release
from nightshift.registry.run import find_experiment, find_runs
from nightshift.registry.server import MlflowServer


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """A model of this test's own."""
    return "m" + digest(request.node.name)[:12]


@pytest.fixture
def registry(mlflow: Mlflow, tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(mlflow.url, tmp_path / "cache", wait_seconds=20)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every request that is sent, as it is sent."""
    sent: list[str] = []
    send = httpx.Client.send

    def counted(client: httpx.Client, request: httpx.Request, **how: object) -> httpx.Response:
        sent.append(f"{request.method} {request.url.path}")
        return send(client, request, **how)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(httpx.Client, "send", counted)
    return sent


def runs_of(mlflow: Mlflow, model: str, lineage: str = "a") -> int:
    server = MlflowServer(mlflow.url, wait_seconds=20)
    tags = {"nightshift.lineage_digest": digest(lineage)}
    return len(find_runs(server, find_experiment(server, model), tags))


def start_maker(
    mlflow: Mlflow, model: str, folder: Path, *, patch: str, content: str = "trees"
) -> subprocess.Popen[str]:
    """Start another process that registers the candidate in ``folder``, with a line of ``patch`` before."""
    code = f"""
        import os, sys
        from pathlib import Path
        from factories.registry import candidate
        from nightshift.registry import ModelRegistry
        import nightshift.registry.registry as rooms

        given = candidate(Path({str(folder)!r}), content={content!r})
        registry = ModelRegistry({mlflow.url!r}, Path({str(folder / "cache")!r}), wait_seconds=30)
        {patch}
        print(registry.register({model!r}, **given).version, flush=True)
    """
    paths = os.pathsep.join(str(Path(__file__).parents[2] / name) for name in ("include", "tests"))
    pipe = subprocess.PIPE
    env = os.environ | {"PYTHONPATH": paths}
    return subprocess.Popen([sys.executable, "-c", dedent(code)], env=env, stdin=pipe, stdout=pipe, text=True)


def test_a_model_that_was_never_registered_has_nothing(registry: ModelRegistry, model: str) -> None:
    assert registry.champion(model) is None
    assert registry.versions(model) == []
    assert registry.find(model, digest("a")) is None


def test_what_was_registered_comes_back(registry: ModelRegistry, model: str, tmp_path: Path) -> None:
    given = candidate(tmp_path)

    release = registry.register(model, **given)

    assert registry.versions(model) == [release]
    assert registry.find(model, given["lineage_digest"]) == release
    assert registry.version(model, release.version) == release
    assert (release.version, release.package_digest, release.tags) == ("1", given["package_digest"], given["tags"])
    assert registry.champion(model) is None


def test_the_same_lineage_is_the_same_version(
    registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    first = registry.register(model, **candidate(tmp_path / "1"))

    again = registry.register(model, **candidate(tmp_path / "2", content="other bytes of the same lineage"))

    assert again == first
    assert len(registry.versions(model)) == 1
    assert runs_of(mlflow, model) == 1


def test_a_promotion_makes_the_champion_and_the_next_one_replaces_it(
    registry: ModelRegistry, model: str, tmp_path: Path
) -> None:
    for lineage in "ab":
        registry.register(model, **candidate(tmp_path / lineage, lineage=lineage))

    registry.promote(model, "1", tags={"promoted_by": "night shift"})
    first = registry.champion(model)
    registry.promote(model, "2", tags={"promoted_by": "somebody"})
    second = registry.champion(model)

    assert first is not None
    assert second is not None
    assert (first.version, first.tags["promoted_by"]) == ("1", "night shift")
    assert (second.version, second.tags["promoted_by"]) == ("2", "somebody")


def test_a_version_that_is_not_there_cannot_be_promoted(registry: ModelRegistry, model: str, tmp_path: Path) -> None:
    registry.register(model, **candidate(tmp_path))

    with pytest.raises(ReleaseError, match=f"{model} has no version 2; known are: 1"):
        registry.promote(model, "2", tags={})

    assert registry.champion(model) is None


def test_a_version_that_somebody_else_made_cannot_be_promoted(
    registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    release = registry.register(model, **candidate(tmp_path))
    server = MlflowServer(mlflow.url, wait_seconds=20)
    server.post("model-versions/create", name=model, source=release.source, run_id=release.run_id)

    with pytest.raises(ReleaseError, match=f"{model} version 2 has no tags .* did not register it"):
        registry.promote(model, "2", tags={})

    assert registry.champion(model) is None


@pytest.mark.parametrize("paragraphs", [1, 200])
def test_the_card_is_what_people_read_on_the_version(
    paragraphs: int, registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    card = "\n\n".join(["# Late flights"] + ["A paragraph of some words."] * paragraphs)
    (tmp_path / "card.md").write_text(card)

    registry.register(model, **candidate(tmp_path, evidence={"card.md": tmp_path / "card.md"}))

    server = MlflowServer(mlflow.url, wait_seconds=20)
    shown = server.get("model-versions/get", name=model, version="1")["model_version"]["description"]
    assert shown.startswith("# Late flights\n\nA paragraph of some words.")
    assert len(shown) <= 5000
    assert shown == card or shown.endswith(
        "some words.\n\n… the rest is in the artifacts of the run, evidence/card.md."
    )
    assert registry.evidence(model, "1", "card.md").read_text() == card


def test_a_tag_cannot_pretend_to_be_the_registrys_own(registry: ModelRegistry, model: str, tmp_path: Path) -> None:
    forged = {"nightshift.package_digest": digest("forged")}
    registry.register(model, **candidate(tmp_path))

    with pytest.raises(ReleaseError, match="the registry's own"):
        registry.promote(model, "1", tags=forged)
    with pytest.raises(ReleaseError, match="the registry's own"):
        registry.register(model, **candidate(tmp_path / "b", lineage="b", tags=forged))


def test_a_fetched_package_has_the_bytes_that_were_registered(
    registry: ModelRegistry, model: str, tmp_path: Path
) -> None:
    given = candidate(tmp_path)
    registry.register(model, **given)

    folder = registry.fetch(model, "1")

    assert folder == tmp_path / "cache" / model / "1" / "package"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in given["package"].iterdir()
    }


def test_a_good_copy_is_used_again_and_a_damaged_one_is_not(
    registry: ModelRegistry, model: str, tmp_path: Path, calls: list[str]
) -> None:
    registry.register(model, **candidate(tmp_path))
    folder = registry.fetch(model, "1")
    calls.clear()

    registry.fetch(model, "1")
    kept = len(calls)
    (folder / "model.ubj").write_text("rotten")
    registry.fetch(model, "1")

    assert kept == 1
    assert (folder / "model.ubj").read_text() == "trees"
    assert [path.name for path in folder.parent.iterdir()] == ["package"]


def test_a_package_changed_in_the_store_is_refused(
    registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    release = registry.register(model, **candidate(tmp_path, content="told apart"))
    (stored,) = (path for path in mlflow.kept("model.ubj") if release.run_id in str(path))
    stored.write_text("evil")

    with pytest.raises(PackageError, match=f"model.ubj has digest {digest('evil')}, expected {digest('told apart')}"):
        registry.fetch(model, "1")

    assert not list((tmp_path / "cache").rglob("*.ubj"))


def test_of_a_file_that_grew_in_the_store_no_more_is_read_than_tells_it_apart(
    registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    release = registry.register(model, **candidate(tmp_path, content="trees"))
    (stored,) = (path for path in mlflow.kept("model.ubj") if release.run_id in str(path))
    stored.write_text("trees" * 1_000_000)

    with pytest.raises(PackageError, match=f"model.ubj has digest {digest('treest')}, expected {digest('trees')}"):
        registry.fetch(model, "1")


def test_evidence_comes_back_and_changed_evidence_does_not(
    registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    release = registry.register(model, **candidate(tmp_path))
    good = registry.evidence(model, "1", "lineage.json")
    good_content = read_json(good)
    shutil.rmtree(good.parent)
    (stored,) = (path for path in mlflow.kept("records.json") if release.run_id in str(path))
    stored.write_bytes(stored.read_bytes().replace(b"of", b"by"))

    with pytest.raises(ReleaseError, match="changed after it was attached"):
        registry.evidence(model, "1", "lineage.json")

    assert good_content == {"format": 1, "of": "a"}
    assert not good.exists()


def test_a_copy_of_evidence_that_was_changed_here_is_mended(
    registry: ModelRegistry, model: str, tmp_path: Path
) -> None:
    registry.register(model, **candidate(tmp_path))
    copy = registry.evidence(model, "1", "lineage.json")
    copy.write_text("{}")

    assert read_json(registry.evidence(model, "1", "lineage.json")) == {"format": 1, "of": "a"}


def test_evidence_that_is_no_text_is_refused_and_nothing_is_registered(
    registry: ModelRegistry, model: str, tmp_path: Path
) -> None:
    (tmp_path / "picture.json").write_bytes(b"\xff\xfe")

    with pytest.raises(ReleaseError, match=r"evidence picture\.json is no UTF-8 text"):
        registry.register(model, **candidate(tmp_path, evidence={"picture.json": tmp_path / "picture.json"}))

    assert registry.versions(model) == []


def test_a_release_takes_fewer_than_thirty_calls(
    registry: ModelRegistry, model: str, tmp_path: Path, calls: list[str]
) -> None:
    """As large as a real one: the very first of its model, registered and promoted."""
    names = [f"{number}.json" for number in range(17)] + ["card.md", "card.html"]
    for name in names:
        (tmp_path / name).write_text("{}")
    manifest = pack(tmp_path / "packed")
    given = candidate(
        tmp_path, package=tmp_path / "packed", package_digest=manifest.digest, evidence={n: tmp_path / n for n in names}
    )

    release = registry.register(model, **given)
    registry.promote(model, release.version, tags={"promoted_by": "ada", "promoted_because": "a better one"})

    assert len(calls) < 30
    assert sorted(release.evidence) == ["card.html", "card.md", "records.json"]


def test_evidence_can_be_attached_later_and_replaced(registry: ModelRegistry, model: str, tmp_path: Path) -> None:
    registry.register(model, **candidate(tmp_path))
    certificate = tmp_path / "draft"

    for word in ("differs", "identical"):
        certificate.write_text(word)
        registry.attach(model, "1", "certificate.json", certificate)
        assert registry.evidence(model, "1", "certificate.json").read_text() == word

    with pytest.raises(
        ReleaseError, match=r"no evidence 'card\.md' in .*; known are: certificate\.json, lineage\.json"
    ):
        registry.evidence(model, "1", "card.md")


def test_of_two_who_attach_at_once_one_counts_and_none_is_spoilt(
    registry: ModelRegistry, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.register(model, **candidate(tmp_path))
    for word in ("first", "second"):
        (tmp_path / word).write_text(word)
    tag, late = ModelRegistry._tag, []

    def slow(self: ModelRegistry, release: Release, tags: dict[str, str]) -> None:
        if not late:  # between the upload of one and its tag the other comes and goes
            late.append(release)
            self.attach(model, "1", "certificate.json", tmp_path / "second")
        tag(self, release, tags)

    monkeypatch.setattr(ModelRegistry, "_tag", slow)

    registry.attach(model, "1", "certificate.json", tmp_path / "first")

    assert registry.evidence(model, "1", "certificate.json").read_text() == "first"


WAITS = """\
{room} = {name}; {name} = lambda *a, **k: (print("ready", flush=True), sys.stdin.readline(), {room}(*a, **k))[-1]"""


@pytest.mark.parametrize("name", ["rooms.find_experiment", "rooms.fill_run", "registry._create_version"])
@pytest.mark.parametrize("contents", [("trees", "trees"), ("trees", "other trees")], ids=["same bytes", "other bytes"])
def test_two_makers_at_once_end_with_one_version(
    name: str, contents: tuple[str, str], registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    patch = WAITS.format(name=name, room="room")
    makers = [start_maker(mlflow, model, tmp_path / str(n), patch=patch, content=contents[n]) for n in range(2)]
    for maker in makers:
        assert maker.stdout is not None
        assert maker.stdout.readline() == "ready\n"  # both have looked and found no release

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda maker: maker.communicate("go\n" * 3, timeout=60)[0], makers))

    (release,) = registry.versions(model)
    assert [text.split()[-1] for text in said] == [release.version] * 2
    assert runs_of(mlflow, model) == 1
    assert (registry.fetch(model, release.version) / "model.ubj").read_text() in contents


def test_a_twin_that_nobody_removed_is_never_shown_and_goes_with_the_next_call(
    registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    first = registry.register(model, **candidate(tmp_path))
    twin = {"key": "nightshift.lineage_digest", "value": first.lineage_digest}
    server = MlflowServer(mlflow.url, wait_seconds=20)
    server.post("model-versions/create", name=model, source=first.source, run_id=first.run_id, tags=[twin])

    shown = registry.versions(model)
    registry.register(model, **candidate(tmp_path))

    assert shown == [first]
    with pytest.raises(ReleaseError, match="no version 2"):
        registry.version(model, "2")


KILLED_AT = {
    "before the first file": "rooms.fill_run = lambda *_: os.kill(os.getpid(), 9)",
    "in the middle of the upload": (
        "import nightshift.registry.server as door; upload = door.MlflowServer.upload; "
        "door.MlflowServer.upload = lambda s, uri, content: (upload(s, uri, content), os.kill(os.getpid(), 9))"
    ),
    "before the version": "registry._create_version = lambda **_: os.kill(os.getpid(), 9)",
    "after the version": "registry._settle = lambda *_: os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("content", ["trees", "other trees"], ids=["same bytes", "other bytes"])
@pytest.mark.parametrize("point", KILLED_AT)
def test_after_a_kill_the_next_call_leaves_one_whole_version(
    point: str, content: str, registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    maker = start_maker(mlflow, model, tmp_path / "killed", patch=KILLED_AT[point])
    maker.communicate(timeout=60)
    assert maker.returncode == -signal.SIGKILL
    shown = len(registry.versions(model))

    registry.register(model, **candidate(tmp_path / "next", content=content))

    assert shown == (1 if point == "after the version" else 0)
    (release,) = registry.versions(model)
    assert (registry.fetch(model, release.version) / "model.ubj").read_text() == ("trees" if shown else content)
    assert runs_of(mlflow, model) == 1


KILLED_AFTER = (
    "post = registry._server.post; registry._server.post = "
    "lambda path, **what: (post(path, **what), path.endswith({path!r}) and os.kill(os.getpid(), 9)); "
    "registry.promote({model!r}, '2', tags={{'promoted_by': 'night shift'}})"
)


@pytest.mark.parametrize(("path", "champion"), [("set-tag", "1"), ("registered-models/alias", "2")])
def test_a_kill_in_a_promotion_leaves_the_old_champion_or_the_new(
    path: str, champion: str, registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    for lineage in "ab":
        registry.register(model, **candidate(tmp_path / lineage, lineage=lineage))
    registry.promote(model, "1", tags={})
    killed = start_maker(mlflow, model, tmp_path / "killed", patch=KILLED_AFTER.format(path=path, model=model))
    killed.communicate(timeout=60)
    assert killed.returncode == -signal.SIGKILL

    between = registry.champion(model)
    registry.promote(model, "2", tags={"promoted_by": "night shift"})
    after = registry.champion(model)

    assert between is not None
    assert after is not None
    assert (between.version, after.version) == (champion, "2")
    assert after.tags["promoted_by"] == "night shift"


def test_looking_costs_one_call(registry: ModelRegistry, model: str, tmp_path: Path, calls: list[str]) -> None:
    registry.register(model, **candidate(tmp_path))
    registry.promote(model, "1", tags={})
    costs = []

    for look in (registry.champion, registry.versions, lambda name: registry.find(name, digest("a"))):
        calls.clear()
        look(model)
        costs.append(len(calls))

    assert costs == [1, 1, 1]


def test_eight_threads_read_what_one_reads(registry: ModelRegistry, model: str, tmp_path: Path) -> None:
    registry.register(model, **candidate(tmp_path))
    registry.promote(model, "1", tags={})
    expected = registry.champion(model)

    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda _: (registry.champion(model), registry.fetch(model, "1")), range(64)))

    assert seen == 64 * [(expected, tmp_path / "cache" / model / "1" / "package")]


def test_mlflows_own_client_sees_what_people_see_and_what_it_moves_is_seen(
    registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    for lineage in "ab":
        registry.register(model, **candidate(tmp_path / lineage, lineage=lineage))
    registry.promote(model, "1", tags={})
    ledger, moment = Ledger(f"sqlite:///{tmp_path}/ledger.db"), datetime(2013, 5, 1, tzinfo=UTC)
    promoted = {"version": "1", "run": "build/1"}
    ledger.append(model, Kind.PROMOTION, start=moment, end=moment, body=promoted, now=moment)
    code = f"""
        import json, warnings
        warnings.simplefilter("ignore")
        import mlflow
        from mlflow.tracking import MlflowClient
        client = MlflowClient({mlflow.url!r})
        mlflow.set_tracking_uri({mlflow.url!r})
        version = client.get_model_version_by_alias({model!r}, "champion")
        run = client.get_run(version.run_id)
        (train,) = run.inputs.dataset_inputs
        folder = mlflow.artifacts.download_artifacts("models:/{model}@champion", dst_path={str(tmp_path / "own")!r})
        client.set_registered_model_alias({model!r}, "champion", "2")
        print(json.dumps([
            version.status, run.info.status, run.info.run_name, run.data.metrics, run.data.params,
            [train.dataset.name, train.tags[0].value, json.loads(train.dataset.source)["uri"]],
            sorted(f.path for f in client.list_artifacts(version.run_id, "package")),
            sorted(f.path for f in client.list_artifacts(version.run_id, "evidence")),
            client.get_experiment(run.info.experiment_id).name, folder,
        ]))
    """
    env = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false"}

    told = subprocess.run([sys.executable, "-c", dedent(code)], env=env, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stderr
    *seen, folder = json.loads(told.stdout)
    assert seen == [
        "READY",
        "FINISHED",
        "build 2013-05-01",
        {"auc": 0.7},
        {"rounds": "300"},
        ["train", "train", "registry.git#splits/bikes"],
        ["package/manifest.json", "package/model.ubj"],
        ["evidence/records.json"],
        f"nightshift/{model}",
    ]
    assert (Path(folder) / "model.ubj").read_text() == "trees"
    champion = registry.champion(model)
    assert champion is not None
    assert "points to version 2, the ledger knows of version 1: it was moved in MLflow by hand" in str(
        stray(ledger.entries(model), champion.version)
    )


def test_mlflow_itself_loads_and_asks_a_version(
    mlflow: Mlflow, registry: ModelRegistry, model: str, tmp_path: Path
) -> None:
    """With raw rows, by its generic loader; what answers is the package, proven."""
    manifest = pack(tmp_path / "packed")
    given = candidate(tmp_path, package=tmp_path / "packed", package_digest=manifest.digest)
    version = registry.register(model, **given).version
    rides(rows=5).to_json(tmp_path / "rows.json", orient="records")
    code = f"""
        import json, pandas, mlflow.pyfunc
        rows = pandas.read_json({str(tmp_path / "rows.json")!r}).astype({{"weather": "float64", "speed": "float64"}})
        model = mlflow.pyfunc.load_model("models:/{model}/{version}")
        print(json.dumps(model.predict(rows[list(model.metadata.signature.inputs.input_names())]).tolist()))
    """
    env = os.environ | {"MLFLOW_TRACKING_URI": mlflow.url, "MLFLOW_DISABLE_TELEMETRY": "true"}

    told = subprocess.run([sys.executable, "-c", dedent(code)], env=env, capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stderr[-2000:]
    assert json.loads(told.stdout) == pytest.approx(a_model().predict(rides(rows=5)).tolist(), abs=1e-5)


def test_a_stopped_server_is_told_and_a_woken_one_answers_again(
    registry: ModelRegistry, model: str, mlflow: Mlflow, tmp_path: Path
) -> None:
    registry.register(model, **candidate(tmp_path))
    short = ModelRegistry(mlflow.url, tmp_path / "cache", wait_seconds=0.5)
    os.killpg(mlflow.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(RegistryUnavailableError, match=r"may take 0\.5 s"):
            short.versions(model)
    finally:
        os.killpg(mlflow.process.pid, signal.SIGCONT)

    assert len(registry.versions(model)) == 1
