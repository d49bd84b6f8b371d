"""Files made to hurt are refused in a moment; words mean what people take them for."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nightshift.errors import SpecError
from nightshift.yaml_file import BYTES_MAX, read_yaml

LAUGHS = "a: &a [x]\n" + "\n".join(
    f"{b}: &{b} [*{a}, *{a}, *{a}, *{a}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def read(folder: Path, text: str | bytes) -> dict[str, Any]:
    path = folder / "bikes.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path).content


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("yes", "yes"), ("no", "no"), ("on", "on"), ("off", "off"), ("y", "y"), ("N", "N"), ("NO", "NO"),
        ("true", True), ("False", False), ("tRue", "tRue"), ("~", None), ("null", None), ("nUll", "nUll"), ("", None),
        ("1e3", 1000.0), ("1e-3", 0.001), ("1.", 1.0), (".5", 0.5), ("-2.5E+2", -250.0), ("3.11", 3.11), ("+7", 7),
        ("010", 10), ("08", 8), ("0o7", 7), ("0x1F", 31), ("0b1", "0b1"), ("1_000", "1_000"), ("٣", "٣"), ("-0", 0),
        ("22:30", "22:30"), ("1:30", "1:30"), ("2013-01-01", "2013-01-01"), ("2013-01-01 10:00", "2013-01-01 10:00"),
        (".nan", ".nan"), (".inf", ".inf"), ("=", "="), ("1.2.3", "1.2.3"), ("28d", "28d"), ("1,5", "1,5"),
        ("'1'", "1"), ('""', ""), ('"yes"', "yes"), ("<<", "<<"),
    ],
)  # fmt: skip
def test_words_mean_what_people_take_them_for(tmp_path: Path, written: str, meant: object) -> None:
    found = read(tmp_path, f"a: {written}\n")["a"]

    assert found == meant
    assert type(found) is type(meant)


letters = st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff\ufffe\uffff\u2028\u2029")
numbers = st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | st.text(letters),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcXYZ_ 0:#-", min_size=1), inner, max_size=3),
    max_leaves=8,
)
PIECES = [
    "a: ", "b: ", "- ", "[", "]", "{", "}", "\n", " ", "&x ", "*x ", "!!int ", "? ", ": ", '"', "'", "|", "<<: ", "1",
    "~", "#", "%YAML 1.1\n", "---", "!",
]  # fmt: skip


@given(content=st.dictionaries(st.from_regex(r"[a-z_]{1,8}", fullmatch=True), plain, min_size=1, max_size=4))
def test_what_json_writes_is_read_as_it_was(tmp_path_factory: pytest.TempPathFactory, content: dict[str, Any]) -> None:
    folder = tmp_path_factory.getbasetemp()

    assert read(folder, json.dumps(content, ensure_ascii=False)) == content


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (LAUGHS, "bikes.yaml:2: an alias (*) is not allowed; write it out"),
        ("a: &a [*a]", "an alias (*) is not allowed"),
        ("a: !!python/object/apply:os.system ['false']", "a tag (tag:yaml.org,2002:python/object/apply:os.system)"),
        ("a: !!python/name:os.system", "a tag"),
        ("a: !!bool maybe", "a tag"),
        ("a: !!int ''", "a tag"),
        ("a: !!timestamp never", "a tag"),
        ("a: !own {}", "a tag (!own) is not allowed; leave it out"),
        ("!!set {a}", "bikes.yaml:1: a tag"),
        ("a: 1\nb: 2\na: 3", "bikes.yaml:3: 'a' stands here twice; keep one"),
        ("a: 1\n'a': 3", "bikes.yaml:2: 'a' stands here twice"),
        ("a: {b: 1,\n b: 2}", "bikes.yaml:2: 'b' stands here twice"),
        ("? [a]\n: 1", "bikes.yaml:1: a key must be text"),
        ("? {a: 1}\n: 1", "a key must be text"),
        ("1: a", 'a key must be text; if it is meant as such, put quotes (") around it'),
        ("true: a", "a key must be text"),
        ("~: a", "a key must be text"),
        ("a: {{ x }}", "a key must be text"),
        ("a: 1\n---\nb: 1", "another document"),
        ("", "bikes.yaml:1: expected keys and values (name, purpose, …), found NoneType"),
        ("# nothing\n", "found NoneType"),
        ("- a\n- b", "found list"),
        ("text", "found str"),
        ("a: [", "bikes.yaml:1:"),
        ("a:\n\t- b", "bikes.yaml:2: found character '\\t'"),
        ("a: \0", "is not YAML"),
        ("a: " + "[" * 100_000, "nests deeper than any declaration"),
        ("a: " + "[" * 9_000 + "]" * 9_000, "nests deeper"),
        ("a: " + "9" * 5_000, "is not YAML: Exceeds the limit"),
        (b"a: \xff", "cannot be read: 'utf-8' codec can't decode byte 0xff in position 3"),
        ("a: b".encode("utf-16"), "cannot be read"),
        (b"a: b # " + b"x" * 10_000_000, f"has more than {BYTES_MAX:,} bytes, the most allowed here; shorten it"),
        ("é" * BYTES_MAX, "has more than"),
    ],
    ids=lambda value: ascii(value)[:40],
)  # fmt: skip
def test_what_hurts_is_refused_in_a_moment(tmp_path: Path, text: str | bytes, said: str) -> None:
    began = time.monotonic()

    with pytest.raises(SpecError) as caught:
        read(tmp_path, text)

    assert said in str(caught.value)
    assert time.monotonic() - began < 30


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()

    with pytest.raises(SpecError, match=r"folder\.yaml: is no file"):
        read_yaml(tmp_path / "folder.yaml")
    with pytest.raises(SpecError, match=r"absent\.yaml: cannot be read: .*No such file"):
        read_yaml(tmp_path / "absent.yaml")


def test_a_pipe_that_nobody_fills_does_not_hold_up_a_night(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")

    with pytest.raises(SpecError, match="is no file"):
        read_yaml(tmp_path / "pipe.yaml")


def test_a_byte_order_mark_and_windows_lines_do_no_harm(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: two\r\n") == {"a": 1, "b": "two"}


odd = st.lists(st.sampled_from(PIECES), max_size=40).map(lambda pieces: "".join(pieces).encode())


@given(noise=st.binary(max_size=300) | odd)
def test_noise_is_read_or_refused_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    found: object = {}

    with suppress(SpecError):
        found = read(tmp_path_factory.getbasetemp(), noise)

    assert isinstance(found, dict)


def test_places_are_found_down_to_the_deepest_that_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "bikes.yaml"
    path.write_text("a: 1\nb:\n  c:\n    - x\n    - y: 2\n")

    found = read_yaml(path)

    there: dict[tuple[str | int, ...], int] = {(): 1, ("b",): 2, ("b", "c"): 3, ("b", "c", 1): 5, ("b", "c", 1, "y"): 5}
    beyond: dict[tuple[str | int, ...], int] = {("z",): 1, ("b", "z"): 2, ("b", "c", 9): 3, ("a", "z"): 1}
    assert {place: found.line_of(place) for place in there | beyond} == there | beyond


def test_the_loader_of_the_library_is_left_as_it_was() -> None:
    assert yaml.safe_load("a: yes") == {"a": True}
