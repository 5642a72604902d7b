"""Numbers of a page that are made of one family or of several: sums, shares, blocks turned into tokens."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from agent.catalogue import Kind, Metric
from agent.collectors.exposition import Faults, Page
from agent.collectors.serving.amounts import Amounts, Combining, Family
from agent.collectors.serving.declared import Declaration, is_declared, is_on
from agent.collectors.serving.labels import (
    ENGINE_AT,
    IDENTITY,
    MODEL_AT,
    Attributes,
    Labels,
    Reader,
)
from agent.collectors.serving.profile import Added, Product, Ratio, Scalar, Source
from agent.snapshot import Distribution

Value = TypeVar("Value")


class Numbers(Protocol):
    """What gives numbers of a page."""

    def is_on(self, page: Page) -> bool:
        """Tell whether the page has what it takes."""
        ...

    def read(self, page: Page, faults: Faults) -> Amounts:
        """Return them by their attributes; what cannot be believed goes to ``faults``."""
        ...


def numbers(
    reader: Reader, scalar: Scalar, combining: Combining, *, of_server: bool = False
) -> Numbers:
    """Return what reads a scalar of a profile."""

    def read_by(part: Scalar, combining: Combining) -> Numbers:
        return numbers(reader, part, combining, of_server=of_server)

    match scalar:
        case Source():
            return One(reader, scalar, combining, of_server=of_server)
        case Added():
            return _Sum([read_by(part, combining) for part in scalar.parts], scalar)
        case Ratio():
            return _Share(read_by(scalar.of, Combining.ADD), read_by(scalar.over, Combining.ADD))
        case Product():
            return _Sized(read_by(scalar.of, combining), read_by(scalar.times, Combining.SAME))


def combining_of(metric: Metric) -> Combining:
    """Return what several series of one model mean for a metric: shares alone have no sum."""
    share = metric.kind is Kind.GAUGE and metric.unit == "1"
    return Combining.ALONE if share else Combining.ADD


def of_model(told: Mapping[Attributes, Value], key: Attributes) -> Value | None:
    """Return what was told of a model: of itself, of its engine alone, or of all there is."""
    identity = key[:IDENTITY]
    if identity in told:
        return told[identity]
    nameless = (*identity[:MODEL_AT], "", "", identity[ENGINE_AT])
    if nameless in told:
        return told[nameless]
    return next(iter(told.values())) if len(told) == 1 else None


class One:
    """Reads the numbers of one family."""

    __slots__ = ("_declaration", "_family", "_source")

    def __init__(
        self, reader: Reader, source: Source, combining: Combining, *, of_server: bool = False
    ) -> None:
        self._source = source
        self._declaration = Declaration(source)
        labels = Labels(reader, source, of_server=of_server)
        self._family = Family(source, labels, combining)

    def is_on(self, page: Page) -> bool:
        """Tell whether the page has a sample of the family."""
        return is_on(page, self._source)

    def read(self, page: Page, faults: Faults) -> Amounts:
        """Return its values, if it is declared as what it should be."""
        if not self._declaration.fits(page, faults):
            return Amounts().without(void=True)
        return self._family.read(page, faults)


class _Sum:
    def __init__(self, parts: list[Numbers], added: Added) -> None:
        self._parts = parts
        self._leaves = tuple(added.leaves)
        self._whole = added.whole

    def is_on(self, page: Page) -> bool:
        if self._whole and not all(is_declared(page, leaf) for leaf in self._leaves):
            return False
        return any(part.is_on(page) for part in self._parts)

    def read(self, page: Page, faults: Faults) -> Amounts:
        found = [part.read(page, faults) for part in self._parts if part.is_on(page)]
        if len(found) == 1:
            return found[0]
        refused = frozenset[Attributes | None]().union(*(part.refused for part in found))
        if any(part.void for part in found):
            return Amounts().without(refused, void=True)
        totals: dict[Attributes, float] = {}
        for part in found:
            for key, value in part.items():
                totals[key] = totals.get(key, 0.0) + value
        kept = {key: value for key, value in totals.items() if key not in refused}
        return Amounts(kept).without(refused)


class Pair:
    """Two numbers that are of use only together."""

    def __init__(self, one: Numbers, other: Numbers) -> None:
        self._one = one
        self._other = other

    def is_on(self, page: Page) -> bool:
        """Tell whether the page has both."""
        return self._one.is_on(page) and self._other.is_on(page)


class _Share(Pair):
    def read(self, page: Page, faults: Faults) -> Amounts:
        of, over = self._one.read(page, faults), self._other.read(page, faults)
        shares = {key: value / over[key] for key, value in of.items() if over.get(key)}
        return Amounts(shares).without(of.refused | over.refused, void=of.void or over.void)


class _Sized(Pair):
    def read(self, page: Page, faults: Faults) -> Amounts:
        of, sizes = self._one.read(page, faults), self._other.read(page, faults)
        told = ((key, value, of_model(sizes, key)) for key, value in of.items())
        amounts = {key: value * unit for key, value, unit in told if unit is not None}
        return Amounts(amounts).without(of.refused | sizes.refused, void=of.void or sizes.void)


class Means(Pair):
    """Histograms without bounds: what was spent, and how often. ``name`` is what faults are of."""

    def __init__(self, one: Numbers, other: Numbers, name: str) -> None:
        super().__init__(one, other)
        self._name = name

    def read(self, page: Page, faults: Faults) -> Mapping[Attributes, Distribution]:
        """Return them by their attributes: those of which both are there."""
        times = self._other.read(page, faults)
        found: dict[Attributes, Distribution] = {}
        for key, amount in self._one.read(page, faults).items():
            count = times.get(key)
            if count is None:
                continue
            if not count.is_integer():
                faults.add("malformed_histogram", self._name, f"{count:g} is not a whole number")
                continue
            found[key] = Distribution((), (int(count),), amount)
        return found
