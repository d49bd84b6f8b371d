from importlib.metadata import version
from pathlib import Path

import pytest

from nightshift.errors import ReturnToSenderError
from nightshift.lineage.environment import Environment, read_environment, read_pins


def a_lock(folder: Path, *lines: str) -> Path:
    path = folder / "requirements.txt"
    path.write_text("\n".join(["# made by a tool", *lines, ""]))
    return path


def test_packages_as_the_lock_says_are_no_difference(tmp_path: Path) -> None:
    lock = a_lock(tmp_path, f"Typing.Extensions=={version('typing_extensions')}", f"pytest=={version('pytest')}")

    environment = read_environment(lock)

    assert environment.differences == ()
    assert environment.problems() == []


def test_every_differing_package_is_named_with_both_versions(tmp_path: Path) -> None:
    lock = a_lock(tmp_path, "pytest==0.1", "no-such-package-at-all==2.0", f"pydantic=={version('pydantic')}")

    environment = read_environment(lock)

    assert environment.differences == (
        "no-such-package-at-all is missing, the lock says 2.0",
        f"pytest {version('pytest')}, the lock says 0.1",
    )
    (problem,) = environment.problems()
    assert "2 packages" in problem


def test_hashes_comments_extras_options_and_markers_are_understood(tmp_path: Path) -> None:
    lock = a_lock(
        tmp_path,
        "--index-url https://example.org/simple",
        "dvc[s3,ssh]==3.1 \\",
        "    --hash=sha256:0123 \\",
        "    --hash=sha256:4567",
        "    # via -r requirements.in",
        'nothing-here==1.0 ; sys_platform == "no such platform"',
        'here==2.0 ; python_version >= "3"  # via dvc',
    )

    assert read_pins(lock) == {"dvc": "3.1", "here": "2.0"}


def test_another_lock_is_another_environment(tmp_path: Path) -> None:
    pin = f"pytest=={version('pytest')}"
    first = read_environment(a_lock(tmp_path, pin)).lock_digest

    second = read_environment(a_lock(tmp_path, pin, f"pydantic=={version('pydantic')}")).lock_digest

    assert first != second


@pytest.mark.parametrize(
    ("lines", "message"), [((), "pins no package"), (("pytest>=1",), "pins no package"), (("?",), "no requirement")]
)
def test_a_lock_that_says_nothing_is_refused(tmp_path: Path, lines: tuple[str, ...], message: str) -> None:
    with pytest.raises(ReturnToSenderError, match=message):
        read_environment(a_lock(tmp_path, *lines))


def test_a_missing_lock_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReturnToSenderError, match="there is no lock"):
        read_environment(tmp_path / "requirements.txt")


def test_a_record_comes_back_from_json_as_it_was(tmp_path: Path) -> None:
    environment = read_environment(a_lock(tmp_path, "pytest==0.1"))

    assert Environment.from_json(environment.to_json()) == environment


def test_what_a_later_version_records_besides_is_passed_over() -> None:
    environment = Environment("CPython 3.11.7", "linux-x86_64", "e" * 64, arithmetic="openblas Haswell, NumPy X86_V3")

    assert Environment.from_json({**environment.to_json(), "moon": "full"}) == environment


def test_what_was_recorded_before_arithmetic_was_is_read() -> None:
    told = {"python": "CPython 3.11.7", "platform": "linux-x86_64", "lock_digest": "e" * 64, "differences": []}

    environment = Environment.from_json(told)

    assert (environment.arithmetic, environment.problems()) == ("", [])
