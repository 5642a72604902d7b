"""The contract between a source of data and the sampler."""

from typing import Protocol, runtime_checkable

from agent.snapshot import Batch


class Unavailable(Exception):  # noqa: N818 - a state of the world, not an error
    """The source is not on this machine: no driver, no GPU. Healthy, and said once.

    The message is a sentence for the status page: what is missing, and what to do if it should be there.
    """


class Collector(Protocol):
    """One source. A plain protocol: nothing to inherit, nothing to register.

    ``name`` is unique in the agent and becomes a label. ``interval`` and ``deadline`` are seconds: how
    often to collect, and when a run that has not come back counts as stalled.
    """

    name: str
    interval: float
    deadline: float

    async def collect(self) -> Batch:
        """Return what is true now.

        Raises `Unavailable` where the source is not on this machine. Any other exception means that the
        source is there and failed. What could be read in part is returned, with a problem for the rest.
        Opening is lazy: a source that appears later heals by itself. Never called twice at once.
        """
        ...

    async def close(self) -> None:
        """Release everything. Safe to call twice, and before the first `collect`."""
        ...


@runtime_checkable
class Heralding(Protocol):
    """A collector that knows by itself when it is worth asking before its turn.

    Waking up is what an idle agent costs most: a source that has something to say twice a year is not asked
    twice a second.
    """

    async def news(self) -> None:
        """Return when there is something to collect. Cancelled when the turn comes; never raises else."""
        ...
