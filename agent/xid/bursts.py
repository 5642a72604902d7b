"""Groups errors into bursts: one fault makes many XIDs, and should be one fault to people.

A GPU that falls off the bus brings SXIDs of every switch; a halted controller brings 45, 119 and 154. As
NVIDIA's fleet tooling does, a burst on a node ends with three minutes of silence.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from agent.xid.record import Urgency

SILENCE: Final = 180.0
"""Seconds without an error that end a burst (NVIDIA Fleet Intelligence: more than 3 minutes)."""
LONGEST: Final = 3600.0
"""Seconds after which a burst ends all the same: errors without end must be told some time."""
_KINDS: Final = 64
"""Different errors of which a burst keeps a count of their own."""

Label = tuple[str, str]
"""What reported (a GPU's or a switch's id), and the error, such as ``XID 79``."""


@dataclass(slots=True)
class Burst:
    """Errors on this node with no silence between them. Times are Unix seconds."""

    began: float
    last: float
    urgency: Urgency
    errors: int = 0
    kinds: Counter[Label] = field(default_factory=Counter)
    more: int = 0
    """Errors of kinds beyond those that it keeps apart."""

    def take(self, time: float, label: Label) -> int:
        """Take in an error; return how many of its kind this burst has, 0 where it does not know."""
        self.last = max(self.last, time)
        self.errors += 1
        if label not in self.kinds and len(self.kinds) >= _KINDS:
            self.more += 1
            return 0
        self.kinds[label] += 1
        return self.kinds[label]

    def over(self, now: float) -> bool:
        """Whether it is over at ``now``."""
        return now - self.last > SILENCE or now - self.began > LONGEST


class Bursts:
    """The burst that goes on, and how many reached each urgency.

    A burst counts as soon as it begins, so that a page need not wait for its end; one that gets worse
    counts again at the urgency that it reaches.
    """

    def __init__(self) -> None:
        self.current: Burst | None = None
        self.counts: dict[Urgency, int] = dict.fromkeys(Urgency, 0)

    def end(self, now: float) -> Burst | None:
        """Return the burst that is over at ``now``, once."""
        burst = self.current
        if burst is None or not burst.over(now):
            return None
        self.current = None
        return burst

    def take(self, time: float, label: Label, urgency: Urgency) -> int:
        """Take in an error that comes before any silence; return how many of its kind there were."""
        burst = self.current
        if burst is None:
            burst = self.current = Burst(time, time, urgency)
            self.counts[urgency] += 1
        elif urgency > burst.urgency:
            burst.urgency = urgency
            self.counts[urgency] += 1
        return burst.take(time, label)
