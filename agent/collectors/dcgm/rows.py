"""From a page of dcgm-exporter to one set of values per GPU.

The exporter writes a row per GPU and pod, and a row per MIG instance or NVLink where it watches them. A GPU
that several pods share stands there several times with the same value: that is one value, whether the pod
is called ``pod``, ``exported_pod`` (behind a Prometheus) or ``pod_name`` (old namespace). If the rows
differ, they are not about the whole GPU, and none is used. The row of a part is never the GPU's.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

from agent.collectors.dcgm.field import is_blank
from agent.collectors.exposition import Faults, Page


@dataclass(slots=True)
class Gpu:
    """What the page says of one GPU: values by field, and the labels that its rows have."""

    values: dict[str, float] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    contested: set[str] = field(default_factory=set)


def gpus(page: Page, faults: Faults) -> dict[str, Gpu]:
    """Return the GPUs of a page by UUID; what cannot be used goes to ``faults``."""
    found: dict[str, Gpu] = {}
    for name, samples in page.samples.items():
        for series, value in samples:
            uuid = _uuid(series.labels, name, faults)
            if uuid:
                gpu = found.setdefault(uuid, Gpu())
                _remember(gpu.labels, series.labels)
                _take(gpu, uuid, name, value, faults)
    return found


def _uuid(labels: Mapping[str, str], name: str, faults: Faults) -> str:
    """Return whose row it is; empty where it is not a whole GPU's. The old namespace has ``uuid``."""
    uuid = labels.get("UUID") or labels.get("uuid", "")
    if labels.get("nvlink") or labels.get("nvswitch"):
        return ""
    if not uuid:
        faults.add(
            "no_uuid", name, "a row without the label UUID: nobody can say which GPU it is of"
        )
    elif labels.get("GPU_I_ID"):
        faults.add(
            "mig_instance", "", f"{uuid}: rows of MIG instances are not read as the whole GPU's"
        )
        return ""
    return uuid


def _remember(known: dict[str, str], labels: Mapping[str, str]) -> None:
    for key, value in labels.items():
        if value:
            known.setdefault(key, value)


def _take(gpu: Gpu, uuid: str, name: str, value: float, faults: Faults) -> None:
    if not isfinite(value):
        faults.add("not_finite", name, f"{uuid}: {value}")
    elif is_blank(value):
        faults.add("blank", name, f"{uuid}: DCGM has no value")
    elif gpu.values.setdefault(name, value) != value:
        faults.add("ambiguous_series", name, f"{uuid}: rows with different values")
        gpu.contested.add(name)
