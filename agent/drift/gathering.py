"""Gathers rows into batches: they come one by one, and counting is cheap only in batches.

They wait for less than a second or a thousand rows, and nothing else of a payload is kept.
"""

from typing import Final

from agent.drift.rows import Rows

BATCH: Final = 1_024
"""Rows that are counted at once: beyond it, a value gets no cheaper."""
MOST_CELLS: Final = 1_000_000
"""Rows by columns of a model that wait at most: rows that each have other columns are counted sooner."""
_MOST_KINDS: Final = 8
"""Batches of a model side by side."""

_Key = tuple[str, str]


class _Batch:
    """Rows of one version of a model that are not counted yet."""

    def __init__(self) -> None:
        self.columns: dict[str, list[object]] = {}
        self.size = 0

    def add(self, rows: Rows) -> None:
        size = rows.size
        for name, values in rows.columns.items():
            column = self.columns.setdefault(name, [])
            column += [None] * (self.size - len(column))
            column += values
        self.size += size

    @property
    def cells(self) -> int:
        return self.size * max(1, len(self.columns))

    def take(self, key: _Key, *, whole: bool) -> Rows:
        for column in self.columns.values():
            column.extend([None] * (self.size - len(column)))
        return Rows(*key, self.columns, 0.0, whole, self.size if whole else 0)


class Gathering:
    """Rows of all models that wait to be counted; the time of what it gives back is for others to tell.

    Whole rows are one batch: what one of them lacks is missing. Others are a batch for each set of columns,
    for what only one side tells is not missing in the other one.
    """

    def __init__(self) -> None:
        self._waiting: dict[_Key, dict[frozenset[str] | None, _Batch]] = {}

    def add(self, rows: Rows) -> list[Rows]:
        """Take in rows; return the batches that are full now."""
        key = rows.model, rows.model_version
        kind = None if rows.whole else frozenset(rows.columns)
        kinds = self._waiting.setdefault(key, {})
        full = []
        if kind not in kinds and len(kinds) >= _MOST_KINDS:
            full = self._take(key, kinds)
        batch = kinds.setdefault(kind, _Batch())
        batch.add(rows)
        if sum(each.cells for each in kinds.values()) >= MOST_CELLS:
            return full + self._take(key, kinds)
        if batch.size >= BATCH:
            full.append(kinds.pop(kind).take(key, whole=rows.whole))
        return full

    def take(self, key: _Key) -> list[Rows]:
        """Return all that waits of a version of a model, whole rows first."""
        return self._take(key, self._waiting.pop(key, {}))

    def _take(self, key: _Key, kinds: dict[frozenset[str] | None, _Batch]) -> list[Rows]:
        taken = [batch.take(key, whole=kind is None) for kind, batch in kinds.items()]
        kinds.clear()
        return [rows for rows in sorted(taken, key=lambda rows: not rows.whole) if rows.size]
