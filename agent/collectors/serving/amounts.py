"""Gauges and counters, added up where the server splits what the catalogue does not."""

from math import isfinite

from agent.catalogue import Kind, Metric
from agent.collectors.exposition import Faults, Page
from agent.collectors.serving.labels import Attributes, Labels
from agent.collectors.serving.settling import settle


class Amounts(dict[Attributes, float]):
    """Values by the attributes that they have."""

    def scaled(self, per: float) -> "Amounts":
        """Return them in the catalogue's unit: divided, which is exact where multiplying is not."""
        return self if per == 1.0 else Amounts({key: value / per for key, value in self.items()})


def read_amounts(
    page: Page, names: tuple[str, ...], labels: Labels, metric: Metric, faults: Faults
) -> Amounts:
    """Return the values of the first of ``names`` that the page has.

    Series that differ only in labels which the catalogue does not have are added up, except ratios: two
    ratios have no sum. A sum that lacks a part would be wrong and is left out. Negative values are
    refused: nothing that a model server counts is negative, and -1 is how some say "switched off".
    """
    name = next((name for name in names if name in page.samples), names[0])
    settled = settle(page, name, faults)
    additive = not (metric.kind is Kind.GAUGE and metric.unit == "1")
    amounts = Amounts()
    refused: set[Attributes | None] = set(map(labels.attributes, settled.contested))
    for series, value in settled.values.items():
        key = labels.attributes(series)
        if key is None:
            continue
        reason = _fault(value) or ("ambiguous_series" if key in amounts and not additive else "")
        if reason:
            faults.add(reason, name, f"{series!r} is {value:g}")
            refused.add(key)
        else:
            amounts[key] = amounts.get(key, 0.0) + value
    return Amounts({key: value for key, value in amounts.items() if key not in refused})


def _fault(value: float) -> str:
    if not isfinite(value):
        return "not_finite"
    return "negative" if value < 0 else ""
