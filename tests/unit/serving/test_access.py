"""Keys open what their roles say, and nothing is learned from how they are refused."""

from pathlib import Path

import pytest

from factories.serving import key_file
from nightshift.errors import SettingsError
from nightshift.serving.access import Access, Pace, Role, add_key, is_loopback, new_key
from nightshift.serving.answers import RefusalError


def status(access: Access, authorization: bytes | None, role: Role) -> int:
    try:
        access.check({} if authorization is None else {b"authorization": authorization}, role)
    except RefusalError as refusal:
        return refusal.status
    return 200


def test_without_keys_everybody_may_do_everything() -> None:
    assert [status(Access(), None, role) for role in Role] == [200, 200, 200]


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"127.0.0.1:8000", 200),
        (b"localhost", 200),
        (b"LocalHost:8000", 200),
        (b"[::1]:8000", 200),
        (b"127.0.0.2", 200),
        (b"evil.example", 421),
        (b"evil.example:8000", 421),
        (b"127.0.0.1.evil.example", 421),
        (b"10.0.0.1:8000", 421),
        (b"\xff\x00", 421),
    ],
)
def test_without_keys_only_who_calls_this_machine_by_its_own_name_is_let_in(host: bytes, expected: int) -> None:
    """A web page's own name may lead here too, and its visitors' browsers would ask for it."""
    try:
        Access().check({b"host": host}, Role.ADMIN)
        found = 200
    except RefusalError as refusal:
        found = refusal.status

    assert found == expected


def test_with_a_key_it_may_go_by_any_name(tmp_path: Path) -> None:
    path, secret = key_file(tmp_path, Role.READ)

    caller = Access.read(path).check({b"host": b"models.example", b"authorization": b"Bearer " + secret}, Role.READ)

    assert Role.READ in caller.roles


def test_one_of_several_roles_is_enough(tmp_path: Path) -> None:
    path, secret = key_file(tmp_path, Role.PREDICT)
    access, headers = Access.read(path), {b"authorization": b"Bearer " + secret}

    assert access.check(headers, *Role).roles == {Role.PREDICT}
    with pytest.raises(RefusalError, match="it takes the role read or admin"):
        access.check(headers, Role.READ, Role.ADMIN)


@pytest.mark.parametrize(
    ("roles", "opens"),
    [
        ((Role.PREDICT,), {Role.PREDICT}),
        ((Role.READ,), {Role.READ}),
        ((Role.ADMIN,), set(Role)),
        ((Role.PREDICT, Role.READ), {Role.PREDICT, Role.READ}),
    ],
)
def test_a_key_opens_its_roles_and_an_admin_all(tmp_path: Path, roles: tuple[Role, ...], opens: set[Role]) -> None:
    path, secret = key_file(tmp_path, *roles)
    access = Access.read(path)

    answers = {role: status(access, b"Bearer " + secret, role) for role in Role}

    assert answers == {role: 200 if role in opens else 403 for role in Role}


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer wrong",
        b"Basic {secret}",
        b"{secret}",
        b"Bearer {secret}x",
        b"\xff\x00",
        b"Bearer " + b"x" * 100_000,
    ],
)
def test_what_is_no_known_key_is_not_let_in(tmp_path: Path, authorization: bytes | None) -> None:
    path, secret = key_file(tmp_path, Role.ADMIN)
    given = authorization.replace(b"{secret}", secret) if authorization else authorization

    assert status(Access.read(path), given, Role.READ) == 401


def test_the_word_bearer_may_be_written_in_any_case(tmp_path: Path) -> None:
    path, secret = key_file(tmp_path, Role.READ)

    assert status(Access.read(path), b"bearer " + secret, Role.READ) == 200


def test_the_file_does_not_hold_the_key_itself(tmp_path: Path) -> None:
    path, secret = key_file(tmp_path, Role.READ)

    assert secret not in path.read_bytes()


def test_a_caller_who_comes_too_often_is_told_when_to_come_again(tmp_path: Path) -> None:
    path, secret = key_file(tmp_path, Role.PREDICT, per_second=0.5)
    access = Access.read(path)
    headers = {b"authorization": b"Bearer " + secret}
    access.check(headers, Role.PREDICT)

    with pytest.raises(RefusalError, match=r"may come 0\.5 times a second") as refused:
        access.check(headers, Role.PREDICT)

    assert refused.value.status == 429
    assert refused.value.headers[b"retry-after"] == b"2"


def test_a_pace_fills_up_with_time_and_no_further_than_its_burst() -> None:
    pace = Pace(per_second=10, at=0.0)

    at_once = sum(pace.wait(0.0) == 0 for _ in range(100))
    later = sum(pace.wait(0.5) == 0 for _ in range(100))
    much_later = sum(pace.wait(1000.0) == 0 for _ in range(100))

    assert (at_once, later, much_later) == (20, 5, 20)


@pytest.mark.parametrize(
    ("line", "says"),
    [("alice predict", "is no key"), ("alice predict xyz", "is no key"), (f"alice fly {'0' * 64}", "'fly' is no role")],
)
def test_a_line_that_is_no_key_is_named_with_its_number(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "keys"
    path.write_text(f"# keys\n\n{line}\n")

    with pytest.raises(SettingsError, match=f"keys:3: .*{says}"):
        Access.read(path)


def test_a_file_without_a_key_is_refused_rather_than_open_to_all(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("# nobody yet\n")

    with pytest.raises(SettingsError, match="holds no key"):
        Access.read(path)
    with pytest.raises(SettingsError, match="cannot be read"):
        Access.read(tmp_path / "absent")


def test_keys_are_added_to_a_file_that_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "state" / "keys"
    (first, line), (second, other) = new_key("ada", Role.ADMIN), new_key("shop", Role.PREDICT, per_second=0.5)
    add_key(path, line)
    path.write_text(path.read_text().rstrip())  # as editors leave it
    add_key(path, other)

    access = Access.read(path)

    found = [access._find(f"Bearer {secret}".encode()) for secret in (first, second)]
    assert [(one.name, one.pace.per_second if one.pace else None) for one in found if one] == [
        ("ada", None),
        ("shop", 0.5),
    ]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(("name", "role", "says"), [("a b", "read", "letters, digits"), ("a", "root", "known are")])
def test_a_key_that_nobody_could_use_is_not_made(name: str, role: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        new_key(name, role)


def test_no_two_keys_are_the_same() -> None:
    assert len({new_key("a", Role.READ)[0] for _ in range(50)}) == 50


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "example.org", "127.0.0.1.example.org", "", "localhost "]
)
def test_only_this_machines_loopback_needs_no_keys(host: str) -> None:
    assert not is_loopback(host)
