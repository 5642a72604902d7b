"""A source of snapshots that a test drives by hand."""

import asyncio

from agent.snapshot import Snapshot


class Handed:
    """Gives out the snapshots that it is handed; `exporters.status.board.Source`."""

    def __init__(self, snapshot: Snapshot | None = None) -> None:
        self.snapshot = snapshot
        self.idle_seconds = 0.0
        self._news = asyncio.Event()

    def hand(self, snapshot: Snapshot) -> None:
        """Publish a snapshot."""
        self.snapshot = snapshot
        self._news.set()
        self._news = asyncio.Event()

    async def next(self, after: int) -> Snapshot:
        """Wait for one newer than number ``after``."""
        while self.snapshot is None or self.snapshot.sequence <= after:
            await self._news.wait()
        return self.snapshot
