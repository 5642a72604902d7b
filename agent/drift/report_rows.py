"""The rows of one side of a report: at most so many of a file, each as likely to be chosen as any other.

They are read as those of a reference are (`agent.drift.row_files`): what is a number, a word or missing there
is the same here, or the same rows would drift from themselves.
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from agent.drift.report_job import Side, UnusableInputError
from agent.drift.row_files import RowFileError, read_rows
from agent.drift.rows import ROW_ID

Columns = Mapping[str, Sequence[object]]
_MOST_CELLS: Final = 5_000_000
"""Of a side, some 160 MB: of rows with very many columns fewer are kept."""


def read(name: str, side: Side, most: int, notes: list[str]) -> Columns:
    """Return a side's rows; of more than ``most`` a uniform sample (Vitter 1985), each time the same.

    ``notes`` are told of that, and of columns that are no features. Raises `UnusableInputError`.
    """
    left_out: list[str] = []
    sample = None
    try:
        for columns in read_rows(Path(side.file), left_out.append):
            sample = sample or _Sample(min(most, max(1, _MOST_CELLS // max(1, len(columns)))))
            sample.add({key: values for key, values in columns.items() if key != ROW_ID})
    except RowFileError as error:
        raise UnusableInputError(str(error)) from error
    if sample is None or not sample.size:
        raise UnusableInputError(f"{side.file}: there are no rows in it")
    if sample.seen > sample.size:
        limit = sample.size
        why = "" if limit == most else f", for {len(sample.columns)} columns"
        notes.append(
            f"{limit} of {sample.seen} {name} rows, chosen at random: the limit is {limit}{why}"
        )
    if left_out:
        notes.append(f"no features of the {name} rows: {', '.join(dict.fromkeys(left_out))}")
    return sample.columns


class _Sample:
    """Rows by column: ``size`` of the ``seen`` ones."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._chance = random.Random(0)  # noqa: S311 - a sample, not a secret
        self.columns: dict[str, list[object]] = {}
        self.seen = self.size = 0

    def add(self, batch: Columns) -> None:
        chosen: dict[int, int] = {}
        for place in range(max(map(len, batch.values()), default=0)):
            slot = self.seen if self.seen < self._most else self._chance.randrange(self.seen + 1)
            self.seen += 1
            if slot < self._most:
                chosen[slot] = place
        self.size = min(self.seen, self._most)
        for key in dict.fromkeys((*self.columns, *batch)):
            kept, values = self.columns.setdefault(key, []), batch.get(key)
            kept += [None] * (self.size - len(kept))
            for slot, place in chosen.items():
                kept[slot] = None if values is None else values[place]
