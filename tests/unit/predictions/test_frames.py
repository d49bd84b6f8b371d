"""Every way a file of frames can be hurt costs what was hurt and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nightshift.predictions.frames import Damage, frame, scan

PAYLOADS = [b'{"n":1}', b'{"n":2,"text":"' + b"x" * 40 + b'"}', b'{"n":3}']
FILE = b"".join(map(frame, PAYLOADS))
payloads = st.lists(st.binary(max_size=60).map(lambda raw: raw.replace(b"\n", b" ")), max_size=8)


def found(data: bytes) -> list[bytes]:
    return [payload for _, payload in scan(data).frames]


@given(payloads)
def test_what_was_framed_is_found_again_in_order(written: list[bytes]) -> None:
    data = b"".join(map(frame, written))

    result = scan(data)

    assert [payload for _, payload in result.frames] == written
    assert result.damage == []
    assert result.end == len(data)


@pytest.mark.parametrize("cut", range(len(FILE)))
def test_a_file_cut_at_any_byte_loses_only_the_frame_that_was_cut(cut: int) -> None:
    starts = [FILE.index(frame(payload)) for payload in PAYLOADS]
    ends = [start + len(frame(payload)) for start, payload in zip(starts, PAYLOADS, strict=True)]

    result = scan(FILE[:cut])

    whole = [end for end in ends if end <= cut]
    torn = cut - (whole[-1] if whole else 0)
    assert [payload for _, payload in result.frames] == PAYLOADS[: len(whole)]
    assert result.damage == ([Damage(cut - torn, torn, torn=True)] if torn else [])
    assert result.end == cut - torn


@given(st.integers(0, len(FILE) - 1), st.integers(0, 7))
def test_a_flipped_bit_costs_at_most_the_frame_it_is_in(place: int, bit: int) -> None:
    hurt = bytearray(FILE)
    hurt[place] ^= 1 << bit

    result = scan(bytes(hurt))

    kept = [payload for _, payload in result.frames]
    assert len(kept) >= 2
    assert all(payload in PAYLOADS for payload in kept)
    assert kept == PAYLOADS or result.damage
    for damage in result.damage:
        assert damage.offset <= place < damage.offset + damage.bytes


@given(payloads, st.binary(max_size=50))
def test_rubbish_before_a_frame_is_reported_and_the_frame_is_read(before: list[bytes], rubbish: bytes) -> None:
    line = rubbish.replace(b"\n", b" ") + b"\n"
    data = b"".join(map(frame, before)) + line + frame(b"last")

    result = scan(data)

    assert found(data) == [*before, b"last"]
    assert [damage.bytes for damage in result.damage] == [len(line)]


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(data: bytes) -> None:
    result = scan(data)

    accounted = sum(18 + len(payload) + 1 for _, payload in result.frames) + sum(hurt.bytes for hurt in result.damage)
    assert accounted >= len(data)


def test_reading_goes_on_from_any_offset_with_offsets_of_the_file() -> None:
    second = len(frame(PAYLOADS[0]))

    result = scan(FILE[second:], start=second)

    assert result.frames[0] == (second, PAYLOADS[1])
    assert result.end == len(FILE)
