"""The collector of the ledger: makes readings and events of what the sources told it.

It is a collector of its own, so that a hung library or an unreadable kernel log silences one source and
neither the counters nor the other source.
"""

import time
from collections.abc import Callable

from agent.collectors.xid.telling import Teller
from agent.snapshot import Batch
from agent.xid.ledger import XidLedger


class XidCollector:
    """Settles ``ledger`` each ``interval`` seconds; ``clock`` gives Unix seconds."""

    name = "xid"

    def __init__(
        self,
        ledger: XidLedger,
        *,
        interval: float = 0.5,
        deadline: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.interval = interval
        self.deadline = deadline
        self._teller = Teller(ledger)
        self._clock = clock

    async def collect(self) -> Batch:
        """Return all counters and what happened since the last run."""
        return self._teller.batch(self._clock())

    async def close(self) -> None:
        """Do nothing: the ledger holds no resource."""
