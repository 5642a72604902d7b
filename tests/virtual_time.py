"""An event loop whose clock jumps: tests of cadence and deadlines take no time and cannot be late."""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")

EPOCH = 1_700_000_000.0
"""The Unix time at which virtual time begins."""


class _JumpingSelector(selectors.DefaultSelector):
    """Where there is nothing to read now, jumps ahead to when the loop wants to be woken."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            return super().select(10)
        self.now += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Time passes only while every task waits for it."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return seconds since the loop began, as the tasks live them."""
        return self._jumping.now


def unix_now() -> float:
    """Return the Unix time of the running loop: the clock to inject."""
    return EPOCH + asyncio.get_running_loop().time()


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a loop of its own whose time jumps; a minute of virtual time is the limit.

    No task of the test may outlive it.
    """

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        async def alone() -> None:
            async with asyncio.timeout(60):
                await test(*args, **kwargs)
            leaked = asyncio.all_tasks() - {asyncio.current_task()}
            assert not leaked, f"tasks outlive the test: {leaked}"

        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(alone())

    return run
