"""The collector of the ledger: makes readings and events of what the sources told it.

It is a collector of its own, so that a hung library or an unreadable kernel log silences one source and
neither the counters nor the other source.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent.collectors.xid.telling import Teller
from agent.snapshot import Batch
from agent.xid.ledger import XidLedger

_PATIENCE: Final = 0.25
"""Seconds between two runs while a sighting waits for what another source knows of it."""


class XidCollector:
    """Settles ``ledger`` each ``interval`` seconds and when it hears something.

    ``clock`` gives Unix seconds.
    """

    name = "xid"

    def __init__(
        self,
        ledger: XidLedger,
        *,
        interval: float = 5.0,
        deadline: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.interval = interval
        self.deadline = deadline
        self._ledger = ledger
        self._teller = Teller(ledger)
        self._clock = clock

    async def collect(self) -> Batch:
        """Return all counters and what happened since the last run."""
        return self._teller.batch(self._clock())

    async def news(self) -> None:
        """Return when the ledger has heard something. See `agent.collector.Heralding`."""
        if self._ledger.waits:
            await asyncio.sleep(_PATIENCE)
            return
        heard, loop = asyncio.Event(), asyncio.get_running_loop()

        def tell() -> None:
            with suppress(RuntimeError):  # the agent has ended, and its loop is closed
                loop.call_soon_threadsafe(heard.set)

        self._ledger.on_news(tell)
        await heard.wait()

    async def close(self) -> None:
        """Hear of no more news; the ledger holds no resource."""
        self._ledger.on_news(None)
