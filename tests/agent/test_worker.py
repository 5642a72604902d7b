"""The worker's promises: one thread, calls in order, a hung call harms nobody."""

import asyncio
import subprocess
import sys
import threading

import pytest

from agent.worker import Worker


async def test_calls_run_in_one_daemon_thread() -> None:
    """Every call runs in the same thread, which is not the loop's and does not hold up the exit."""
    worker = Worker("driver")

    threads = [await worker.call(threading.current_thread) for _ in range(3)]

    assert len(set(threads)) == 1
    assert threads[0] is not threading.current_thread()
    assert threads[0].daemon
    assert threads[0].name == "driver"
    worker.close()


async def test_results_and_errors_come_back() -> None:
    """The caller gets what the function returns, or the very error that it raises."""
    worker = Worker("driver")
    error = OSError("bus error")

    def fail() -> None:
        raise error

    assert await worker.call(lambda: 42) == 42
    with pytest.raises(OSError, match="bus error") as caught:
        await worker.call(fail)
    assert caught.value is error
    assert await worker.call(lambda: 43) == 43
    worker.close()


async def test_the_loop_goes_on_while_a_call_hangs() -> None:
    """A call that blocks its thread leaves the loop free, and calls that wait run in order afterwards."""
    worker, door, order = Worker("driver"), threading.Event(), list[int]()

    def hang() -> None:
        door.wait(10)
        order.append(1)

    hung = asyncio.ensure_future(worker.call(hang))
    waiting = asyncio.ensure_future(worker.call(lambda: order.append(2)))

    for _ in range(100):
        await asyncio.sleep(0)
    pending = not hung.done() and not waiting.done()
    door.set()
    await asyncio.gather(hung, waiting)

    assert pending
    assert order == [1, 2]
    worker.close()


async def test_a_cancelled_wait_does_not_break_the_thread() -> None:
    """Who stops waiting leaves the thread busy; the next call waits for it and is answered."""
    worker, door, entered = Worker("driver"), threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        door.wait(10)

    hung = asyncio.ensure_future(worker.call(hang))
    await asyncio.to_thread(entered.wait, 10)

    hung.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hung
    door.set()

    assert await worker.call(lambda: "alive") == "alive"
    worker.close()


async def test_a_call_cancelled_before_its_turn_never_runs() -> None:
    """A call that nobody waits for any more is left out."""
    worker, door, ran = Worker("driver"), threading.Event(), list[str]()
    first = asyncio.ensure_future(worker.call(lambda: door.wait(10)))
    second = asyncio.ensure_future(worker.call(lambda: ran.append("second")))
    await asyncio.sleep(0)

    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    door.set()
    await first
    await worker.call(lambda: ran.append("third"))

    assert ran == ["third"]
    worker.close()


async def test_close_ends_the_thread_after_the_calls_that_wait() -> None:
    """Closing lets the thread finish its queue and end; it can be closed twice, and takes no more calls."""
    worker = Worker("driver")
    thread = await worker.call(threading.current_thread)
    last = asyncio.ensure_future(worker.call(lambda: "last"))
    await asyncio.sleep(0)

    worker.close()
    worker.close()
    answer = await last
    await asyncio.to_thread(thread.join, 10)

    assert answer == "last"
    assert not thread.is_alive()
    with pytest.raises(RuntimeError, match="worker driver is closed"):
        await worker.call(lambda: None)


def test_closing_an_unused_worker_starts_no_thread() -> None:
    """A worker that was never used has no thread to end."""
    before = threading.active_count()

    Worker("driver").close()

    assert threading.active_count() == before


def test_a_hung_call_does_not_hold_up_the_exit() -> None:
    """The interpreter ends although a driver call never comes back."""
    program = """
import asyncio, threading
from agent.worker import Worker
async def main():
    entered = threading.Event()
    call = asyncio.ensure_future(Worker("driver").call(lambda: (entered.set(), threading.Event().wait())))
    await asyncio.to_thread(entered.wait)
    call.cancel()
asyncio.run(main())
print("ended")
"""

    done = subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )

    assert done.stdout == "ended\n"
