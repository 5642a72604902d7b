"""How many series all servers may have together: a label that explodes must not take the agent with it.

The budget is the node's, not a server's. What the small ones leave is divided among those that want more
(max-min fairness), so a server is only ever cut while it has more than an equal part: never because of what
another one does.
"""

from collections import Counter
from collections.abc import Sequence
from operator import attrgetter
from typing import Final

from agent.catalogue import Metric
from agent.collectors.exposition import Faults
from agent.snapshot import Reading

MAX_READINGS: Final = 1_000
"""Series of up to `SERVERS` servers together; a histogram is one. Of up to twice as many servers, twice."""
SERVERS: Final = 16
_TYPICAL: Final = 50
"""Series that a server is taken to want until it has answered; vLLM with one engine has 33."""

_WANTED: Final = attrgetter("wanted")


class SeriesBudget:
    """What the servers of a node may have together.

    ``most`` is for each `SERVERS` servers, or part of that number. Where a server grows, those that had
    used what it left give way with their next scrapes: until then there can be more.
    """

    def __init__(self, most: int = MAX_READINGS) -> None:
        self.most = most
        self._shares: set[Share] = set()

    def join(self) -> "Share":
        """Return the part of one server more, which will `leave`."""
        share = Share(self)
        self._shares.add(share)
        return share

    @property
    def total(self) -> int:
        """How many series all of the servers may have."""
        return self.most * -(-len(self._shares) // SERVERS)

    def offer(self, share: "Share") -> int:
        """Return how many series a server may have: its part, or what the others have no use for.

        None for one that left.
        """
        if share not in self._shares:
            return 0
        if sum(map(_WANTED, self._shares)) <= self.total:
            return share.wanted
        level = self._level()
        others = sum(each.claim(level) for each in self._shares if each is not share)
        return min(share.wanted, max(level, self.total - others))

    def leave(self, share: "Share") -> None:
        """Let the others have what a server had. Safe to call twice."""
        self._shares.discard(share)

    def _level(self) -> int:
        """Return the most that one server may have: all wishes below it are met."""
        left = self.total
        wishes = sorted(share.wanted for share in self._shares)
        for number, wish in enumerate(wishes):
            level = left // (len(wishes) - number)
            if wish > level:
                return level
            left -= wish
        return self.total


class Share:
    """One server's part of the budget: what it last wanted, was offered and had, in series."""

    def __init__(self, budget: SeriesBudget) -> None:
        self._budget = budget
        self.wanted = self._offered = self._had = _TYPICAL

    def claim(self, level: int) -> int:
        """Return what the others must leave: of whole metrics it can have less than it was offered."""
        part = min(self.wanted, level)
        return self._had if self._offered >= part else part

    def within(self, readings: Sequence[Reading], own: int, faults: Faults) -> list[Reading]:
        """Return what of the readings fits, beside the ``own`` ones that every server has."""
        self.wanted = len(readings) + own
        self._offered = self._budget.offer(self)
        kept = within_budget(readings, max(0, self._offered - own), faults, self._budget.most)
        self._had = len(kept) + own
        return kept

    def leave(self) -> None:
        """Give the part up. Safe to call twice."""
        self._budget.leave(self)


def within_budget(
    readings: Sequence[Reading], most: int, faults: Faults, together: int = MAX_READINGS
) -> list[Reading]:
    """Return at most ``most`` readings. ``together`` is what each `SERVERS` servers have, for the advice.

    What is too much goes by whole metrics, the largest first: that is where the label exploded, and a
    metric of which a part is missing would give wrong sums. Of equally large ones the last goes first:
    profiles begin with what matters most.
    """
    if len(readings) <= most:
        return list(readings)
    sizes = Counter(reading.metric for reading in readings)
    ranks = {metric: rank for rank, metric in enumerate(sizes)}
    dropped: set[Metric] = set()
    left = len(readings)
    for metric in sorted(sizes, key=lambda each: (sizes[each], ranks[each]), reverse=True):
        if left <= most:
            break
        left -= sizes[metric]
        dropped.add(metric)
        detail = _advice(sizes[metric], len(readings), most, together)
        faults.add("too_many_series", metric.name, detail)
    return [reading for reading in readings if reading.metric not in dropped]


def _advice(size: int, all_of_them: int, most: int, together: int) -> str:
    return (
        f"left out: {size} of the {all_of_them} series that the server would have, and it may have {most} "
        f"(all servers together {together:,} per {SERVERS}); give it fewer models or values of labels, or "
        "raise server_series"
    )
