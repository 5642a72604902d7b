"""One daemon thread for one blocking library.

A driver call that hangs cannot be cancelled, and a thread pool would make the interpreter wait for it at
exit. So each blocking library lives in one thread of its own, which alone touches it, from opening to
closing; the event loop waits for answers and can go on without one.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs calls one after the other in its own daemon thread, which starts with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None
        self._closed = False

    async def call(self, function: Callable[[], T]) -> T:
        """Run ``function`` in the thread and return what it returns, or raise what it raises.

        Cancelling the wait does not stop the call: the thread stays busy until it comes back.
        """
        if self._closed:
            raise RuntimeError(f"worker {self._name} is closed")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._calls.put((answer, function))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return await answer

    def close(self) -> None:
        """Let the thread end after the calls that wait. Does not wait for it."""
        self._closed = True
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            answer, function = call
            if answer.cancelled():
                continue
            try:
                settle = partial(_give, answer, function())
            except BaseException as error:  # noqa: BLE001 - carried to the caller, whatever it is
                settle = partial(_fail, answer, error)
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                answer.get_loop().call_soon_threadsafe(settle)
            del call, answer, function, settle  # an idle thread holds no answer


def _give(answer: asyncio.Future[T], result: T) -> None:
    if not answer.done():
        answer.set_result(result)


def _fail(answer: asyncio.Future[Any], error: BaseException) -> None:
    if not answer.done():
        answer.set_exception(error)
