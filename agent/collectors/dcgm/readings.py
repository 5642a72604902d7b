"""From what dcgm-exporter says of a GPU to readings of the catalogue. Pure."""

from collections.abc import Iterator, Mapping
from typing import Final

from agent.catalogue import Attribute, Metric, attributes, gpu_health
from agent.catalogue import gpu as catalogue
from agent.collectors.dcgm.errors import TOTAL
from agent.collectors.dcgm.field import States
from agent.collectors.dcgm.fields import FIELDS, STATES
from agent.collectors.dcgm.rows import gpus
from agent.collectors.exposition import Faults, Page
from agent.snapshot import Reading

_VENDOR: Final = "NVIDIA"
_LABELS: Final[Mapping[Attribute, str]] = {
    attributes.GPU_INDEX: "gpu",
    attributes.HW_MODEL: "modelName",
    attributes.HW_SERIAL: "DCGM_FI_DEV_SERIAL",
    attributes.GPU_PCI: "pci_bus_id",
    attributes.HW_DRIVER: "DCGM_FI_DRIVER_VERSION",
    attributes.HW_FIRMWARE: "DCGM_FI_DEV_VBIOS_VERSION",
    attributes.GPU_INFOROM: "DCGM_FI_DEV_INFOROM_IMAGE_VER",
}
"""Which label holds what is known of a GPU. How the host is called (`Hostname`, since 2026 `hostname`) is
not among them: the node's name is the agent's to know."""
_IN_PARTS: Final = (gpu_health.ECC_ERRORS, gpu_health.ECC_LIFETIME_ERRORS)


def readings(page: Page, faults: Faults) -> list[Reading]:
    """Return the readings of a page; what cannot be believed goes to ``faults``."""
    found: list[Reading] = []
    for uuid, gpu in gpus(page, faults).items():
        values = {name: value for name, value in gpu.values.items() if name not in gpu.contested}
        own = _without_totals(_fields(uuid, values, faults))
        found.append(_info(uuid, gpu.labels))
        found += own.values()
        found += _derived(uuid, own)
        for states in STATES:
            found += _states(states, uuid, values, faults)
    return found


_Known = dict[tuple[Metric, tuple[str, ...]], Reading]


def _fields(uuid: str, values: Mapping[str, float], faults: Faults) -> _Known:
    """Return the readings of the fields by series; of several fields for one series, the first wins."""
    known: _Known = {}
    for field in FIELDS:
        key = (field.metric, (uuid, *field.attributes))
        name = next((name for name in field.names if name in values), "")
        if not name or key in known:
            continue
        value = values[name]
        if field.zero_is_absent and value == 0:
            continue
        if field.believes(value):
            known[key] = Reading(*key, field.ours(value))
        else:
            faults.add("out_of_range", name, f"{uuid}: {value:g}")
    return known


def _without_totals(known: _Known) -> _Known:
    """Leave out what is told of all memories together where it is told of each: sums would count twice."""
    parts = {
        (metric, attributes[:-1])
        for metric, attributes in known
        if metric in _IN_PARTS and attributes[-1] != TOTAL
    }
    return {
        (metric, attributes): reading
        for (metric, attributes), reading in known.items()
        if not (attributes[-1] == TOTAL and (metric, attributes[:-1]) in parts)
    }


def _derived(uuid: str, known: _Known) -> Iterator[Reading]:
    """Yield what follows from other readings, by the definitions of the catalogue.

    The memory that there is follows from its three parts, which is how DCGM splits it; the default set
    of fields has the parts only.
    """

    def value(metric: Metric, *attributes: str) -> float | None:
        found = known.get((metric, (uuid, *attributes)))
        return found.value if found and isinstance(found.value, float) else None

    used, free = value(catalogue.MEMORY_USAGE), value(catalogue.MEMORY_FREE)
    reserved, limit = value(catalogue.MEMORY_RESERVED), value(catalogue.MEMORY_LIMIT)
    if limit is None and used is not None and free is not None and reserved is not None:
        limit = used + free + reserved
        yield Reading(catalogue.MEMORY_LIMIT, (uuid,), limit)
    if limit and used is not None:
        yield Reading(catalogue.MEMORY_UTILIZATION, (uuid,), used / limit)
    slowdown = value(catalogue.TEMPERATURE_LIMIT, "gpu", "throttled")
    temperature = value(catalogue.TEMPERATURE, "gpu")
    told = value(catalogue.TEMPERATURE_MARGIN) is not None
    if slowdown is not None and temperature is not None and not told:
        yield Reading(catalogue.TEMPERATURE_MARGIN, (uuid,), slowdown - temperature)


def _states(
    states: States, uuid: str, values: Mapping[str, float], faults: Faults
) -> Iterator[Reading]:
    name = next((name for name in states.names if name in values), "")
    if not name:
        return
    active = states.active(values[name])
    if active is None:
        faults.add("out_of_range", name, f"{uuid}: {values[name]:g} is no state that is known")
        return
    for _, word in states.states:
        yield Reading(states.metric, (uuid, word), float(word in active))


def _info(uuid: str, labels: Mapping[str, str]) -> Reading:
    """Return what is known of a GPU, in the order of the catalogue; unknown is an empty string."""
    known = {attribute: labels.get(label, "") for attribute, label in _LABELS.items()}
    known |= {
        attributes.HW_ID: uuid,
        attributes.HW_VENDOR: _VENDOR,
        attributes.GPU_CUDA: _cuda_version(labels.get("DCGM_FI_CUDA_DRIVER_VERSION", "")),
    }
    facts = tuple(known.get(attribute, "") for attribute in catalogue.INFO.attributes)
    return Reading(catalogue.INFO, facts, 1.0)


def _cuda_version(number: str) -> str:
    """Return CUDA's version the way that people write it: the driver spells 12.4 as 12040."""
    if not number.isascii() or not number.isdigit():
        return ""
    return f"{int(number) // 1000}.{int(number) % 1000 // 10}"
