"""Prometheus text as model servers write it, from plain numbers.

The official client keeps one process-wide set of live objects and takes one observation a call; a
simulated server tells a whole second of tokens at once and starts again from zero when the play says so.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client.utils import floatToGoString

Labels = Mapping[str, str]
LabelledValue = tuple[Labels, float]
_number: Final[Callable[[float], str]] = floatToGoString
"""The client's own spelling of numbers, which vLLM uses."""


class Histogram:
    """Observations by upper bound; the bounds are ascending and without infinity."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.sum = 0.0
        self._counts = [0] * (len(bounds) + 1)

    def observe(self, value: float, times: int = 1) -> None:
        """Count ``value``, which came ``times`` times."""
        self._counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    @property
    def count(self) -> int:
        """How many observations there were."""
        return sum(self._counts)

    def cumulative(self) -> list[tuple[str, int]]:
        """Return pairs of a bound, as text, and how many observations were not above it."""
        bounds = [_number(bound) for bound in (*self.bounds, float("inf"))]
        return list(zip(bounds, accumulate(self._counts), strict=True))


class Page:
    """Lines of exposition in the making; ``labels`` stand on every sample."""

    def __init__(self, labels: Labels) -> None:
        self._labels = labels
        self._lines: list[str] = []

    def family(
        self, name: str, kind: str, help_text: str, samples: Iterable[LabelledValue]
    ) -> None:
        """Add a family whose samples bear its own name."""
        self._head(name, kind, help_text)
        for labels, value in samples:
            self._sample(name, {**self._labels, **labels}, value)

    def histograms(
        self, name: str, help_text: str, histograms: Iterable[tuple[Labels, Histogram]]
    ) -> None:
        """Add a family of histograms."""
        self._head(name, "histogram", help_text)
        for own, histogram in histograms:
            labels = {**self._labels, **own}
            for bound, count in histogram.cumulative():
                self._sample(f"{name}_bucket", {**labels, "le": bound}, count)
            self._sum_and_count(name, labels, histogram.sum, histogram.count)

    def summaries(
        self, name: str, help_text: str, summaries: Iterable[tuple[Labels, float, int]]
    ) -> None:
        """Add a family of summaries without quantiles: labels, sum and count of each."""
        self._head(name, "summary", help_text)
        for labels, total, count in summaries:
            self._sum_and_count(name, {**self._labels, **labels}, total, count)

    def text(self) -> str:
        """Return the page."""
        return "\n".join([*self._lines, ""])

    def _head(self, name: str, kind: str, help_text: str) -> None:
        self._lines += (f"# HELP {name} {help_text}", f"# TYPE {name} {kind}")

    def _sum_and_count(self, name: str, labels: Labels, total: float, count: int) -> None:
        self._sample(f"{name}_count", labels, count)
        self._sample(f"{name}_sum", labels, total)

    def _sample(self, name: str, labels: Labels, value: float) -> None:
        inside = ",".join(f'{key}="{text}"' for key, text in sorted(labels.items()))
        braces = f"{{{inside}}}" if inside else ""
        self._lines.append(f"{name}{braces} {self._number(value)}")

    def _number(self, value: float) -> str:
        return _number(value)


class IntegerPage(Page):
    """A page on which whole numbers have no decimal point."""

    def _number(self, value: float) -> str:
        return str(value)
