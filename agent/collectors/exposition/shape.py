"""The fastest path: a page whose lines are those of the page before, but for the values.

Most pages are. Then nothing is looked up: all lines are held against the known ones at once, and the values
stand where they stood. Whatever is unusual, be it one character of one value, is left to the parser, which
reads line by line and comes to the same.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import getitem, itemgetter
from sys import intern
from typing import Final, cast

from agent.collectors.exposition.line import start_of
from agent.collectors.exposition.page import Page, Samples

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_NUMBERS: Final = re.compile(r"[-+.0-9a-zA-Z]*")
"""What numbers are written with. Python takes more for one: ``1_000``, blanks around it."""
_LONGEST: Final = 2**16
"""Characters of all values together: with more, a line may be too long to be believed."""
_LARGEST: Final = 2**20
"""Characters of a page of which the shape is kept: that takes as much memory again."""
_REST: Final = 12
"""Pages until a shape is learned again after one that no page had a second time."""

_cut: Final = cast("Callable[[str, slice], str]", getitem)
_Pick = Callable[[list[str]], Sequence[str]]


class Shape:
    """What a page is apart from its values."""

    def __init__(self, page: Page, lines: Sequence[str], starts: dict[int, str]) -> None:
        """Take in a page without faults: its lines, and by position what those of samples begin with.

        The first of them are those of the wanted samples, name by name.
        """
        self._page = page
        self._length = len(lines)
        self._others = _picker(tuple(at for at in range(len(lines)) if at not in starts))
        self._said = self._others(
            [line if at in starts else intern(line) for at, line in enumerate(lines)]
        )
        self._picked = _picker(tuple(starts))
        self._starts = [*starts.values()]
        wanted = sum(map(len, page.samples.values()))
        self._cuts = [_beyond(len(start)) for start in self._starts[:wanted]]
        self.fitted = False
        """Whether any other page had it."""

    def read(self, text: str) -> Page | None:
        """Return a page of this shape; `None` where it has another one, or an unusual value."""
        lines = text.split("\n")
        if len(lines) != self._length or self._others(lines) != self._said:
            return None
        picked = self._picked(lines)
        if not all(map(str.startswith, picked, self._starts)):
            return None
        texts = list(map(_cut, picked, self._cuts))
        together = "".join(texts)
        if len(together) > _LONGEST or not _NUMBERS.fullmatch(together):
            return None
        try:
            values = tuple(map(float, texts))
        except ValueError:
            return None
        self.fitted = True
        self._page = self._with(values)
        return self._page

    def _with(self, values: tuple[float, ...]) -> Page:
        """Return the last page with other values; where none of a name moved, they are the same object."""
        samples: dict[str, Samples] = {}
        first = 0
        for name, known in self._page.samples.items():
            last = first + len(known.values)
            moved = values[first:last]
            samples[name] = known if moved == known.values else Samples(known.series, moved)
            first = last
        return Page(samples, self._page.types)


class Repetition:
    """Learns the shape of pages where that pays: where one page is as long as the one before."""

    def __init__(self) -> None:
        self._shape: Shape | None = None
        self._lines = -1
        self._rest = 0

    def read(self, text: str) -> Page | None:
        """Return what a page says whose shape is known; `None` for any other."""
        if self._shape is None or len(text) > _LARGEST:
            return None
        return self._shape.read(text)

    def forget(self) -> None:
        """Forget the shape: other samples are wanted."""
        self._shape = None

    def learn(self, text: str, page: Page) -> None:
        """Take in a page that had another shape, as it was read line by line."""
        if self._shape is not None:
            self._rest = 0 if self._shape.fitted else _REST
            self._shape = None
        lines = text.count("\n")
        alike, self._lines = lines == self._lines, lines
        if self._rest:
            self._rest -= 1
        elif alike and len(text) <= _LARGEST:
            self._shape = shape_of(text, page)
            self._rest = _REST if self._shape is None else 0


def shape_of(text: str, page: Page) -> Shape | None:
    """Return the shape of a page; `None` where it has a fault, or a line written in an unusual way."""
    if page.malformed or page.crowded or page.overfull:
        return None
    lines = text.split("\n")
    wanted: dict[str, dict[int, str]] = {name: {} for name in page.samples}
    unwanted: dict[int, str] = {}
    for position, line in enumerate(lines):
        if not line or line.startswith("#"):
            continue
        name = _NAME.match(line)
        if name is None:
            return None
        found = wanted.get(name.group())
        start = line[: name.end() + 1] if found is None else start_of(line)
        if not start.endswith(("{", " ")):
            return None
        (unwanted if found is None else found)[position] = intern(start)
    if any(len(wanted[name]) != len(samples) for name, samples in page.samples.items()):
        return None
    starts = {at: start for found in wanted.values() for at, start in found.items()}
    return Shape(page, lines, starts | unwanted)


@lru_cache(maxsize=16)
def _picker(positions: tuple[int, ...]) -> _Pick:
    """Return what picks these positions out of a list; one for all servers that write the same lines."""
    if len(positions) > 1:
        return itemgetter(*positions)
    return itemgetter(slice(positions[0], positions[0] + 1) if positions else slice(0))


@lru_cache(maxsize=1024)
def _beyond(length: int) -> slice:
    return slice(length, None)
