"""Puts together what is computed from the other collectors: who holds which GPU, and kept objectives.

They read the latest snapshot as any presenter does, and give a batch as any collector does.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from agent.attribution.collector import JoinCollector, Known
from agent.collector import Collector
from agent.collectors.scrape import endpoint
from agent.collectors.slo.collector import SloCollector
from agent.config import Config
from agent.discovery.discovery import Discovery as Search
from agent.sampler import Sampler
from agent.slo.objective import Objective
from agent.snapshot import Batch


def derived(config: Config, sampler: Sampler, search: Search | None) -> Iterator[Collector]:
    """Give the collectors that read what ``sampler`` published; ``search`` knows the servers it found."""

    def latest() -> Mapping[str, Batch]:
        return sampler.snapshot.batches if sampler.snapshot else {}

    if config.servers or search or config.gpu_hour_price:
        simulated = config.simulate or config.replay
        yield JoinCollector(
            latest,
            _servers(config, search),
            prices=config.gpu_hour_price,
            proc=None if simulated else Path("/proc"),
        )
    if config.slos:
        yield SloCollector(tuple(_objectives(config)), latest)


def _servers(config: Config, search: Search | None) -> Callable[[], tuple[Known, ...]]:
    """Return what tells the servers now: those that are configured, and those that were found."""
    named = tuple(
        Known(each.name or endpoint(each.url).address, each.url, gpus=each.gpus)
        for each in config.servers
    )
    names = {each.name for each in named}

    def servers() -> tuple[Known, ...]:
        found = search.servers if search else ()
        others = (each for each in found if each.name not in names)
        return (*named, *(Known(each.name, each.url, each.pod, each.pids) for each in others))

    return servers


def _objectives(config: Config) -> Iterator[Objective]:
    for each in config.slos:
        yield Objective(
            name=each.name,
            signal=each.signal,
            target=each.objective,
            window=each.window,
            model=each.model,
            server=each.server or "*",
            threshold=each.threshold,
        )
