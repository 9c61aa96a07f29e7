"""A read that hangs costs one thread, and nobody but those who wait for it."""

import asyncio
import gc
import threading

import pytest

from runners.os_support.shared_read import SharedRead

LIMIT_S = 60.0


class Disk:
    """Something that is read, and hangs while the test wants it."""

    def __init__(self) -> None:
        self.reads = 0
        self.answers = threading.Event()

    def read(self) -> int:
        """How often it was read."""
        self.reads += 1
        assert self.answers.wait(LIMIT_S)
        if self.reads == 2:
            raise OSError("a bad sector")
        return self.reads


async def test_a_read_that_hangs_is_begun_once_and_who_gives_up_leaves_it_to_others() -> None:
    disk = Disk()
    read = SharedRead(disk.read)
    before = set(threading.enumerate())
    for _ in range(20):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(read(), 0.005)
    assert (disk.reads, len(set(threading.enumerate()) - before)) == (1, 1)
    waiting = asyncio.create_task(read())
    disk.answers.set()
    assert await asyncio.wait_for(waiting, LIMIT_S) == 1


async def test_each_read_is_anew_and_its_error_goes_to_all_who_wait() -> None:
    disk = Disk()
    disk.answers.set()
    read = SharedRead(disk.read)
    assert await read() == 1
    both = await asyncio.gather(read(), read(), return_exceptions=True)
    assert [str(error) for error in both] == ["a bad sector"] * 2
    assert await read() == 3


async def test_a_read_that_no_thread_can_be_had_for_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    disk = Disk()
    disk.answers.set()
    read = SharedRead(disk.read)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            await asyncio.wait_for(read(), LIMIT_S)
    assert await asyncio.wait_for(read(), LIMIT_S) == 1


async def test_an_error_that_nobody_waits_for_any_more_is_no_news() -> None:
    loud: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: loud.append(context))
    disk = Disk()
    disk.reads = 1  # the next one fails
    read = SharedRead(disk.read)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(read(), 0.005)
    disk.answers.set()
    async with asyncio.timeout(LIMIT_S):
        while read._under_way is not None:  # noqa: ASYNC110 - what changes has no event for tests
            await asyncio.sleep(0.001)
    gc.collect()
    assert loud == []


def test_a_read_that_hangs_does_not_outlive_its_loop_loudly() -> None:
    disk = Disk()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(SharedRead(disk.read)(), 0.005)

    before = set(threading.enumerate())
    asyncio.run(give_up())
    (thread,) = set(threading.enumerate()) - before
    assert thread.name == "shared-read"
    disk.answers.set()
    thread.join(LIMIT_S)
    assert not thread.is_alive()
