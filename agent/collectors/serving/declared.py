"""What a page declares of a family by ``# TYPE``, against what the profile expects."""

from collections.abc import Mapping
from typing import Final

from agent.collectors.exposition import CONFLICTING, UNKNOWN, Faults, Page
from agent.collectors.serving.profile import Native, Source

_EXPECTED: Final[Mapping[Native, frozenset[str]]] = {
    Native.GAUGE: frozenset({"gauge"}),
    Native.COUNTER: frozenset({"counter"}),
    Native.HISTOGRAM: frozenset({"histogram"}),
    Native.SUMMARY: frozenset({"summary"}),
    Native.SUM: frozenset({"histogram", "summary"}),
    Native.COUNT: frozenset({"histogram", "summary"}),
}
_INFO: Final = "info"
_CROWDED: Final = "too_many_series"


def is_on(page: Page, source: Source) -> bool:
    """Tell whether the page has a sample of the source."""
    samples = page.samples
    for name in source.samples:
        if name in samples:
            return True
    return not page.broken.isdisjoint(source.samples)


def is_declared(page: Page, source: Source) -> bool:
    """Tell whether the page knows of the family, though it may have no series yet."""
    if is_on(page, source):
        return True
    names = source.samples if source.native is Native.COUNTER else (source.name,)
    return any(name in page.types for name in names)


class Declaration:
    """Knows whether a family has the type that it should have, until the page's types change."""

    __slots__ = ("_fitting", "_source")

    def __init__(self, source: Source) -> None:
        self._source = source
        self._fitting: Mapping[str, str] | None = None

    def fits(self, page: Page, faults: Faults) -> bool:
        """Tell whether ``# TYPE`` says what the profile expects, or nothing. A conflict is a fault.

        So is a series that cannot be read: without it a sum would be wrong, and a histogram another one.
        """
        if not page.broken.isdisjoint(self._source.samples):
            reason = "malformed_line" if page.crowded.isdisjoint(self._source.samples) else _CROWDED
            faults.add(reason, self._source.name, "not told: some of its series cannot be read")
            return False
        if page.types is not self._fitting:
            if not _has_its_type(page, self._source, faults):
                return False
            self._fitting = page.types
        return True


def _has_its_type(page: Page, source: Source, faults: Faults) -> bool:
    if source.native is Native.COUNTER:
        declared = {name: page.type_of(name) for name in source.samples if name in page.samples}
    else:
        declared = {source.name: page.types.get(source.name, UNKNOWN)}
    expected = _EXPECTED[source.native]
    fits = True
    for family, kind in declared.items():
        if kind in expected or kind == UNKNOWN or kind in source.declared:
            continue
        if kind == _INFO and source.value_label:
            continue
        fits = False
        if kind == CONFLICTING:
            faults.add("conflicting_type", family, "declared twice, as different types")
        else:
            wanted = " or ".join(sorted(expected))
            faults.add("unexpected_type", family, f"is a {kind} here, not a {wanted}")
    return fits
