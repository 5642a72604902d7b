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


def is_on(page: Page, source: Source) -> bool:
    """Tell whether the page has a sample of the source."""
    return any(name in page.samples for name in source.samples)


def is_declared(page: Page, source: Source) -> bool:
    """Tell whether the page knows of the family, though it may have no series yet."""
    if is_on(page, source):
        return True
    names = source.samples if source.native is Native.COUNTER else (source.name,)
    return any(name in page.types for name in names)


def size(page: Page, source: Source) -> int:
    """Return how many samples of the source the page has."""
    return sum(len(page.samples.get(name, ())) for name in source.samples)


def has_its_type(page: Page, source: Source, faults: Faults) -> bool:
    """Tell whether ``# TYPE`` says what the profile expects, or nothing. A conflict is a fault."""
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
