"""The same request gets the same answer, also while the first one is under way."""

import asyncio

import pytest

from nightshift.serving.retries import BESIDE, Retries

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_second_try_gets_the_first_ones_answer() -> None:
    retries = Retries()
    assert await retries.find("a") is None
    retries.end("a", b"answer")

    assert await retries.find("a") == b"answer"


async def test_a_try_that_comes_meanwhile_waits_for_the_first() -> None:
    retries = Retries()
    await retries.find("a")
    second = asyncio.create_task(retries.find("a"))
    await asyncio.sleep(0)

    waited = not second.done()
    retries.end("a", b"answer")

    assert waited
    assert await second == b"answer"


async def test_after_a_try_without_an_answer_exactly_one_of_the_waiting_is_the_first_again() -> None:
    retries = Retries()
    await retries.find("a")
    waiting = [asyncio.create_task(retries.find("a")) for _ in range(3)]
    await asyncio.sleep(0)

    retries.end("a", None)
    done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    retries.end("a", b"answer")
    others = await asyncio.gather(*pending)

    assert [task.result() for task in done] == [None]
    assert others == [b"answer", b"answer"]


async def test_a_try_that_stops_waiting_stops_nobody_else() -> None:
    retries = Retries()
    await retries.find("a")
    leaves, stays = (asyncio.create_task(retries.find("a")) for _ in range(2))
    await asyncio.sleep(0)

    leaves.cancel()
    await asyncio.sleep(0)
    retries.end("a", b"answer")

    assert await stays == b"answer"


async def test_memory_is_bounded_and_the_oldest_goes_first() -> None:
    retries = Retries(bytes_max=2 * (5 + BESIDE))
    for name in "abc":
        await retries.find(name)
        retries.end(name, b"12345")

    assert await retries.find("c") == b"12345"
    assert await retries.find("b") == b"12345"
    assert await retries.find("a") is None


async def test_an_answer_larger_than_the_memory_is_not_kept() -> None:
    retries = Retries(bytes_max=3 + BESIDE)
    await retries.find("a")
    retries.end("a", b"1234")

    assert await retries.find("a") is None
