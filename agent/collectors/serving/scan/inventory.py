"""Everything that a page exposes, by family."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from agent.collectors.exposition import UNKNOWN, Page, Parser, Series

_NAME: Final = re.compile(r"^[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)", re.MULTILINE)
_SUFFIXES: Final = ("_bucket", "_sum", "_count", "_total")
_OF_THE_VALUE: Final = frozenset({"le", "quantile"})
"""Labels that tell parts of one series apart."""


@dataclass(frozen=True, slots=True)
class Family:
    """One family: its name as declared, its type, and how many series it has.

    A histogram or a summary is one series, however many buckets or quantiles it has. ``series`` is 0 where
    the page declares the family and has no sample of it. ``labels`` are all the names of labels, sorted.
    """

    name: str
    type: str
    series: int
    labels: tuple[str, ...]
    samples: tuple[str, ...]
    """The names of its samples: the family's own, or with suffixes."""


def everything(text: str) -> Page:
    """Parse all samples of a page, where the collector's parser reads those that a profile wants."""
    return Parser(dict.fromkeys(_NAME.findall(text))).parse(text)


def inventory(page: Page) -> tuple[Family, ...]:
    """Return the families of a page that was parsed by `everything`, sorted by name."""
    members: dict[str, dict[str, None]] = {name: {} for name in page.types}
    for sample in page.samples:
        members.setdefault(family_of(page, sample), {})[sample] = None
    return tuple(_family(page, name, tuple(samples)) for name, samples in sorted(members.items()))


def family_of(page: Page, sample: str) -> str:
    """Return the family that a sample name belongs to, by ``# TYPE`` lines alone."""
    if sample in page.types or page.type_of(sample) == UNKNOWN:
        return sample
    return next(sample.removesuffix(end) for end in _SUFFIXES if sample.endswith(end))


def _family(page: Page, name: str, samples: tuple[str, ...]) -> Family:
    found = [series for sample in samples for series, _ in page.samples[sample]]
    labels = sorted({key for series in found for key in series.labels} - _OF_THE_VALUE)
    kind = page.types.get(name, UNKNOWN)
    return Family(name, kind, len(_told_apart(found)), tuple(labels), samples)


def _told_apart(series: Iterable[Series]) -> set[tuple[tuple[str, str], ...]]:
    return {_identity(each.labels) for each in series}


def _identity(labels: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(pair for pair in labels.items() if pair[0] not in _OF_THE_VALUE))
