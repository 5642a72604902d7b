"""What a page of exposition says, as far as it was wanted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

CONFLICTING: Final = "conflicting"
"""The type of a family that is declared twice, differently: nobody can say what its values mean."""
UNKNOWN: Final = "unknown"
_PARTS: Final = {
    "_bucket": ("histogram", "gaugehistogram"),
    "_sum": ("histogram", "summary"),
    "_count": ("histogram", "summary"),
    "_total": ("counter",),
}


class Series:
    """A sample's name and its labels, which ``key`` holds: the name, then names and values by turns.

    Equal series on any page of one parser are one object, and compare as objects: what was worked out
    for a series once can be looked up by it.
    """

    __slots__ = ("_key", "name")

    def __init__(self, key: tuple[str, ...]) -> None:
        self.name = key[0]
        self._key = key

    @property
    def labels(self) -> dict[str, str]:
        """Return the labels, by name: made anew, because that is seldom and a dictionary is large."""
        return dict(zip(self._key[1::2], self._key[2::2], strict=True))

    def __repr__(self) -> str:
        """Return it the way that PromQL writes it."""
        inner = ",".join(f'{key}="{value}"' for key, value in self.labels.items())
        return f"{self.name}{{{inner}}}"


Sample = tuple[Series, float]


class Samples:
    """The samples of one name, in the order of the page and doubles included.

    Series and values stand apart, because the series stay from page to page. Compared as an object: a page
    may hand out that of the page before where no value moved.
    """

    __slots__ = ("series", "values")

    def __init__(self, series: tuple[Series, ...] = (), values: tuple[float, ...] = ()) -> None:
        self.series = series
        self.values = values

    def __iter__(self) -> Iterator[Sample]:
        """Give each series with its value."""
        return zip(self.series, self.values, strict=True)

    def __len__(self) -> int:
        """Return how many samples there are."""
        return len(self.series)


NONE: Final = Samples()


@dataclass(frozen=True, slots=True)
class Page:
    """The wanted samples of a page by sample name."""

    samples: Mapping[str, Samples]
    types: Mapping[str, str] = field(default_factory=dict)
    """What ``# TYPE`` lines say, by family name; the same object for as long as they say the same."""
    malformed: int = 0
    """Lines that could not be read."""
    malformed_example: str = ""
    """The first of them, shortened."""
    crowded: frozenset[str] = frozenset()
    """Wanted sample names with so many series that they were given up."""
    broken: frozenset[str] = frozenset()
    """Wanted sample names with a line that could not be read; the crowded ones are among them."""
    overfull: bool = False
    """The page was given up before its end: nothing on it can be relied on."""

    def type_of(self, sample: str) -> str:
        """Return the type of the family that a sample name belongs to; by ``# TYPE`` alone.

        A suffix counts only where the name before it is declared as a type that has such samples:
        counters named ``..._count`` and histograms named ``..._total`` exist.
        """
        declared = self.types.get(sample)
        if declared is not None:
            return declared
        base, mark, suffix = sample.rpartition("_")
        declared = self.types.get(base, UNKNOWN)
        if declared == CONFLICTING or declared in _PARTS.get(mark + suffix, ()):
            return declared
        return UNKNOWN
