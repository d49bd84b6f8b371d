"""The command ``nightshift profile``: for people, for programs, and as a page."""

import json
from pathlib import Path

import pyarrow as pa
import pytest
from typer.testing import CliRunner

from factories.rows import hostile, written
from nightshift.cli import app
from nightshift.errors import BinsDifferError, ProfileError
from nightshift.profile.profile import Profile

ONE = pa.table({"speed": [1.0, 2.0, None], "zone": ["east", "west", "[bold]<b>"]})
TWO = pa.table({"speed": [2.5, 9.0], "zone": ["east", None]})


def said(*words: str | Path) -> str:
    result = CliRunner().invoke(app, ["profile", *map(str, words)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def profile_in(path: Path) -> Profile:
    return Profile.from_json(json.loads(path.read_text()))


def test_a_table_to_read_tells_each_column(tmp_path: Path) -> None:
    found = said(*written(tmp_path, ONE))

    assert "3 rows in 2 columns" in found
    assert "33.3%" in found
    assert "[bold]<b>" in found


def test_json_on_standard_output_is_the_profile(tmp_path: Path) -> None:
    content = json.loads(said("--json", *written(tmp_path, hostile())))

    assert Profile.from_json(content).rows == 4


def test_several_files_are_one_table(tmp_path: Path) -> None:
    paths = written(tmp_path, ONE, TWO, pa.concat_tables([ONE, TWO]))

    assert said("--json", paths[0], paths[1]) == said("--json", paths[2])


def test_stored_profiles_on_the_same_bins_are_merged(tmp_path: Path) -> None:
    paths = written(tmp_path, ONE, TWO)
    said(paths[0], "--out", tmp_path / "one.json")
    said(paths[1], "--out", tmp_path / "two.json", "--like", tmp_path / "one.json")

    merged = Profile.from_json(json.loads(said("--json", tmp_path / "one.json", tmp_path / "two.json")))

    assert (merged.rows, merged.columns["speed"].known, merged.columns["zone"].counts["east"]) == (5, 4, 2)


def test_stored_profiles_on_other_bins_are_refused_with_what_to_do(tmp_path: Path) -> None:
    for number, path in enumerate(written(tmp_path, ONE, TWO)):
        said(path, "--out", tmp_path / f"{number}.json")

    with pytest.raises(BinsDifferError, match=r"1\.json and .*0\.json: .*--like"):
        said(tmp_path / "0.json", tmp_path / "1.json")


def test_a_query_is_profiled(tmp_path: Path) -> None:
    (path,) = written(tmp_path, ONE)

    assert "1 rows in 1 columns" in said("--query", f"SELECT zone FROM '{path}' WHERE speed > 1")


def test_the_page_needs_nothing_but_itself_and_escapes_what_the_rows_say(tmp_path: Path) -> None:
    (path,) = written(tmp_path, hostile().append_column("<img src=x onerror=alert(1)>", pa.array(["</style>"] * 4)))

    said(path, "--html", tmp_path / "page.html")

    page = (tmp_path / "page.html").read_text()
    assert "<script" not in page
    assert "<img" not in page
    assert "&lt;img src=x" in page
    assert page.count("</style>") == 1
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")
    assert "prefers-color-scheme: dark" in page


def test_what_is_no_stored_profile_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")

    with pytest.raises(ProfileError, match=r"a\.json: this is no profile"):
        said(tmp_path / "a.json")


@pytest.mark.parametrize("words", [[], ["a.parquet", "--query", "SELECT 1"]])
def test_files_or_a_query_must_be_given_not_both(words: list[str]) -> None:
    result = CliRunner().invoke(app, ["profile", *words])

    assert result.exit_code == 2
    assert "give files, or --query" in result.output.replace("\n", " ")
