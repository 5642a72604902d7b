"""How many readings one server may have: a label that explodes must not take the agent with it."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

from agent.catalogue import Metric
from agent.collectors.exposition import Faults
from agent.snapshot import Reading

MAX_READINGS: Final = 1_000
"""Of one server. vLLM with one model has 30 per engine, those of finishing by reason among them."""


def within_budget(readings: Sequence[Reading], most: int, faults: Faults) -> list[Reading]:
    """Return at most ``most`` readings.

    What is too much goes by whole metrics, the largest first: that is where the label exploded, and a
    metric of which a part is missing would give wrong sums.
    """
    if len(readings) <= most:
        return list(readings)
    sizes = Counter(reading.metric for reading in readings)
    dropped: set[Metric] = set()
    left = len(readings)
    for metric, size in sizes.most_common():
        if left <= most:
            break
        left -= size
        dropped.add(metric)
        faults.add(
            "too_many_series", metric.name, f"{size} series; a server may have {most} in all"
        )
    return [reading for reading in readings if reading.metric not in dropped]
