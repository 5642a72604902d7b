"""Keeps what the status page needs between two visits, and makes views of it when somebody asks.

Between visits it costs one look at the followed series every three seconds (a tenth of a millisecond for
eight GPUs and two servers); views and HTML are made only on request, once per snapshot for all watchers,
and what makes them is imported with the first one.
"""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Protocol

from agent.snapshot import Snapshot
from exporters.status.history import History

if TYPE_CHECKING:
    from exporters.status.model import NodeView


class Source(Protocol):
    """Where snapshots come from: `agent.sampler.Sampler`, or anything that looks like it."""

    @property
    def snapshot(self) -> Snapshot | None:
        """The latest; `None` until the first."""

    @property
    def idle_seconds(self) -> float:
        """How long ago the loop that makes them last turned."""

    async def next(self, after: int) -> Snapshot:
        """Wait for one newer than number ``after`` and return the latest."""
        ...


class Board:
    """Views of a node's snapshots. ``clock`` gives Unix seconds."""

    def __init__(
        self, source: Source, node: str, cluster: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._source = source
        self._node = node
        self._cluster = cluster
        self._clock = clock
        self._history = History()
        self._parts: dict[str, str] = {}
        self._sequence = 0

    async def follow(self) -> None:
        """Feed the history until cancelled."""
        after = 0
        while True:
            snapshot = await self._source.next(after)
            self._history.feed(snapshot)
            after = snapshot.sequence

    def age(self, snapshot: Snapshot) -> float:
        """Return how old a snapshot is, seconds."""
        return max(0.0, self._clock() - snapshot.taken_at)

    def view(self, snapshot: Snapshot) -> "NodeView":
        """Return the view of a snapshot, with its age now."""
        from exporters.status.node import node_view  # noqa: PLC0415 - with the first visit

        return node_view(
            snapshot,
            self._history,
            node=self._node,
            cluster=self._cluster,
            now=self._clock(),
        )

    def json(self, snapshot: Snapshot) -> str:
        """Return the view as JSON."""
        return json.dumps(asdict(self.view(snapshot)), allow_nan=False)

    async def document(self, snapshot: Snapshot) -> str:
        """Return the whole page."""
        from exporters.status import page  # noqa: PLC0415 - with the first visit

        await _prepare()
        return page.render(self.view(snapshot))

    async def parts(self, snapshot: Snapshot) -> dict[str, str]:
        """Return the parts of the page that change, made once per snapshot."""
        from exporters.status import page  # noqa: PLC0415 - with the first visit

        await _prepare()
        if snapshot.sequence != self._sequence:
            self._parts = page.fragments(self.view(snapshot))
            self._sequence = snapshot.sequence
        return self._parts


async def _prepare() -> None:
    """Compile the templates beside the loop: it takes 0.2 s at the first visit, and nothing later."""
    from exporters.status import page  # noqa: PLC0415 - with the first visit

    if not page.is_prepared():
        await asyncio.to_thread(page.prepare)
