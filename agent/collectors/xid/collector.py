"""The collector of the ledger: makes readings and events of what the sources told it.

It is a collector of its own, so that a hung library or an unreadable kernel log silences one source and
neither the counters nor the other source.
"""

import time
from collections.abc import Callable
from typing import Final

from agent.collectors.xid.telling import readings, tell
from agent.snapshot import Batch, Problem, Reading
from agent.xid.account import News, title
from agent.xid.ledger import XidLedger

_REFUSED_TOLD: Final = 20
"""Refused sightings that a run reports one by one."""


class XidCollector:
    """Settles ``ledger`` each ``interval`` seconds; ``clock`` gives Unix seconds."""

    name = "xid"

    def __init__(
        self,
        ledger: XidLedger,
        *,
        interval: float = 0.25,
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


class Teller:
    """Makes a batch of what a ledger has; keeps its readings as long as nothing happens."""

    def __init__(self, ledger: XidLedger) -> None:
        self._ledger = ledger
        self._shape = (-1, -1)
        self._readings: tuple[Reading, ...] = ()

    def batch(self, now: float) -> Batch:
        """Settle the ledger at ``now`` (Unix seconds)."""
        news = self._ledger.settle(now)
        account = self._ledger.account
        shape = account.changes, len(account.xids)
        if shape != self._shape:
            self._shape, self._readings = shape, tuple(readings(account))
        return Batch(now, self._readings, _problems(news), tell(news.errors, news.bursts))


def _problems(news: News) -> tuple[Problem, ...]:
    refused = [
        Problem("xid_refused", one.hw_id or one.pci, f"{title(one)} from the {one.source} log")
        for one in news.refused[:_REFUSED_TOLD]
    ]
    if news.lost:
        refused.append(
            Problem("xid_overflow", "", f"{news.lost} errors came too fast to be counted")
        )
    return tuple(refused)
