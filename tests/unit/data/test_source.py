from pathlib import Path

import pandas as pd
import pytest

from factories.data import a_spec, at, rides
from nightshift.data.source import ParquetSource, load_source
from nightshift.errors import SourceError

WHOLE = """
import pandas as pd
class Source:
    def extract(self, start, end):
        return {"rows": pd.DataFrame({"at": [start]})}
    def static(self):
        return {}
"""


def test_a_module_beside_the_specs_is_the_source(tmp_path: Path) -> None:
    (tmp_path / "rides.py").write_text(WHOLE)

    source = load_source(a_spec(), tmp_path, tmp_path)

    assert source.extract(at("2013-01-01"), at("2013-01-02"))["rows"]["at"].tolist() == [at("2013-01-01")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no rides.py"),
        ("", "has no class Source"),
        ("Source = 1", "has no class Source"),
        ("class Source: pass", "lacks extract"),
        ("class Source:\n    def extract(self, start, end): ...", "lacks extract"),
        ("import no_such_module", "cannot be imported: ModuleNotFoundError"),
        ("class Source(:", "cannot be imported: SyntaxError"),
    ],
)
def test_a_module_that_is_no_source_is_named_with_what_it_lacks(tmp_path: Path, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / "rides.py").write_text(text)

    with pytest.raises(SourceError, match=message):
        load_source(a_spec(), tmp_path, tmp_path)


def test_ready_files_are_a_source_without_a_module(tmp_path: Path) -> None:
    spec = a_spec(source={"path": "rides/*.parquet"})
    (tmp_path / "rides").mkdir()
    events = rides(at("2013-01-01"), 4)
    events[:8].to_parquet(tmp_path / "rides" / "1.parquet")
    events[8:].to_parquet(tmp_path / "rides" / "2.parquet")

    source = load_source(spec, tmp_path, tmp_path)

    found = source.extract(at("2013-01-02"), at("2013-01-04"))["rows"]
    assert found["ride_id"].tolist() == events["ride_id"][4:12].tolist()
    assert source.static() == {}


def test_a_time_without_a_zone_is_taken_as_utc(tmp_path: Path) -> None:
    pd.DataFrame({"at": [pd.Timestamp("2013-01-01 23:30"), pd.Timestamp("2013-01-02 00:00")]}).to_parquet(
        tmp_path / "a.parquet"
    )

    found = ParquetSource(tmp_path / "*.parquet", time="at").extract(at("2013-01-01"), at("2013-01-02"))["rows"]

    assert found["at"].tolist() == [at("2013-01-01 23:30")]


@pytest.mark.parametrize("content", [None, "no Parquet"])
def test_files_that_cannot_be_read_are_named(tmp_path: Path, content: str | None) -> None:
    if content:
        (tmp_path / "a.parquet").write_text(content)

    with pytest.raises(SourceError, match=r"a\*\.parquet: cannot be read"):
        ParquetSource(tmp_path / "a*.parquet", time="at").extract(at("2013-01-01"), at("2013-01-02"))


def test_files_without_the_time_column_are_named(tmp_path: Path) -> None:
    pd.DataFrame({"when": [1]}).to_parquet(tmp_path / "a.parquet")

    with pytest.raises(SourceError, match="a time column 'at'"):
        ParquetSource(tmp_path / "*.parquet", time="at").extract(at("2013-01-01"), at("2013-01-02"))
