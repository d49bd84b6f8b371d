"""Entries in a file, each framed so that a torn or damaged one is recognised and costs no other.

A frame is one line: the payload's length and CRC-32 in eight hex digits each,
and the payload, which holds neither a line's end nor a zero byte. ``grep -a`` works on it.
"""

from dataclasses import dataclass, field
from zlib import crc32

HEAD_BYTES = 18
"""``len····· crc····· `` before the payload."""


@dataclass(frozen=True)
class Damage:
    """Bytes of a file that are no whole frame; ``torn`` if they are its end, as a killed writer leaves it."""

    offset: int
    bytes: int
    torn: bool


@dataclass(frozen=True)
class Scan:
    """What a stretch of a file holds: whole frames by offset, the damage, and where the next frame begins."""

    frames: list[tuple[int, bytes]] = field(default_factory=list)
    damage: list[Damage] = field(default_factory=list)
    end: int = 0


def frame(payload: bytes) -> bytes:
    r"""Return ``payload``, which must hold no line's end, as a frame.

    >>> frame(b"{}")
    b'00000002 a3a6bf43 {}\n'
    """
    return b"%08x %08x %b\n" % (len(payload), crc32(payload), payload)


def scan(data: bytes, *, start: int = 0) -> Scan:
    """Return the whole frames of ``data``, which begins at offset ``start`` of its file.

    A frame whose bytes were changed is passed over up to the next line. What
    follows the last line's end is torn: it is reported, and ``end`` is before it,
    so that a writer that is still at it can be read on from there. So is damage at the
    end with zeros in it: room of which a power failure left only later blocks filled.
    """
    found = Scan(end=start)
    at = 0
    while at < len(data):
        length = _whole(data, at)
        if length is not None:
            found.frames.append((start + at, data[at + HEAD_BYTES : at + HEAD_BYTES + length]))
            after = at + HEAD_BYTES + length + 1
            if data[after - 1] != 0x0A:  # the checksum holds, only the line's end was hit
                found.damage.append(Damage(start + after - 1, 1, torn=False))
            at = after
            continue
        newline = data.find(b"\n", at)
        if newline < 0:
            found.damage.append(Damage(start + at, len(data) - at, torn=True))
            return Scan(found.frames, found.damage, start + at)
        is_hole = newline + 1 == len(data) and b"\0" in data[at:]
        found.damage.append(Damage(start + at, newline + 1 - at, torn=is_hole))
        at = newline + 1
    return Scan(found.frames, found.damage, start + at)


def _whole(data: bytes, at: int) -> int | None:
    """Return the length of the payload at ``at`` if its frame is there to the last byte and unchanged."""
    try:
        length, checksum = int(data[at : at + 8], 16), int(data[at + 9 : at + 17], 16)
    except ValueError:
        return None
    end = at + HEAD_BYTES + length
    if length < 0 or end >= len(data):
        return None
    return length if crc32(data[at + HEAD_BYTES : end]) == checksum else None
