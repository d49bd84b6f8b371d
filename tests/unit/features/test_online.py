"""The online store, on SQLite and on Redis: the same questions, the same answers."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from factories.redis import a_redis
from nightshift.errors import FeatureError, FeaturesUnavailableError
from nightshift.features.online import Asked, Held, Online, RedisOnline, open_online

NOW = 1_000
HELD = st.builds(
    Held,
    st.sampled_from(["AA", "UA"]),
    st.integers(0, 20),
    st.integers(0, 20),
    st.tuples(st.none() | st.floats(allow_nan=False, allow_infinity=False)).map(list),
)
ROWS = st.lists(HELD, max_size=20, unique_by=lambda row: (row.key, row.seen))


@pytest.fixture(scope="module")
def redis_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a Redis server of our own."""
    program = shutil.which("redis-server")
    if program is None:
        missing = "redis-server is not installed (Debian: apt-get install redis-server)"
        pytest.fail(missing) if "NIGHTSHIFT_TEST_REDIS" in os.environ else pytest.skip(missing)
    with a_redis(tmp_path_factory.mktemp("redis"), program=program) as address:
        yield address


@pytest.fixture(params=["sqlite", "redis"])
def online(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Online]:
    """Return an empty store."""
    if request.param == "sqlite":
        store = open_online(f"sqlite:///{tmp_path / 'online.db'}")
    else:
        store = open_online(request.getfixturevalue("redis_address"))
        store._redis.flushdb()  # type: ignore[attr-defined]
    yield store
    store.close()


def newest(rows: list[Held], key: str, moment: int) -> tuple[int, list] | None:
    known = [row for row in rows if row.key == key and row.seen <= moment]
    found = max(known, key=lambda row: row.seen, default=None)
    return (found.since, list(found.values)) if found else None


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=ROWS, later=ROWS, after=st.integers(-1, 20), moment=st.integers(-1, 25))
def test_a_moment_finds_the_newest_row_that_was_known(
    online: Online, first: list[Held], later: list[Held], after: int, moment: int
) -> None:
    stays = [row for row in first if row.seen <= after]
    new = [row for row in later if row.seen > after]
    online.put("history", first, after=-1, until=5)
    online.put("history", new, after=after, until=9)

    answers, untils = online.read([Asked("history", key, moment) for key in ("AA", "UA", "??")])

    assert answers == [newest([*stays, *new], key, moment) for key in ("AA", "UA", "??")]
    assert untils == {"history": 9}


def test_views_do_not_mix(online: Online) -> None:
    online.put("a@1", [Held("AA", 1, 1, [1.5, None])], after=-1, until=1)
    online.put("a@2", [Held("AA", 1, 1, ["x"])], after=-1, until=2)

    answers, untils = online.read([Asked("a@2", "AA", NOW), Asked("a@1", "AA", NOW), Asked("a@3", "AA", NOW)])

    assert answers == [(1, ["x"]), (1, [1.5, None]), None]
    assert untils == {"a@1": 1, "a@2": 2}


def test_a_row_of_the_past_may_be_corrected(online: Online) -> None:
    online.put("planes", [Held("N1", 0, 0, [1999])], after=-1, until=1)

    online.put("planes", [Held("N1", 0, 0, [2001]), Held("N2", 0, 0, [2005])], after=10, until=12)

    assert online.read([Asked("planes", name, NOW) for name in ("N1", "N2")])[0] == [(0, [2001]), (0, [2005])]


def test_a_server_that_is_away_is_told_as_that() -> None:
    online = RedisOnline("redis://127.0.0.1:1/0")

    with pytest.raises(FeaturesUnavailableError, match="did not answer"):
        online.read([])


def test_an_address_of_another_kind_is_refused_without_its_password() -> None:
    with pytest.raises(FeatureError, match="the online store is 'host/db'; give sqlite:///<path> or redis") as refused:
        open_online("postgres://me:secret@host/db")

    assert "secret" not in str(refused.value)
