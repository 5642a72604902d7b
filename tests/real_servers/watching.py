"""What a `ServingCollector` tells of a real server, put so that a test can hold it to what was sent."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from agent.catalogue import Metric
from agent.catalogue.serving import SERVER_UP
from agent.collectors.serving.collector import ServingCollector
from agent.snapshot import Batch, Distribution, Reading

NAME: Final = "watched"


class Watcher:
    """Scrapes one server as the agent does: it is told a URL, and finds out itself what is there."""

    def __init__(self, url: str) -> None:
        self._collector = ServingCollector(url, name=NAME, timeout=4.0)
        self.happened: Counter[str] = Counter()
        """Events so far, by kind."""

    async def look(self) -> Batch:
        """Scrape once."""
        batch = await self._collector.collect()
        self.happened.update(event.kind.name for event in batch.events)
        return batch

    async def close(self) -> None:
        """Close the connection."""
        await self._collector.close()


def readings(batch: Batch, metric: Metric, **wanted: str) -> list[Reading]:
    """Return the readings of a metric whose attributes, by the end of their keys, have these values."""
    keys = [attribute.label for attribute in metric.attributes]
    return [
        reading
        for reading in batch.readings
        if reading.metric is metric
        and all(
            dict(zip(keys, reading.attributes, strict=True))[_key(keys, name)] == value
            for name, value in wanted.items()
        )
    ]


def total(batch: Batch, metric: Metric, **wanted: str) -> float | None:
    """Return the sum of a counter's or gauge's readings; None where there is none."""
    found = [each.value for each in readings(batch, metric, **wanted)]
    numbers = [each for each in found if not isinstance(each, Distribution)]
    assert len(numbers) == len(found)
    return sum(numbers) if numbers else None


def observed(batch: Batch, metric: Metric, **wanted: str) -> tuple[int, float]:
    """Return count and sum of a histogram's readings."""
    found = [each.value for each in readings(batch, metric, **wanted)]
    distributions = [each for each in found if isinstance(each, Distribution)]
    assert len(distributions) == len(found)
    return sum(each.observations for each in distributions), sum(each.sum for each in distributions)


def is_up(batch: Batch) -> bool:
    """Tell what the agent says of the server."""
    (reading,) = readings(batch, SERVER_UP)
    return reading.value == 1


def provider(batch: Batch) -> str:
    """Return what kind of server the agent took it for."""
    (reading,) = readings(batch, SERVER_UP)
    return reading.attributes[1]


def increase(seen: Sequence[float | None]) -> float:
    """Return how much a counter grew as Prometheus reckons it: where it falls, it began again at 0."""
    known = [each for each in seen if each is not None]
    return sum(after - before if after >= before else after for before, after in pairwise(known))


def _key(keys: list[str], name: str) -> str:
    (key,) = [each for each in keys if each.endswith(name)]
    return key
