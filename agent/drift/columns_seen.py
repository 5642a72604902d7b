"""Which columns of a file became no feature of a reference, and why: what is not looked at is said."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from agent.drift.column import finite
from agent.drift.reference import Reference
from agent.drift.rows import OWN

_USABLE: Final = ""
_EMPTY: Final = "no value in it could be compared with"
_VECTORS: Final = "it has vectors; declare it an embedding, or set `drift.embeddings`"
_TAKEN: Final = "another column has the name of what is made of it"
_UNNAMED: Final = "it has no name"
_MOST_NAMED: Final = 20


class ColumnsSeen:
    """The columns of a file, batch by batch. What a row has besides features is none of them."""

    def __init__(self) -> None:
        self._kinds: dict[str, str] = {}

    def add(self, columns: Mapping[str, Sequence[object]]) -> None:
        """Note what the columns of a batch hold."""
        for name, values in columns.items():
            if name not in OWN and self._kinds.get(name) != _USABLE:
                kind = _kind(values)
                if kind != _EMPTY or name not in self._kinds:
                    self._kinds[name] = kind

    def told(self, reference: Reference) -> Iterator[str]:
        """Yield in words, by reason, what is not in the reference; of very many, the first ones."""
        found: dict[str, list[str]] = {}
        for name, kind in self._kinds.items():
            if not reference.knows(name):
                why = (kind or _TAKEN) if name else _UNNAMED
                found.setdefault(why, []).append(repr(name))
        for why, names in found.items():
            more = len(names) - _MOST_NAMED
            rest = f" and {more} others" if more > 0 else ""
            yield f"left out: {', '.join(names[:_MOST_NAMED])}{rest}: {why}"


def _kind(values: Sequence[object]) -> str:
    if any(isinstance(value, str | bool) or finite(value) is not None for value in values):
        return _USABLE
    return _VECTORS if any(isinstance(value, list) for value in values) else _EMPTY
