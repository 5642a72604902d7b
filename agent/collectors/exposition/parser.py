"""Reads a page: as a whole where it looks like the one before it, else line by line.

A line is cut at its first brace and its last space; what stands between is looked up in what is known
of that name. Measured: some seventieth of the library's time as a whole, a thirtieth line by line
(`tests/bench/parser_bench.py`).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from sys import intern
from typing import Final

from agent.collectors.exposition.line import Line, read
from agent.collectors.exposition.page import CONFLICTING, UNKNOWN, Page, Samples, Series
from agent.collectors.exposition.shape import Repetition

MAX_SERIES_PER_NAME: Final = 10_000
"""Series of one sample name on one page; a name with more is given up, the others survive.

256 data-parallel engines with 22 buckets each have 5,632."""
INLINE_BYTES: Final = 2**20
"""A larger page is better parsed in a thread: it would hold the event loop for more than 10 ms."""
MAX_LINE: Final = 2**16
"""Characters of a line; a longer one is malformed. No server labels a number with a book."""
MAX_EFFORT: Final = 100_000
"""What a page may cost beyond the fast path: 1 for a line that is new, 10 for an unusual one.

That is half a second of CPU. A first page of 16 MiB of vLLM's has some 45,000 new lines."""
MAX_SAMPLES: Final = 200_000
"""Wanted samples of one page, doubles included."""
_UNUSUAL: Final = 10
_SLICE: Final = 2**18
"""Characters that are split into lines at once: the lines of a whole page would double its memory."""
_SLACK: Final = 100
"""Series that may be remembered beyond twice those of the last page."""
_MOST_UNWANTED: Final = 1_000
"""Names and beginnings of ``# HELP`` lines that are passed over at once; vLLM's page has some 150."""
_EXAMPLE_LENGTH: Final = 120
_TYPES: Final = frozenset(
    {"counter", "gauge", "summary", "histogram", "gaugehistogram", "info", "stateset", "unknown"}
)

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")

_Entry = tuple[dict[str, Series], list[Series], list[float]]
"""Of one name: the known series by their labels as they are written, those of the page, their values."""
_UNSEEN: Final[_Entry] = ({}, [], [])


class Parser:
    """Reads the pages of one server, one after the other.

    ``wanted`` are sample names (``x_bucket``, not ``x``). What is remembered from page to page is bounded
    by what the last page held, so labels that change all the time cost time but no memory.
    """

    def __init__(self, wanted: Iterable[str]) -> None:
        self._known: dict[str, dict[str, Series]] = {name: {} for name in wanted}
        self._interned: dict[tuple[str, ...], Series] = {}
        self._unwanted: dict[str, None] = {}
        self._declarations: dict[str, tuple[str, str]] = {}
        self._last_size = 0
        self._types: Mapping[str, str] = {}
        self._repetition = Repetition()

    def want(self, names: Iterable[str]) -> None:
        """Read only these sample names from now on. What is known of those wanted before is kept."""
        self._known = {name: self._known.get(name, {}) for name in names}
        self._unwanted.clear()
        self._repetition.forget()

    def parse(self, text: str) -> Page:
        """Return the wanted part of a page. Never raises: what cannot be read is counted."""
        page = self._repetition.read(text)
        if page is None:
            page = self._read(text)
            self._repetition.learn(text, page)
        return page

    def _read(self, text: str) -> Page:
        self._forget()
        reading = _Reading(self._known, self._interned, self._unwanted, self._declarations)
        reading.run(text)
        page = reading.page(self._types)
        self._types = page.types
        self._last_size = sum(len(samples) for samples in page.samples.values())
        return page

    @property
    def remembered(self) -> int:
        """How many series are remembered."""
        return sum(len(known) for known in self._known.values())

    def _forget(self) -> None:
        bound = 2 * self._last_size + _SLACK
        if self.remembered > bound or len(self._interned) > bound:
            for known in self._known.values():
                known.clear()
            self._interned.clear()
        if len(self._unwanted) > _MOST_UNWANTED:
            self._unwanted.clear()
        if len(self._declarations) > _MOST_UNWANTED:
            self._declarations.clear()


