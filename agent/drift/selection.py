"""What of a model's payloads is looked at, as configured: which fields, what they are, and how many rows.

What is not selected is dropped before it is counted, so it is in no bin, no reference and no sample.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Final

from agent.drift.rows import OWN, ROW_ID, Rows
from agent.drift.schema import Declared

_HASH_BYTES: Final = 6
"""Of a hashed category: 12 hexadecimal digits, so that the categories of one feature do not collide."""
_LONGEST_NUMBER: Final = 10**18


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Rules for the models whose name matches ``model``, where * stands for anything.

    ``include`` and ``exclude`` are patterns of features, all and none by default; the reserved columns are
    always in. ``hashed`` names features whose values are only ever seen as a hash, keyed by ``key``.
    ``declared`` says what features are. ``roles`` says which feature is the prediction, the score, the label.
    ``share`` of the rows are looked at, chosen at random. ``reservoir`` is how many rows are kept in memory
    for a report.
    """

    model: str = "*"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    hashed: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    declared: tuple[Declared, ...] = ()
    share: float = 1.0
    reservoir: int = 0
    key: bytes = b""

    def covers(self, model: str) -> bool:
        """Tell whether it is about this model."""
        return fnmatchcase(model, self.model)

    def apply(self, rows: Rows, chance: random.Random) -> Rows:
        """Return what is looked at of ``rows``."""
        renamed = {feature: role for role, feature in self.roles.items()}
        kept = {
            renamed.get(name, name): values
            for name, values in rows.columns.items()
            if name in renamed or name in OWN or self._wants(name)
        }
        told = {
            name: [self._hash(value) for value in values] if _matches(name, self.hashed) else values
            for name, values in kept.items()
        }
        share = 1.0 if rows.late else self.share  # the rows of labels were chosen when they came
        size = rows.size
        if share < 1:
            chosen = [place for place in range(size) if chance.random() < share]
            told = {name: [values[place] for place in chosen] for name, values in told.items()}
            size = len(chosen)
        return rows._replace(columns=told, blank=size)

    def _wants(self, name: str) -> bool:
        return not _matches(name, self.exclude) and (
            not self.include or _matches(name, self.include)
        )

    def _hash(self, value: object) -> object:
        """Return a value's hash; what is missing stays so, and what is no word or number stays wrong."""
        if value is None or not isinstance(value, str | int | float):
            return value
        if isinstance(value, int) and abs(value) >= _LONGEST_NUMBER:  # its text takes long to write
            return ()
        return blake2b(str(value).encode(), key=self.key[:64], digest_size=_HASH_BYTES).hexdigest()


EVERYTHING: Final = Selection()


def selection_of(model: str, selections: Sequence[Selection]) -> Selection:
    """Return the first selection that is about a model; everything where there is none."""
    return next((each for each in selections if each.covers(model)), EVERYTHING)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


class Reservoir:
    """The rows of one model that are kept for a report: each seen one as likely as any other to be in it."""

    def __init__(self, most: int, chance: random.Random) -> None:
        self._most = most
        self._chance = chance
        self._seen = 0
        self.rows: list[dict[str, object]] = []

    def add(self, rows: Rows) -> None:
        """Take in rows, less their ids, and less what is neither a value nor a vector."""
        columns = {name: values for name, values in rows.columns.items() if name != ROW_ID}
        for place in range(rows.size):
            self._seen += 1
            row = {
                name: _plain(values[place])
                for name, values in columns.items()
                if place < len(values)
            }
            if len(self.rows) < self._most:
                self.rows.append(row)
            elif (chosen := self._chance.randrange(self._seen)) < self._most:
                self.rows[chosen] = row


def _plain(value: object) -> object:
    """Return what a report can use: a single value, or a flat list of them."""
    if isinstance(value, list):
        return value if not any(isinstance(each, list | dict) for each in value) else None
    return value if isinstance(value, str | int | float) else None
