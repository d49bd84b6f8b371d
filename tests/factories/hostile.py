"""What nobody should send: values, rows and bodies, fixed and generated."""

import json
import random
from collections.abc import Iterator

VALUES = [
    "null", "true", "false", "0", "-0.0", "-1", "1e308", "-1e308", "1e309", "-1e309", "1e400", "1e-320", "1e-400",
    "3.5e38", "9007199254740993", "18446744073709551616", "9" * 400, "9" * 10_000, "0." + "1" * 10_000, "1E5", "1e+5",
    "NaN", "Infinity", "-Infinity", "nan", "01", "+1", ".5", "5.", "0x10", "1_000", "--1", "1e", "١٢٣",
    '""', '" "', '"12"', '"12 "', '"1e5"', '"NaN"', '"null"', '"true"', '"١٢٣"', '"east"', '"EAST"', '" east"',
    '"east\\u0000"',
    '"\\u0000"', '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83d\\udeec"', '"\\ufeff"', '"\ufeff"', '"\u202eevil"',
    '"e\u0301"',
    '"\\n{\\"entry\\":\\"answered\\"}"', '"00000002 a3a6bf43 {}\\n"', '"=cmd()"', '"<script>alert(1)</script>"',
    '"../../etc/passwd"', "\"'; DROP TABLE rides; --\"", '"%s%n%x"', '"{{7*7}}"', '"${jndi:ldap://x}"',
    '"' + "x" * 255 + '"', '"' + "x" * 257 + '"', '"' + "x" * 1_000_000 + '"', '"' + "\\u00e9" * 10_000 + '"',
    "[]", "[1]", "[null]", "{}", '{"a":1}', '{"a":{"a":1,"a":2}}', "[" * 500 + "]" * 500, "[" * 100_000 + "]" * 100_000,
    "", " ", "'east'", "east", "undefined", "/*c*/1", "1//c", "\x00", "\x1f", "\x7f",
]  # fmt: skip
"""One value as a caller might write it, whether JSON or not."""

NAMES = [
    "distance", "Distance", "DISTANCE", " distance", "distance ", "dist\\u0061nce", "", " ", "\\u0000", "\\ud800",
    "rows",
    "__proto__", "constructor", "prediction_id", "at", "ride_id", "x" * 10_000, "a.b", "a[0]", "$ref", "key",
    "time", "🛬",
]  # fmt: skip

BODIES = [
    b"", b" ", b"null", b"[]", b"{}", b'"row"', b"0", b"{", b"}", b'{"row"', b'{"row":', b'{"row":{}', b'{"row":{}}}',
    b'{"rows":[]}', b'{"rows":[{}]}', b'{"rows":[null]}', b'{"rows":[[]]}', b'{"rows":{}}', b'{"row":[]}',
    b'{"row":{},"rows":[]}',
    b'{"row":{},"row":{}}', b'{"rows":[{}],"x":1}', b"\xff\xfe", b"\xef\xbb\xbf{}", b"\x00" * 1000,
    "{}".encode("utf-16"),
    "{}".encode("utf-32"), b"\x1f\x8b\x08\x00", b"--boundary", b"row=1&rows=2", b"<rows/>", b"rows: [{}]",
    b'{"rows":[' + b"{}," * 9_999 + b"{}]}",
    b'{"rows":[' + b"{}," * 10_000 + b"{}]}", b'{"rows":[' + b"{}," * 1_000_000 + b"{}]}", b"[" * 1_000_000,
    b'{"row":' * 100_000,
    b'{"row":{' + b",".join(b'"c%d":1' % number for number in range(100_000)) + b"}}",
    b'{"row":{' + b",".join([b'"distance":1'] * 100_000) + b"}}", b'{"row":{"distance":' + b" " * 1_000_000 + b"1}}",
]  # fmt: skip


def with_value(row: dict[str, object], column: str, raw: str) -> bytes:
    """Return a request whose row holds ``raw``, as written, in one column."""
    rest = json.dumps({name: value for name, value in row.items() if name != column})
    return f'{{"row":{rest[:-1]},"{column}":{raw}}}}}'.encode(errors="surrogatepass")


def generated(row: dict[str, object], *, seed: int) -> Iterator[bytes]:
    """Yield bodies that were proper once: with odd values and names, rows repeated, bytes flipped, cut and doubled."""
    chance = random.Random(seed)
    short = [value for value in VALUES if len(value) < 20_000]
    while True:
        rows = [json.dumps(row)] * chance.choice([1, 1, 1, 2, 5])
        for number in range(len(rows)):
            for _ in range(chance.choice([0, 1, 1, 2, 4])):
                name = chance.choice([*row, *row, *NAMES])
                rows[number] = rows[number][:-1] + f',"{name}":{chance.choice(short)}}}'
            if chance.random() < 0.3:
                rows[number] = without(rows[number], chance.choice(list(row)))
        body = f'{{"rows":[{",".join(rows)}]}}'.encode(errors="surrogatepass")
        yield mangled(body, chance) if chance.random() < 0.4 else body


def without(row: str, column: str) -> str:
    """Return a row with one column's name changed, so that it is missing and another is unknown."""
    return row.replace(f'"{column}":', f'"{column}_":', 1)


def mangled(body: bytes, chance: random.Random) -> bytes:
    """Return the bytes with one of the things done to them that networks and bad programs do."""
    at, to = sorted(chance.randrange(len(body) + 1) for _ in range(2))
    match chance.randrange(5):
        case 0:
            return body[:at]
        case 1:
            return body[:at] + body[to:]
        case 2:
            return body[:to] + body[at:]
        case 3:
            return body[:at] + chance.randbytes(chance.randrange(1, 8)) + body[at:]
    flipped = bytearray(body)
    for _ in range(chance.randrange(1, 6)):
        flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
    return bytes(flipped)
