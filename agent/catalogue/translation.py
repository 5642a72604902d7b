"""Names in Prometheus, computed from names in OpenTelemetry.

The rules are OpenTelemetry's own ("Prometheus and OpenMetrics compatibility", metric metadata), as its
Collector applies them, so that a scrape of the agent and OTLP -> Collector -> Prometheus give the same
series. The Python SDK's exporter differs in one point: it gives gauges of unit ``1`` no ``_ratio``
(open-telemetry/opentelemetry-specification#4058); the Collector, which most people run, does.
"""

import re
from typing import Final

_UNITS: Final = {
    "d": "days",
    "h": "hours",
    "min": "minutes",
    "s": "seconds",
    "ms": "milliseconds",
    "us": "microseconds",
    "ns": "nanoseconds",
    "By": "bytes",
    "KiBy": "kibibytes",
    "MiBy": "mebibytes",
    "GiBy": "gibibytes",
    "V": "volts",
    "A": "amperes",
    "J": "joules",
    "W": "watts",
    "Cel": "celsius",
    "Hz": "hertz",
    "%": "percent",
    "1": "",
}
_PER: Final = {"s": "second", "min": "minute", "h": "hour", "d": "day"}
_ANNOTATION: Final = re.compile(r"\{[^}]*\}")
_NOT_A_NAME: Final = re.compile(r"[^a-zA-Z0-9:]+")
_NOT_A_LABEL: Final = re.compile(r"[^a-zA-Z0-9]+")


def label_name(attribute: str) -> str:
    """Return the Prometheus label of an OpenTelemetry attribute: ``hw.id`` becomes ``hw_id``."""
    label = _NOT_A_LABEL.sub("_", attribute)
    return f"_{label}" if label[:1].isdigit() else label


def unit_suffix(unit: str) -> str:
    """Return the words that a UCUM unit adds to a metric's name: ``By/s`` gives ``bytes_per_second``.

    Annotations in braces, such as ``{request}``, add nothing.
    """
    bare = _ANNOTATION.sub("", unit)
    top, _, bottom = bare.partition("/")
    words = _UNITS.get(top, _NOT_A_NAME.sub("_", top).strip("_"))
    if not bottom:
        return words
    per = f"per_{_PER.get(bottom, _NOT_A_NAME.sub('_', bottom).strip('_'))}"
    return f"{words}_{per}" if words else per


def family_name(name: str, unit: str, *, counter: bool, gauge: bool) -> str:
    """Return the name of the Prometheus family for an OpenTelemetry metric.

    ``counter`` is a monotonic sum (gains ``_total``); ``gauge`` is the instrument Gauge alone (gains
    ``_ratio`` where the unit is ``1``), so an UpDownCounter, which Prometheus also calls a gauge, is
    neither.
    """
    words = [word for word in _NOT_A_NAME.sub("_", name).split("_") if word]
    suffix = unit_suffix(unit)
    if suffix and suffix not in words and not "_".join(words).endswith(suffix):
        words += suffix.split("_")
    if gauge and unit == "1":
        words = [*(word for word in words if word != "ratio"), "ratio"]
    if counter:
        words = [*(word for word in words if word != "total"), "total"]
    family = "_".join(words)
    return f"_{family}" if family[:1].isdigit() else family
