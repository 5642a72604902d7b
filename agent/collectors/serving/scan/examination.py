"""What is wrong with families that nobody reads: who writes a profile should know before it is used."""

from collections.abc import Iterable, Mapping
from math import isfinite, nan

from agent.collectors.exposition import CONFLICTING, Faults, Page, Series
from agent.collectors.serving.histogram import MalformedError, distribution
from agent.collectors.serving.scan.inventory import Family
from agent.collectors.serving.settling import settle

_Labels = tuple[tuple[str, str], ...]


def examine(page: Page, families: Iterable[Family], faults: Faults) -> None:
    """Count the faults of some families: doubled series, histograms that cannot be, odd values."""
    for family in families:
        if family.type == CONFLICTING:
            faults.add("conflicting_type", family.name, "declared twice, as different types")
        settled = {name: settle(page, name, faults).values for name in family.samples}
        if family.type == "histogram":
            _examine_histograms(family, settled, faults)
        else:
            for values in settled.values():
                _examine_values(family, values.items(), faults)


def _examine_values(family: Family, values: Iterable[tuple[Series, float]], faults: Faults) -> None:
    for series, value in values:
        if not isfinite(value) and "quantile" not in series.labels:
            faults.add("not_finite", family.name, f"{series!r} is {value:g}")
        elif value < 0 and family.type != "unknown":
            faults.add("negative", family.name, f"{series!r} is {value:g}; does it mean: none?")


def _examine_histograms(
    family: Family, settled: Mapping[str, Mapping[Series, float]], faults: Faults
) -> None:
    def part(suffix: str) -> dict[_Labels, float]:
        values = settled.get(f"{family.name}{suffix}", {})
        return {_without_bound(series): value for series, value in values.items()}

    sums, counts = part("_sum"), part("_count")
    buckets: dict[_Labels, list[tuple[float, float]]] = {}
    for series, value in settled.get(f"{family.name}_bucket", {}).items():
        bound = _bound(series.labels.get("le", ""))
        buckets.setdefault(_without_bound(series), []).append((bound, value))
    for labels in dict.fromkeys((*buckets, *sums, *counts)):
        bounds, cumulative = zip(*buckets.get(labels, [(nan, 0.0)]), strict=True)
        try:
            distribution(bounds, cumulative, sums.get(labels), counts.get(labels))
        except MalformedError as error:
            inner = ",".join(f'{key}="{value}"' for key, value in labels)
            faults.add(error.reason, family.name, f"{{{inner}}}: {error}")


def _without_bound(series: Series) -> _Labels:
    return tuple(sorted(pair for pair in series.labels.items() if pair[0] != "le"))


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return nan
