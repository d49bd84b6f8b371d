"""A version goes live by hand only after its preflight, with who and why, and builds wait until a person says go on."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from factories.model import reseal, rides
from factories.nights import OneRelease, rides_of, start_of, watched
from factories.registry import version
from factories.spine import a_day, a_ledger
from nightshift.data.snapshot import write_table
from nightshift.errors import PackageError, ReleaseError, RequestError, ReturnToSenderError
from nightshift.files import canonical_json, write_json
from nightshift.ledger import Kind, Ledger
from nightshift.pipelines import release
from nightshift.pipelines.carding import decisions_on
from nightshift.pipelines.history import stray
from nightshift.pipelines.learn import evaluate
from nightshift.pipelines.preflight import preflight
from nightshift.pipelines.promote import previous, promote
from nightshift.pipelines.request import Asked, BuildRequest, PromoteRequest
from nightshift.pipelines.standing import pause, retrains
from nightshift.pipelines.work import Then, Work
from nightshift.profile.contract import ColumnRule, Contract
from nightshift.profile.profile import Profile
from nightshift.registry import ModelRegistry
from nightshift.registry.release import Release
from nightshift.runs import RunFolder
from nightshift.spec import Kind as ColumnKind

DAY = 25


class Versions(OneRelease):
    """Versions of ``rides`` as folders, and an alias that is a file: what one run moves, another sees."""

    def champion(self, model: str) -> Release | None:
        alias = self._folder / "champion"
        return self.version(model, alias.read_text()) if alias.exists() else None

    def version(self, model: str, version_: str) -> Release:
        if not (self._folder / version_).is_dir():
            raise ReleaseError(f"{model} has no version {version_}")
        return Release.of_version(version(int(version_)))

    def versions(self, model: str) -> list[Release]:
        return [self.version(model, folder.name) for folder in sorted(self._folder.glob("[0-9]*"))]

    def promote(self, model: str, version_: str, *, tags: Mapping[str, str]) -> None:
        (self._folder / "champion").write_text(version_)


@dataclass(frozen=True)
class ByHand(Work):
    @cached_property
    def registry(self) -> ModelRegistry:
        return Versions(self.settings.releases / "fake")


class Operators:
    """An installation of three versions of ``rides``, promoted one after the other, and runs on it."""

    def __init__(self, folder: Path) -> None:
        self.nights = watched(folder, versions=("1", "2", "3"))
        self.count = 0
        for before, new in ((None, "1"), ("1", "2"), ("2", "3")):
            body = {"version": new, "before": before, "run": f"build/{new}"}
            self.ledger.append("rides", Kind.PROMOTION, start=a_day(0), end=a_day(0), body=body, now=a_day(0))
        self.work("build", "x").registry.promote("rides", "3", tags={})

    @property
    def contract(self) -> Contract:
        spec = self.nights.spec
        return Contract.derive(Profile.of(rides(rows=8000), spec.kinds), spec.features)

    def seal(self, version_: str, contract: Contract) -> None:
        package = self.nights.settings.releases / "fake" / version_ / "package"
        reseal(package, "contract.json", canonical_json(contract.to_json()))

    @property
    def ledger(self) -> Ledger:
        return self.nights.work("x").ledger

    @property
    def champion(self) -> str:
        found = self.work("promote", "x").registry.champion("rides")
        return found.version if found else ""

    def work(self, pipeline: str, run_id: str) -> Work:
        settings = self.nights.settings
        run = RunFolder.of(settings.runs, model="rides", pipeline=pipeline, run_id=run_id)
        return ByHand(self.nights.spec, run, settings)

    def asked(self, **form: Any) -> Work:
        self.count += 1
        work = self.work("promote", f"r{self.count}")
        asked = Asked.by_person(now=a_day(1), user="ada", **{"reason": "it is odd", **form})
        work.run.begin(PromoteRequest.from_asked(work.spec, asked).to_json())
        return work

    def go(self, **form: Any) -> Work:
        work = self.asked(**form)
        preflight(work)
        promote(work)
        return work

    def built(self, new: str, *, run_id: str = "") -> Work:
        work = self.work("build", run_id or new)
        asked = Asked.by_person(now=a_day(1), as_of=start_of(DAY))
        work.run.begin(BuildRequest.from_asked(work.spec, asked).to_json())
        work.run.write("release.json", {"version": new})
        work.run.write("versions.json", {"began": work.now().isoformat()})
        work.ledger.take_lease("rides", work.holder, now=work.now(), lasts=a_day(1) - a_day(0))
        return work


@pytest.fixture
def operators(tmp_path: Path) -> Operators:
    return Operators(tmp_path)


def test_going_back_twice_goes_back_by_two(operators: Operators) -> None:
    seen = []

    for _ in range(2):
        operators.go()
        seen.append(operators.champion)

    assert seen == ["2", "1"]


def test_before_the_first_version_there_is_none_to_go_back_to(operators: Operators) -> None:
    operators.go(version="1")

    with pytest.raises(ReleaseError, match="no version answered before version 1"):
        operators.go()


@pytest.mark.parametrize(
    ("path", "champion", "expected"),
    [
        (["1", "2", "3"], "3", "2"),
        (["1", "2", "3", "2"], "2", "1"),
        (["1", "2", "3", "2", "4"], "4", "2"),
        (["1", "2"], "7", "2"),
    ],
)
def test_the_version_before_is_the_one_that_answered_before(
    tmp_path: Path, path: list[str], champion: str, expected: str
) -> None:
    ledger = a_ledger(tmp_path)
    for number in path:
        ledger.append("rides", Kind.PROMOTION, start=a_day(0), end=a_day(0), body={"version": number}, now=a_day(0))

    assert previous(ledger.entries("rides"), champion) == expected


def test_the_ledger_knows_who_why_and_what_answered_before(operators: Operators) -> None:
    operators.go(version="1", reason="  the new one is odd ")

    body = operators.ledger.entries("rides", Kind.PROMOTION)[-1].body
    assert (body["version"], body["before"], body["user"]) == ("1", "3", "ada")
    assert (body["reason"], body["by_hand"]) == ("the new one is odd", True)


def test_who_sent_a_version_up_is_told_of_that_version_alone(operators: Operators) -> None:
    operators.go(version="1", reason="the new one is odd")

    entries = operators.ledger.entries("rides")
    (said,) = decisions_on("1", entries)
    assert (said["answer"], said["by"], said["reason"]) == ("made champion by hand", "ada", "the new one is odd")
    assert decisions_on("3", entries) == []


def test_trying_again_does_nothing_twice(operators: Operators) -> None:
    work = operators.go()

    preflight(work)
    promote(work)

    assert operators.champion == "2"
    assert len(operators.ledger.entries("rides", Kind.PROMOTION)) == 4
    assert len(operators.ledger.entries("rides", Kind.PAUSE)) == 1


def test_the_champion_is_not_promoted_again(operators: Operators) -> None:
    with pytest.raises(ReleaseError, match="version 3 of rides is the champion already"):
        operators.go(version="3")


def test_a_package_that_was_changed_does_not_go_live(operators: Operators) -> None:
    model = operators.nights.settings.releases / "fake" / "2" / "package" / "contract.json"
    model.write_bytes(model.read_bytes() + b" ")

    with pytest.raises(PackageError):
        operators.go()

    assert operators.champion == "3"
    assert pause(operators.ledger.entries("rides")) is None


def test_rows_of_the_last_day_must_be_let_in(operators: Operators) -> None:
    operators.seal("2", operators.contract)
    operators.nights.ask(rides_of(DAY - 1))
    operators.nights.ask(rides_of(DAY))

    said = preflight(operators.asked()).sentence

    assert said.endswith("0 of 400 rows of the log's last day would be refused")


def test_a_version_that_would_refuse_the_callers_stays_out_unless_somebody_insists(operators: Operators) -> None:
    operators.nights.ask(rides_of(DAY))
    wanting = ColumnRule("altitude", ColumnKind.NUMERIC, "refuse", "refuse")
    operators.seal("2", Contract((*operators.contract.columns, wanting)))

    with pytest.raises(ReturnToSenderError, match=r"400 of 400 rows .* would be refused by version 2; first: altitude"):
        operators.go()
    assert operators.champion == "3"

    operators.go(despite_contract=True)
    assert operators.champion == "2"
    assert operators.ledger.entries("rides", Kind.PROMOTION)[-1].body["refused_yesterday"] == 400


def test_a_kill_between_alias_and_ledger_is_made_good_by_the_next_try(operators: Operators) -> None:
    work = operators.built("2", run_id="summer")
    work.registry.promote("rides", "2", tags={})  # all that a killed promotion had done

    outcome = release.promote(work)

    last = operators.ledger.entries("rides", Kind.PROMOTION)[-1]
    assert operators.champion == "2"
    assert (last.body["version"], last.body["before"]) == ("2", "3")
    assert "before it 3" in outcome.sentence
    assert stray(operators.ledger.entries("rides"), operators.champion) is None


@pytest.mark.parametrize(
    ("removed", "compared"), [((), "3"), (("3",), "2"), (("3", "2", "1"), None)], ids=["alias", "version", "all"]
)
def test_a_build_is_held_to_the_last_champion_though_alias_or_version_was_removed(
    operators: Operators, removed: tuple[str, ...], compared: str | None
) -> None:
    fake = operators.nights.settings.releases / "fake"
    for folder in fake.glob("[0-9]*"):
        write_json(folder / "split.json", {"splits": {"validation": {"end": a_day(0).isoformat()}}})
    work = operators.built("4")
    shutil.copytree(fake / "3" / "package", work.run.file("package"))
    for name, seed in (("train", 1), ("validation", 2), ("test", 3)):
        write_table(work.run.file(f"splits/{name}.parquet"), rides(rows=600, seed=seed))
    (fake / "champion").unlink()
    for version_ in removed:
        shutil.rmtree(fake / version_)

    evaluate(work)

    comparison = work.run.read("evaluation.json")["comparison"]
    assert (comparison and comparison["version"]) == compared
    assert (comparison and comparison["rows"]) == (600 if compared else None)


def test_who_answered_before_is_told_though_the_alias_was_removed(operators: Operators) -> None:
    work = operators.built("2", run_id="summer")
    (operators.nights.settings.releases / "fake" / "champion").unlink()

    outcome = release.promote(work)

    assert operators.ledger.entries("rides", Kind.PROMOTION)[-1].body["before"] == "3"
    assert "before it 3" in outcome.sentence


def test_a_newer_build_at_work_is_not_overtaken(operators: Operators) -> None:
    older = operators.built("1", run_id="older")
    operators.built("2", run_id="newer")

    with pytest.raises(ReleaseError, match=r"may not promote version 1 of rides: a newer build \(build/newer\) took"):
        release.promote(older)

    assert operators.champion == "3"


def test_a_newer_build_that_failed_is_no_obstacle(operators: Operators) -> None:
    older, newer = operators.built("1", run_id="older"), operators.built("2", run_id="newer")
    operators.ledger.end_lease("rides", newer.holder, now=newer.now())

    release.promote(older)

    assert operators.champion == "1"


def test_a_build_that_went_live_meanwhile_stays(operators: Operators) -> None:
    older, newer = operators.built("1", run_id="older"), operators.built("2", run_id="newer")
    release.promote(newer)

    with pytest.raises(ReleaseError, match=r"version 2 went live at .* after this build began \(build/newer\)"):
        release.promote(older)

    assert operators.champion == "2"


def test_a_person_who_promotes_while_a_build_does_is_not_overruled(
    operators: Operators, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, move = operators.built("2"), Versions.promote

    def slow(registry: Versions, model: str, version_: str, *, tags: Mapping[str, str]) -> None:
        if version_ == "2":
            monkeypatch.setattr(Versions, "promote", move)
            operators.go(version="1", despite_contract=True)
        move(registry, model, version_, tags=tags)

    monkeypatch.setattr(Versions, "promote", slow)  # the seam: the alias is on its way

    with pytest.raises(ReleaseError, match=r"ada made version 1 of rides the champion while version 2 was on its way"):
        release.promote(work)

    assert operators.champion == "1"
    assert operators.ledger.entries("rides", Kind.PROMOTION)[-1].body["version"] == "1"


def test_until_then_the_alias_is_called_astray(operators: Operators) -> None:
    operators.built("2").registry.promote("rides", "2", tags={})

    assert "points to version 2, the ledger knows of version 3" in str(
        stray(operators.ledger.entries("rides"), operators.champion)
    )


def test_no_build_goes_live_until_a_person_says_go_on(operators: Operators) -> None:
    operators.go()

    held = release.promote(operators.built("3"))

    assert held.then is Then.SKIP
    assert "promotion is paused since ada made version 2 the champion (it is odd)" in held.sentence
    assert operators.champion == "2"

    operators.go(resume=True)
    release.promote(operators.built("3"))

    assert operators.champion == "3"


def test_going_on_changes_no_champion_and_is_said_once(operators: Operators) -> None:
    operators.go()

    first, second = (promote(operators.asked(resume=True)) for _ in range(2))

    assert first.sentence == "automatic promotion goes on; it was paused by ada: it is odd"
    assert second.sentence == "automatic promotion is not paused; nothing was changed"
    assert (first.then, second.then, operators.champion) == (Then.SKIP, Then.SKIP, "2")


def test_a_retrain_that_a_person_took_back_did_not_help(tmp_path: Path) -> None:
    ledger = a_ledger(tmp_path)
    asked = {"decision": {"retrain": True}}
    ledger.append("rides", Kind.WINDOW, start=a_day(0), end=a_day(1), body=asked, now=a_day(1))
    for body in ({"version": "2", "before": "1"}, {"version": "1", "before": "2", "by_hand": True}):
        ledger.append("rides", Kind.PROMOTION, start=a_day(1), end=a_day(1), body=body, now=a_day(1))

    (retrain,) = retrains(ledger.entries("rides"), waiting=False)

    assert retrain.helped is False


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"reason": "  "}, "reason is empty"),
        ({"version": "newest"}, "give a number"),
        ({"version": "2", "resume": True}, "choose one"),
        ({"versoin": "2"}, "did you mean 'version'"),
    ],
)
def test_a_form_that_says_too_little_or_too_much_is_refused(
    operators: Operators, form: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestError, match=said):
        operators.asked(**form)


def test_a_request_and_back_is_the_same(operators: Operators) -> None:
    request = PromoteRequest.of(operators.asked(version="2").run)

    assert PromoteRequest.from_json(request.to_json()) == request
