"""A scan as JSON, for programs."""

from agent.collectors.serving.scan.report import Mapped, Report
from agent.snapshot import Distribution, Reading


def plain(report: Report) -> dict[str, object]:
    """Return the report as values that JSON has. Values are in the catalogue's units."""
    by_family: dict[str, list[str]] = {}
    for signal in report.mapped:
        for name in signal.families:
            by_family.setdefault(name, []).append(signal.metric.name)
    return {
        "servers": [
            {"profile": each.profile.name, "recognised_by": each.family}
            for each in report.recognised
        ],
        "others": list(report.others),
        "families": [
            {
                "name": family.name,
                "type": family.type,
                "series": family.series,
                "labels": list(family.labels),
                "metrics": list(dict.fromkeys(by_family.get(family.name, []))),
                "known": family not in report.unmapped,
            }
            for family in report.families
        ],
        "signals": [_signal(signal) for signal in report.mapped],
        "problems": [problem._asdict() for problem in report.problems],
        "series": report.series,
        "series_allowed": report.budget,
        "guesses": [
            {"metric": guess.metric.name, "family": guess.family.name, "unit": guess.unit}
            for guess in report.guesses
        ],
    }


def _signal(signal: Mapped) -> dict[str, object]:
    return {
        "metric": signal.metric.name,
        "unit": signal.metric.unit,
        "provider": signal.provider,
        "families": list(signal.families),
        "series": [_series(reading) for reading in signal.readings],
    }


def _series(reading: Reading) -> dict[str, object]:
    keys = (attribute.key for attribute in reading.metric.attributes)
    attributes = {key: value for key, value in zip(keys, reading.attributes, strict=True) if value}
    return {"attributes": attributes, "value": _value(reading.value)}


def _value(value: float | Distribution) -> object:
    if not isinstance(value, Distribution):
        return value
    return {
        "count": value.observations,
        "sum": value.sum,
        "bounds": list(value.bounds),
        "counts": list(value.counts),
        **({"quantiles": [list(pair) for pair in value.quantiles]} if value.quantiles else {}),
    }
