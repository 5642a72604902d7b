"""From single values to a record: the same fields second after second, put where they were put before."""

from collections.abc import Mapping, Sequence
from typing import Any

from agent.collectors.nvml.driver import Condition, FieldProblem, Sample
from agent.collectors.nvml.probes import Key

_CONDITION = Sample._fields.index("condition")
_PROBLEMS = Sample._fields.index("problems")


class Record:
    """Where values with the keys of ``values`` belong in a `Sample`.

    A mapping whose entries stay is the same object in the next sample.
    """

    __slots__ = ("_empty", "_entries", "_keys", "_numbers")

    def __init__(self, values: Mapping[Key, Any]) -> None:
        self._keys = list(values)
        self._empty: list[Any] = list(Sample())
        self._numbers: list[tuple[int, str]] = []
        self._entries: dict[int, _Entries] = {}
        for key in self._keys:
            position = Sample._fields.index(key if isinstance(key, str) else key[0])
            if isinstance(key, str):
                self._numbers.append((position, key))
            else:
                self._entries.setdefault(position, _Entries()).keys.append(key)

    def fits(self, values: Mapping[Key, Any]) -> bool:
        """Whether ``values`` has the same keys, in the same order."""
        return list(values) == self._keys

    def sample(
        self,
        values: Mapping[Key, Any],
        condition: Condition | None,
        problems: Sequence[FieldProblem],
    ) -> Sample:
        """Return the sample that holds ``values``, which must fit."""
        fields = self._empty.copy()
        for position, key in self._numbers:
            fields[position] = values[key]
        for position, entries in self._entries.items():
            fields[position] = entries.of(values)
        fields[_CONDITION], fields[_PROBLEMS] = condition, tuple(problems)
        return Sample._make(fields)


class _Entries:
    """The entries of one mapping."""

    __slots__ = ("_last", "_mapping", "keys")

    def __init__(self) -> None:
        self.keys: list[tuple[str, Any]] = []
        self._last: list[Any] | None = None
        self._mapping: dict[Any, Any] = {}

    def of(self, values: Mapping[Key, Any]) -> Mapping[Any, Any]:
        """Return the mapping of those of ``values`` that belong to it."""
        found = [values[key] for key in self.keys]
        if found != self._last:
            self._last = found
            self._mapping = {key[1]: value for key, value in zip(self.keys, found, strict=True)}
        return self._mapping


def gathered(values: Mapping[Key, Any]) -> dict[str, Any]:
    """Return the fields of a record, the entries of a mapping gathered under its name."""
    record: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(key, str):
            record[key] = value
        else:
            record.setdefault(key[0], {})[key[1]] = value
    return record