class _Reading:
    """One page on its way through the parser."""

    def __init__(
        self,
        known: dict[str, dict[str, Series]],
        interned: dict[tuple[str, ...], Series],
        unwanted: dict[str, None],
        declarations: dict[str, tuple[str, str]],
    ) -> None:
        self._interned = interned
        self._unwanted = unwanted
        self._declarations = declarations
        self._names: dict[str, _Entry | None] = {**unwanted}
        self._wanted: dict[str, _Entry] = {name: (each, [], []) for name, each in known.items()}
        self._names.update(self._wanted)
        self._types: dict[str, str] = {}
        self._malformed = 0
        self._example = ""
        self._crowded: set[str] = set()
        self._broken: set[str] = set()
        self._effort = 0
        self._overfull = False

    def run(self, text: str) -> None:
        """Read every line, unless the page is such that it must be given up."""
        for part in _slices(text):
            self._read_lines(part)
            wanted = sum(len(values) for _, _, values in self._wanted.values())
            if self._effort > MAX_EFFORT or wanted > MAX_SAMPLES:
                self._overfull = True
                return

    def _read_lines(self, text: str) -> None:
        """Read some lines. This is the hot loop: a name costs a partition, a series a lookup."""
        entry_of = self._names.get
        for line in text.split("\n"):
            name, _, rest = line.partition("{")
            entry = entry_of(name, _UNSEEN)
            if entry is None:
                continue
            labels, _, value = rest.rpartition(" ")
            series = entry[0].get(labels)
            if series is None:
                self._read_carefully(line)
                continue
            try:
                amount = float(value)
            except ValueError:  # perhaps a number and a time stamp with a tab between them
                self._read_carefully(line)
                continue
            if "_" in value:  # 1_000 is a number to Python, not to Prometheus
                self._read_carefully(line)
            else:
                entry[1].append(series)
                entry[2].append(amount)

    def page(self, types: Mapping[str, str]) -> Page:
        """Return what was read. Its types are the object ``types`` where they say the same."""
        return Page(
            samples={
                name: Samples(tuple(series), tuple(values))
                for name, (_, series, values) in self._wanted.items()
                if values
            },
            types=types if types == self._types else self._types,
            malformed=self._malformed,
            malformed_example=self._example,
            crowded=frozenset(self._crowded),
            broken=frozenset(self._crowded | self._broken),
            overfull=self._overfull,
        )

    def _read_carefully(self, line: str) -> None:
        declared = self._declarations.get(line)
        if declared is not None:
            self._declare(*declared)
            return
        if len(line) > MAX_LINE:
            self._refuse(line)
            return
        line = line.strip()
        if not line:
            return
        if line.startswith("#"):
            self._read_comment(line)
            return
        self._effort += 1
        bare = line.partition(" ")[0]
        if self._names.get(bare, _UNSEEN) is None:  # unwanted, without labels
            return
        try:
            said = read(line)
        except ValueError:
            self._refuse(line)
        else:
            self._effort += _UNUSUAL if said.costly else 0
            self._take(line, said)

    def _take(self, line: str, said: Line) -> None:
        entry = self._names.get(said.name, _UNSEEN)
        if entry is _UNSEEN:
            self._names[said.name] = self._unwanted[intern(said.name)] = None
        elif entry is not None:
            known, all_series, values = entry
            if len(values) >= MAX_SERIES_PER_NAME:
                self._give_up(said.name)
                return
            series = self._intern(said)
            all_series.append(series)
            values.append(said.value)
            if said.plain and said.labels:
                known[intern(line.partition("{")[2].rpartition(" ")[0])] = series

    def _intern(self, said: Line) -> Series:
        """Return the one object for these labels, in whatever order a line has them."""
        key = (said.name, *(part for pair in sorted(said.labels.items()) for part in pair))
        series = self._interned.get(key)
        if series is None:
            # Most series of a page share most of their strings: a third of what a server costs.
            key = tuple(map(intern, key))
            series = self._interned[key] = Series(key)
        return series

    def _give_up(self, name: str) -> None:
        self._crowded.add(name)
        self._names[name] = None
        del self._wanted[name]

    def _read_comment(self, line: str) -> None:
        """Take in a ``# TYPE``. A family declared twice, differently, has no type that can be believed."""
        self._effort += 1
        if line.startswith("# HELP"):  # what begins like it is the same: passed over from now on
            start = intern(line.partition("{")[0])
            self._names[start] = self._unwanted[start] = None
            return
        parts = line.split(None, 3)
        if len(parts) < 3 or parts[1] != "TYPE":
            return
        kind = parts[3] if len(parts) > 3 else ""
        kind = UNKNOWN if kind == "untyped" else kind
        if kind not in _TYPES:
            self._refuse(line)
            return
        declared = self._declarations[intern(line)] = (intern(parts[2]), intern(kind))
        self._declare(*declared)

    def _declare(self, family: str, kind: str) -> None:
        if self._types.setdefault(family, kind) != kind:
            self._types[family] = CONFLICTING

    def _refuse(self, line: str) -> None:
        self._effort += _UNUSUAL
        self._malformed += 1
        self._example = self._example or line[:_EXAMPLE_LENGTH]
        name = _NAME.match(line)
        if name and name.group() in self._wanted:
            self._broken.add(name.group())


def _slices(text: str) -> Iterator[str]:
    """Cut a text into parts of whole lines."""
    start = 0
    while start < len(text):
        end = text.find("\n", start + _SLICE)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1
