"""Sum and extremes of the cells in a trailing window, at the same small cost however long it is."""

from math import inf

Cell = tuple[float, float, float, float, float]
"""What is known of some time: its end (Unix seconds), its weight (seconds), the value times the weight,
and the least and the greatest value. One of no weight has extremes only."""


class Trailing:
    """A queue of two stacks.

    The old stack holds, for each cell, the sums from it to the newest of that stack; the new one is summed
    as it grows, and becomes the old one when that is empty. Nothing is ever subtracted, so no error piles
    up over months, and each cell is touched twice in its life.
    """

    __slots__ = ("_high", "_low", "_new", "_old", "_total", "_weight")

    def __init__(self) -> None:
        self._old: list[Cell] = []
        self._new: list[Cell] = []
        self._weight = self._total = 0.0
        self._low, self._high = inf, -inf

    def add(self, cell: Cell, newest: float, horizon: float) -> tuple[float, float, float]:
        """Take in a cell, drop those that ended at ``horizon`` or before; return mean, least, greatest.

        While no time has been seen the mean is ``newest``. Cells come in the order of their ends.
        """
        old = self._old
        self._new.append(cell)
        _, seconds, much, least, most = cell
        weight = self._weight = self._weight + seconds
        total = self._total = self._total + much
        low, high = self._low, self._high
        if least < low:
            low = self._low = least
        if most > high:
            high = self._high = most
        if (old[-1] if old else self._new[0])[0] <= horizon:
            self._drop(horizon)
            weight, total, low, high = self._weight, self._total, self._low, self._high
        if old:
            _, seconds, much, least, most = old[-1]
            weight += seconds
            total += much
            if least < low:  # noqa: PLR1730 - a call of min or max takes longer
                low = least
            if most > high:  # noqa: PLR1730 - a call of min or max takes longer
                high = most
        if low == high:
            return low, low, low
        mean = total / weight if weight else newest
        if mean < low:  # rounding may carry the mean of equal values past them
            mean = low
        elif mean > high:
            mean = high
        return mean, low, high

    def _drop(self, horizon: float) -> None:
        old = self._old
        while True:
            if not old:
                if not self._new:
                    return
                self._turn()
            if old[-1][0] > horizon:
                return
            old.pop()

    def _turn(self) -> None:
        weight = total = 0.0
        low, high = inf, -inf
        for end, seconds, much, least, most in reversed(self._new):
            weight += seconds
            total += much
            low, high = min(low, least), max(high, most)
            self._old.append((end, weight, total, low, high))
        self._new.clear()
        self._empty_new()

    def _empty_new(self) -> None:
        self._weight = self._total = 0.0
        self._low, self._high = inf, -inf
