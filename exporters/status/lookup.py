"""Finds values in a snapshot by metric and attributes, whichever collector they came from."""

from collections.abc import Iterator, Mapping

from agent.catalogue import Metric
from agent.snapshot import Distribution, Snapshot
from exporters.status.history import History, Point


class Lookup:
    """An index over one snapshot, with the history of its series beside it."""

    def __init__(self, snapshot: Snapshot, history: History) -> None:
        self._history = history
        self._snapshot = snapshot
        self._points: dict[str, dict[tuple[str, ...], Point]] = {}
        for batch in snapshot.latest.values():
            for metric, attributes, value in batch.readings:
                self._points.setdefault(metric.name, {})[attributes] = batch.taken_at, value

    def rows(self, metric: Metric) -> Mapping[tuple[str, ...], Point]:
        """Return time and value of each series of a metric, by its attributes."""
        return self._points.get(metric.name, {})

    def point(self, metric: Metric, *attributes: str) -> Point | None:
        """Return time and value of one series."""
        return self.rows(metric).get(attributes)

    def number(self, metric: Metric, *attributes: str) -> float | None:
        """Return one number; `None` where there is none."""
        point = self.point(metric, *attributes)
        return None if point is None or isinstance(point[1], Distribution) else point[1]

    def numbers(
        self, metric: Metric, *beginning: str
    ) -> Iterator[tuple[tuple[str, ...], tuple[float, float]]]:
        """Return attributes, time and value of the series whose attributes begin like this."""
        for attributes, (taken_at, value) in self.rows(metric).items():
            fits = attributes[: len(beginning)] == beginning
            if fits and not isinstance(value, Distribution):
                yield attributes, (taken_at, value)

    def history(self, metric: Metric, *attributes: str) -> tuple[Point, ...]:
        """Return what is kept of a series; nothing where it is not there now."""
        if self.point(metric, *attributes) is None:
            return ()
        return self._history.points((metric.name, attributes))

    def started_at(self, metric: Metric, *attributes: str) -> float:
        """Return since when a cumulative series counts; 0 where that is not known."""
        return self._snapshot.starts.get((metric, attributes), 0.0)
