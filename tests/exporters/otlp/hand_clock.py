"""A clock that moves when the test says so, beside receivers that answer in real time."""

import asyncio

from exporters.otlp.clock import Clock


class HandClock:
    """Gives a `Clock` whose sleepers wake when `advance` reaches their time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self.clock = Clock(lambda: 1e9 + self.now, lambda: self.now, self._sleep)

    async def _sleep(self, seconds: float) -> None:
        if seconds > 0:
            woken = asyncio.get_running_loop().create_future()
            self._sleepers.append((self.now + seconds, woken))
            await woken

    async def advance(self, seconds: float) -> None:
        """Let time pass; whoever is woken has run until it waits again, short of the network."""
        await _settle()
        self.now += seconds
        for due, woken in self._sleepers:
            if due <= self.now and not woken.done():
                woken.set_result(None)
        self._sleepers = [each for each in self._sleepers if not each[1].done()]
        await _settle()


async def _settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)
