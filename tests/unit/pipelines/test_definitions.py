"""A view that a live champion was trained with changes with its version, or not at all."""

import shutil
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest

from factories.data import PROJECT, at
from factories.model import PROFILE, pack
from nightshift.errors import ReturnToSenderError
from nightshift.features.declared import FILE, load_service
from nightshift.pipelines.definitions import changed_under_champions
from nightshift.pipelines.prepare import check_versions
from nightshift.pipelines.request import Asked, BuildRequest
from nightshift.pipelines.work import Work
from nightshift.registry import ModelRegistry
from nightshift.registry.release import Release
from nightshift.runs import RunFolder
from nightshift.settings import Settings
from nightshift.spec import find_spec

MODEL = "arrival_minutes"


@cache
def package() -> Path:
    """Return a package that was trained with the definitions of the example; it is made and looked through once."""
    made = load_service(PROJECT / "include" / "features", MODEL).to_json()
    folder = Path(mkdtemp()) / "package"
    pack(folder, profile={**PROFILE, "features": made})
    return folder


class OneChampion(ModelRegistry):
    """A registry in which only ``arrival_minutes`` has a champion, a real package in a folder."""

    def __init__(self) -> None:
        """Ask no server."""

    def champion(self, model: str) -> Release | None:
        return Release(MODEL, "3", "", "", "", {}, at("2013-05-01"), {}, "") if model == MODEL else None

    def fetch(self, model: str, version: str) -> Path:
        return package()


@dataclass(frozen=True)
class WithChampion(Work):
    @cached_property
    def registry(self) -> ModelRegistry:
        return OneChampion()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Return a copy of the example's declarations, whose champion was trained with them."""
    for name in ("specs", "features"):
        shutil.copytree(
            PROJECT / "include" / name, tmp_path / "include" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    return Settings.load(project=tmp_path, state=tmp_path / "state", lock=PROJECT / "requirements.txt")


def edit(settings: Settings, before: str, after: str, *, file: str = FILE) -> None:
    path = settings.features / file
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after, 1))


def raise_version(settings: Settings, view: str) -> None:
    path = settings.features / FILE
    before, declared = path.read_text().split(f"  {view}:", 1)
    path.write_text(f"{before}  {view}:{declared.replace('version: 1', 'version: 2', 1)}")


def changed(settings: Settings) -> list[str]:
    return changed_under_champions(settings, OneChampion())


def test_what_stayed_the_same_and_what_nobody_lives_on_may_be(settings: Settings) -> None:
    edit(settings, "mean minutes by which flights of the route", "minutes of the route")
    edit(settings, "INTERVAL 7 DAYS", "INTERVAL 6 DAYS", file="dest_history.sql")

    assert changed(settings) == []


@pytest.mark.parametrize(
    ("file", "before", "after", "view"),
    [
        ("route_history.sql", "180", "240", "route_history"),
        ("flight_clock.py", "clock.isoweekday()", "clock.weekday()", "flight_clock"),
        (FILE, "ttl: 12h", "ttl: 13h", "origin_weather"),
    ],
)
def test_a_change_under_a_champion_is_refused_until_the_version_says_so(
    settings: Settings, file: str, before: str, after: str, view: str
) -> None:
    edit(settings, before, after, file=file)

    refused = changed(settings)

    assert len(refused) == 1
    assert refused[0].startswith(
        f"{view} has changed since {MODEL} version 3 was trained with its version 1; undo that"
    )
    raise_version(settings, view)
    assert changed(settings) == []


def test_a_view_that_a_champion_lives_on_cannot_be_dropped(settings: Settings) -> None:
    edit(settings, "carrier_history, route_history, aircraft]", "carrier_history, aircraft]")
    text = (settings.features / FILE).read_text()
    start, end = text.index("  route_history:\n"), text.index("  aircraft:\n    version")
    (settings.features / FILE).write_text(text[:start] + text[end:])

    assert [
        line for line in changed(settings) if line.startswith(f"route_history, which {MODEL} version 3 was trained")
    ]


@pytest.mark.parametrize("insists", [False, True])
def test_the_build_of_another_model_is_sent_back_whatever_it_allows(settings: Settings, insists: bool) -> None:
    edit(settings, "1 DAY", "2 DAYS", file="carrier_history.sql")
    spec = find_spec(settings.specs, "flight_delay")
    folder = RunFolder.of(settings.runs, model=spec.name, pipeline="build", run_id="x")
    work = WithChampion(spec, folder, settings)
    asked: dict[str, Any] = {"as_of": "2013-05-01", "allow_unreproducible": insists}
    work.run.begin(BuildRequest.from_asked(spec, Asked.by_person(now=at("2013-05-02"), **asked)).to_json())

    with pytest.raises(ReturnToSenderError, match=r"carrier_history has changed since arrival_minutes version 3"):
        check_versions(work)

    assert not work.run.file("versions.json").exists()
