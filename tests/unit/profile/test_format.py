"""The format is open: its schema holds for real profiles, and strangers read them in ten lines."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest

from factories.profile import KINDS, trips
from factories.rows import hostile, profiled
from nightshift.profile.profile import FORMAT, Profile

DOCS = Path(__file__).parents[3] / "docs"
SCHEMA = json.loads((DOCS / "profile.schema.json").read_text())
MANY = pa.table({"id": list(range(9000)), "name": [f"n{one}" for one in range(9000)]})
PROFILES = {
    "trips": lambda: Profile.of(trips(), KINDS),
    "odd objects": lambda: Profile.of(trips(4, speed=["1", 2, None, [3]], zone=[1.0, True, b"x", {}]), KINDS),
    "hostile": lambda: profiled(hostile()),
    "no rows": lambda: profiled(hostile().slice(0, 0)),
    "many": lambda: profiled(MANY),
}


def holds(content: Any) -> bool:
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(content))


@pytest.mark.parametrize("name", PROFILES)
def test_real_profiles_keep_the_schema(name: str) -> None:
    jsonschema.validate(PROFILES[name]().to_json(), SCHEMA, jsonschema.Draft202012Validator)


def test_the_schema_is_of_the_format_that_is_written() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    assert SCHEMA["properties"]["format"]["const"] == FORMAT


def test_the_schema_refuses_what_is_no_profile() -> None:
    whole = PROFILES["trips"]().to_json()
    speed = whole["columns"]["speed"]
    changed = [
        {**whole, "format": 2},
        {**whole, "rows": -1},
        {**whole, "more": 1},
        {**whole, "columns": {"speed": {**speed, "missing": None}}},
        {**whole, "columns": {"speed": {name: value for name, value in speed.items() if name != "bins"}}},
        {**whole, "columns": {"speed": {**speed, "distinct": "not base64!"}}},
    ]

    assert holds(whole)
    assert [holds(content) for content in changed] == [False] * len(changed)


READERS = {"read_profile.py": sys.executable, "read_profile.js": shutil.which("node")}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", PROFILES)
def test_a_stranger_reads_in_ten_lines_what_the_profile_says(reader: str, name: str, tmp_path: Path) -> None:
    if not READERS[reader]:
        pytest.skip("no node here")
    profile = PROFILES[name]()
    written = json.dumps(profile.to_json(), allow_nan=False)

    said = subprocess.run([READERS[reader], DOCS / reader], input=written, capture_output=True, text=True, check=True)

    told = {row[0]: row[1:] for row in map(json.loads, said.stdout.splitlines())}
    assert told.keys() == profile.columns.keys()
    for own, column in profile.columns.items():
        assert told[own][:4] == [str(column.kind), column.known, column.missing, column.distinct.estimate]
        for said_of_it, value in zip(told[own][4:], (column.mean, column.lowest, column.highest), strict=True):
            assert said_of_it == (None if value is None else pytest.approx(value, rel=1e-9))


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_has_ten_lines_and_stands_in_the_docs(reader: str) -> None:
    code = (DOCS / reader).read_text()

    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    assert code.strip() in (DOCS / "profile.md").read_text()
