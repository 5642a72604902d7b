"""A server's collector that tells its pod as well, so that both come and go in the same snapshot."""

from dataclasses import replace

from agent.catalogue.discovery import SERVER_POD
from agent.collector import Collector
from agent.discovery.target import PodIdentity
from agent.snapshot import Batch, Reading


def pod_reading(server: str, pod: PodIdentity) -> Reading:
    """Return what says which pod a server is."""
    return Reading(SERVER_POD, (server, pod.namespace, pod.name, pod.container), 1)


class Situated:
    """Runs ``collector``, of the server named ``server``, and adds its pod to each batch."""

    def __init__(self, collector: Collector, server: str, pod: PodIdentity) -> None:
        self.name = collector.name
        self.interval = collector.interval
        self.deadline = collector.deadline
        self._collector = collector
        self._own = pod_reading(server, pod)

    async def collect(self) -> Batch:
        """Collect, and add the pod."""
        batch = await self._collector.collect()
        return replace(batch, readings=(*batch.readings, self._own))

    async def close(self) -> None:
        """Close the server's collector."""
        await self._collector.close()
