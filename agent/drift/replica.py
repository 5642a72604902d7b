"""What one process has seen of late, scored by itself: the fleet's sum hides the one that differs.

Prometheus could work it out of the counters, and does for those that come without (`alerts.drift_replicas`);
for a fleet that is a series for each bin of each process, read several times over, where here it is two
subtractions of arrays that lie in memory.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from agent.catalogue.drift import FEWEST_OF_REPLICA, SMOOTHING
from agent.drift.counting import FeatureCounter

Array = np.ndarray[Any, np.dtype[Any]]

SPANS: Final = {"1h": (3_600.0, 12), "1d": (86_400.0, 24)}
"""Of each window the seconds, and into how many parts they are kept: a window is up to one part longer."""


class ReplicaWindows:
    """The counts of one model's features over the last hour and the last day, or since the start."""

    def __init__(self, counters: Sequence[FeatureCounter]) -> None:
        self._counters = counters
        sizes = [len(each.reference.counts) for each in counters]
        self._starts = np.cumsum([0, *sizes[:-1]])
        self._sizes = np.array(sizes)
        self._reference = np.array(
            [share for each in counters for share in each.reference.proportions]
        )
        self._windows = {
            window: _Window(span, span / parts, sum(sizes))
            for window, (span, parts) in SPANS.items()
        }

    def scores(self, now: float) -> Iterator[tuple[str, str, float]]:
        """Return feature, window and PSI against the reference, where there were values enough.

        ``now`` is in seconds of a clock that never jumps.
        """
        counts = np.concatenate([each.counts for each in self._counters])
        for window, seen in self._windows.items():
            recent = seen.of(counts, now)
            samples = np.add.reduceat(recent, self._starts)
            enough = np.flatnonzero(samples >= FEWEST_OF_REPLICA)
            if len(enough):
                scores = self._psi(recent, samples)
                for place in enough.tolist():
                    yield self._counters[place].reference.name, window, float(scores[place])

    def _psi(self, counts: Array, samples: Array) -> Array:
        """Return the population stability index of each feature, as the recording rules have it."""
        whole = np.repeat(samples + SMOOTHING * self._sizes, self._sizes)
        share = (counts + SMOOTHING) / whole
        terms = (share - self._reference) * np.log(share / self._reference)
        scores: Array = np.add.reduceat(terms, self._starts)
        return scores


class _Window:
    """How much counts grew within a span: what they were is kept for the end of each part of it."""

    def __init__(self, span: float, part: float, size: int) -> None:
        self._span = span
        self._part = part
        self._before: deque[tuple[float, Array]] = deque()
        self._size = size

    def of(self, counts: Array, now: float) -> Array:
        """Return the growth over the span, which is up to a part longer, or shorter at the start."""
        if not self._before:
            self._before.append((now, np.zeros(self._size, dtype=np.int64)))
        elif now - self._before[-1][0] >= self._part:
            self._before.append((now, counts))
        while len(self._before) > 1 and now - self._before[1][0] >= self._span:
            self._before.popleft()
        return counts - self._before[0][1]
