"""Who may do what: bearer keys with roles, stored as digests, and a pace for each.

A file of keys has one line for each, and lines that begin with ``#``::

    <name> <role>[,<role>…] <sha256 of the key> [<requests a second>]
"""

import hashlib
import hmac
import ipaddress
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Self

from nightshift.errors import SettingsError
from nightshift.serving.answers import Headers, RefusalError

LINE = re.compile(r"(?P<name>[\w.@-]{1,64})\s+(?P<roles>[a-z,]+)\s+(?P<digest>[0-9a-f]{64})(\s+(?P<pace>\d+(\.\d+)?))?")
BURST_SECONDS = 2.0
"""So many seconds' worth of requests may come at once."""


class Role(StrEnum):
    """What a key opens: predictions; metrics; all. Models and the API's description are open to each of them."""

    PREDICT = "predict"
    READ = "read"
    ADMIN = "admin"


@dataclass
class Pace:
    """How many requests a second may come; ``left`` may come at once."""

    per_second: float
    left: float = field(init=False)
    at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.left = self._most

    def wait(self, now: float) -> float:
        """Take one request; return 0, or the seconds until there is room for it."""
        self.left = min(self._most, self.left + (now - self.at) * self.per_second)
        self.at = now
        if self.left < 1:
            return (1 - self.left) / self.per_second
        self.left -= 1
        return 0.0

    @property
    def _most(self) -> float:
        return max(1.0, self.per_second * BURST_SECONDS)


@dataclass(frozen=True)
class Key:
    """One caller: a name for logs, what it may do, and the digest of its secret."""

    name: str
    roles: frozenset[Role]
    digest: bytes
    pace: Pace | None = None


ANYBODY = Key("anybody", frozenset(Role), b"")


class Access:
    """Lets callers in by their keys.

    Without any key everybody is let in who calls this machine by a name of its own (it listens on loopback only then,
    see ``serve``): a web page may let its own name lead here, and its visitors' browsers would ask for it.
    """

    def __init__(self, keys: tuple[Key, ...] = ()) -> None:
        self.keys = keys

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the keys in a file.

        Raises
        ------
        SettingsError
            If it cannot be read, holds no key, or a line is none.
        """
        try:
            lines = path.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"NIGHTSHIFT_SERVING_KEYS is {path}, which cannot be read: {error}") from None
        keys = [_key(line, f"{path}:{number}") for number, line in enumerate(lines, start=1) if _says_something(line)]
        if not keys:
            raise SettingsError(f"{path} holds no key; make one: nightshift key NAME --role predict --file {path}")
        return cls(tuple(keys))

    def check(self, headers: Headers, *roles: Role) -> Key:
        """Return the caller, if its key opens one of ``roles``.

        Every key is compared, each in constant time, so that nothing can be
        learned from how long it takes.

        Raises
        ------
        RefusalError
            401 without a known key, 403 if it may not, 421 if it means another machine, 429 if it comes too often.
        """
        if not self.keys:
            _check_is_meant(headers.get(b"host"))
            return ANYBODY
        caller = self._find(headers.get(b"authorization"))
        if caller is None:
            raise RefusalError(
                401, "send a known key as Authorization: Bearer …", headers={b"www-authenticate": b"Bearer"}
            )
        if not caller.roles & {*roles, Role.ADMIN}:
            raise RefusalError(403, f"the key {caller.name} may not do this; it takes the role {' or '.join(roles)}")
        seconds = caller.pace.wait(time.monotonic()) if caller.pace else 0.0
        if caller.pace and seconds:
            retry = str(int(seconds) + 1).encode()
            often = f"the key {caller.name} comes too often; it may come {caller.pace.per_second:g} times a second"
            raise RefusalError(429, often, headers={b"retry-after": retry})
        return caller

    def _find(self, authorization: bytes | None) -> Key | None:
        kind, _, secret = (authorization or b"").partition(b" ")
        digest = hashlib.sha256(secret.strip()).digest()
        found = [key for key in self.keys if hmac.compare_digest(key.digest, digest)]
        return found[0] if found and kind.lower() == b"bearer" else None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach ``host``; a name that is not ``localhost`` is not believed.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0"), is_loopback("localhost.example.org")
    (True, True, False, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@lru_cache(maxsize=64)
def _check_is_meant(host: bytes | None) -> None:
    name = re.sub(r":\d*$", "", (host or b"localhost").decode("latin-1")).strip("[]").lower()
    if not is_loopback(name):
        raise RefusalError(
            421,
            f"this server goes by 127.0.0.1 or localhost, not by {name[:80]!r}; to be reached otherwise it takes keys",
        )


def new_key(name: str, *roles: str, per_second: float | None = None) -> tuple[str, str]:
    """Return a fresh secret, and the line for the file of keys, from which it cannot be read.

    Raises
    ------
    SettingsError
        If the name or a role cannot be.

    >>> secret, line = new_key("replay", Role.PREDICT)
    >>> len(secret), line.split()[:2]
    (43, ['replay', 'predict'])
    """
    secret = secrets.token_urlsafe(32)
    digest = hashlib.sha256(secret.encode()).hexdigest()
    line = f"{name} {','.join(roles)} {digest}" + (f" {per_second:f}".rstrip("0").rstrip(".") if per_second else "")
    _key(line, repr(name))
    return secret, line


def add_key(file: Path, line: str) -> None:
    """Add a line to a file of keys, which nobody but its owner can read if it is new.

    Raises
    ------
    SettingsError
        If it cannot be written.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with os.fdopen(os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "r+b") as keys:
            whole = keys.read()
            keys.write((b"" if not whole or whole.endswith(b"\n") else b"\n") + line.encode() + b"\n")
    except OSError as error:
        raise SettingsError(f"{file} cannot be written: {error.strerror or error}") from None


def _key(line: str, where: str) -> Key:
    match = LINE.fullmatch(line.strip())
    if not match:
        form = "name role[,role] sha256-of-the-key [requests a second], the name of letters, digits and . _ @ -"
        raise SettingsError(f"{where}: is no key; expected: {form}")
    unknown = sorted(set(match["roles"].split(",")) - set(Role))
    if unknown:
        raise SettingsError(f"{where}: {unknown[0]!r} is no role; known are {', '.join(Role)}")
    pace = Pace(float(match["pace"])) if match["pace"] and float(match["pace"]) > 0 else None
    return Key(match["name"], frozenset(map(Role, match["roles"].split(","))), bytes.fromhex(match["digest"]), pace)


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")
