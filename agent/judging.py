"""What is believed of one collector: its newest batch, vetted, folded, and since when its counts count.

Collectors mostly say what they said a second ago. So each step looks at what moved alone, and is told by one
object, the keys of the series, whether they are still the same ones.
"""

from collections.abc import Mapping
from dataclasses import replace

from agent.cumulative import Starts
from agent.folding import Folding
from agent.snapshot import Batch, SeriesKey
from agent.vetting import Vetting


class Judging:
    """Takes in the batches of one collector; ``folding`` is the memory of its window."""

    def __init__(self, folding: Folding) -> None:
        self._folding = folding
        self._vetting = Vetting()
        self._starts = Starts()
        self._sources: tuple[frozenset[SeriesKey], frozenset[SeriesKey]] | None = None
        self.batch: Batch | None = None
        """As collected, less what was refused; `None` while there are no values."""
        self.folded: Batch | None = None
        """As exported; `batch` itself where there is nothing to fold."""
        self.keys: frozenset[SeriesKey] = frozenset()
        """Of all series in `folded`, which are those in `batch` and more. The same object as long as
        these are the same, in the same order."""

    @property
    def starts(self) -> Mapping[SeriesKey, float]:
        """Since when each cumulative series counts, Unix seconds; the same object until one starts."""
        return self._starts.starts

    def take(self, batch: Batch) -> Batch:
        """Take in a batch; return it without what cannot be true, and with the problems of that."""
        believed, keys = self._vetting.vet(batch)
        moved = self._vetting.moved
        self.batch, self.folded = believed, self._folding.fold(believed, keys, moved)
        sources = keys, self._folding.keys
        if self._sources is None or any(map(_differ, sources, self._sources)):
            self._sources, self.keys = sources, keys | self._folding.keys
        if moved is not None:
            moved += range(len(believed.readings), len(self.folded.readings))
        self._starts.follow(self.folded, self.keys, moved)
        return believed

    def repeats(self, batch: Batch) -> bool:
        """Take in a batch that says what the last one said, if it does, without another look at it.

        A collector that looks twice a second for what comes twice a year hands out the same readings.
        """
        last = self.batch
        if last is None or self.folded is not last or batch.readings is not last.readings:
            return False
        if batch.events or batch.problems or batch.trains:
            return False
        self.batch = self.folded = replace(last, taken_at=batch.taken_at)
        return True

    def drop(self) -> None:
        """Have no values: an old one that looks fresh is worse than none. Counts go on later."""
        self.batch, self.folded = None, None
        self._sources, self.keys = None, frozenset()
        self._folding.lapse()


def _differ(one: object, other: object) -> bool:
    return one is not other
