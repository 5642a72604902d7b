"""What moved from one batch to the next: most of a node says the same second after second.

Collectors hand out the same `Reading` as long as a value stays, so that what did not move is found by
comparing objects and not what is in them: some 20 ns a reading, and nothing of the reading is touched.
"""

from collections.abc import Sequence
from itertools import compress
from operator import is_not

from agent.snapshot import Reading


def moves(readings: Sequence[Reading], last: Sequence[Reading]) -> list[int] | None:
    """Return the positions at which ``readings`` are other objects than the ``last`` ones.

    `None` where they are not of the same series in the same order: then there is nothing to compare.
    """
    if readings is last:
        return []
    if len(readings) != len(last):
        return None
    moved = list(compress(range(len(readings)), map(is_not, readings, last)))
    for position in moved:
        metric, attributes, _ = readings[position]
        known, of, _ = last[position]
        if metric is not known or (attributes is not of and attributes != of):
            return None
    return moved
