import asyncio

import pytest

from agent.sampler import Sampler
from agent.snapshot import Batch


class Busy:
    """A collector that answers at once, and says when it was asked."""

    name = "busy"
    interval = 0.01
    deadline = 1.0

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def collect(self) -> Batch:
        """Answer."""
        self.asked.set()
        return Batch(1.0, ())

    async def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize("turns", range(8))
async def test_stopping_is_heard_at_any_turn_of_the_loop(turns: int) -> None:
    """However many turns after an answer the end is asked for, the sampler ends."""
    collector = Busy()
    running = asyncio.create_task(Sampler([collector], interval=0.01).run())

    await collector.asked.wait()
    for _ in range(turns):
        await asyncio.sleep(0)
    running.cancel()
    done, _ = await asyncio.wait({running}, timeout=2)

    assert done == {running}
