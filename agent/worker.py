"""One daemon thread for one blocking library.

A driver call that hangs cannot be cancelled, and a thread pool would make the interpreter wait for it at
exit. So each blocking library lives in one thread of its own, which alone touches it, from opening to
closing; the event loop waits for answers and can go on without one.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Runs calls one after the other in its own daemon thread, which starts with the first call."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
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
        future: Future[T] = Future()
        self._calls.put((future, function))
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let the thread end after the calls that wait. Does not wait for it."""
        self._closed = True
        self._calls.put(None)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as error:  # noqa: BLE001 - carried to the caller, whatever it is
                future.set_exception(error)
            else:
                future.set_result(result)
