"""How the tests of the probe send one probe and read what came of it."""

from agent.catalogue import Metric
from agent.collectors.probe import Plan, ProbeCollector
from agent.collectors.scrape import Connections
from agent.snapshot import Batch, Distribution


class Watch:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


async def probed(plan: Plan, times: int = 1) -> Batch:
    """Send so many probes, one after the other, and return what is told then."""
    connections = Connections()
    connections.join()
    collector = ProbeCollector(plan, server="chat", connections=connections, jitter=lambda: 1.0)
    try:
        for _ in range(times):
            await collector.probe()
        return await collector.collect()
    finally:
        await collector.close()
        await connections.leave()


def value(batch: Batch, metric: Metric, *more: str) -> float | Distribution | None:
    """Return the one value of ``metric`` with these attributes beyond server and kind; None if absent."""
    found = [
        reading.value
        for reading in batch.readings
        if reading.metric is metric and reading.attributes[2:] == more
    ]
    assert len(found) <= 1
    return found[0] if found else None


def failure(batch: Batch) -> str:
    """Return the reason of the one failure that there was."""
    (problem,) = batch.problems
    return problem.reason
