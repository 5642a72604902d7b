"""From what dcgm-exporter says of a GPU to readings of the catalogue. Pure."""

from collections.abc import Iterator, Mapping

from agent.catalogue import Metric
from agent.catalogue import gpu as catalogue
from agent.collectors.dcgm.fields import FIELDS, THROTTLE_BITS, THROTTLE_FIELDS, Field
from agent.collectors.dcgm.rows import gpus
from agent.collectors.exposition import Faults, Page
from agent.snapshot import Reading

_VENDOR = "NVIDIA"


def readings(page: Page, faults: Faults) -> list[Reading]:
    """Return the readings of a page; what cannot be believed goes to ``faults``."""
    found: list[Reading] = []
    for uuid, gpu in gpus(page, faults).items():
        values = {name: value for name, value in gpu.values.items() if name not in gpu.contested}
        own = list(_fields(uuid, values, faults))
        found.append(_info(uuid, gpu.labels))
        found += own
        found += _derived(uuid, {reading[:2]: reading.value for reading in own})
        found += _throttle(uuid, values, faults)
    return found


def _fields(uuid: str, values: Mapping[str, float], faults: Faults) -> Iterator[Reading]:
    for field in FIELDS:
        name = next((name for name in field.names if name in values), "")
        value = values.get(name)
        if value is None or (field.zero_is_absent and value == 0):
            continue
        if not field.lowest <= value <= field.highest:
            faults.add("out_of_range", name, f"{uuid}: {value:g}")
            continue
        yield Reading(field.metric, (uuid, *field.attributes), _in_our_unit(field, value))


def _in_our_unit(field: Field, value: float) -> float:
    return value * field.times / field.per


def _derived(uuid: str, known: Mapping[tuple[object, ...], object]) -> Iterator[Reading]:
    """Yield what follows from other readings, by the definitions of the catalogue.

    The memory that there is follows from its three parts, which is how DCGM splits it; the default set
    of fields has the parts only.
    """

    def value(metric: Metric, *attributes: str) -> float | None:
        found = known.get((metric, (uuid, *attributes)))
        return found if isinstance(found, float) else None

    used, free = value(catalogue.MEMORY_USAGE), value(catalogue.MEMORY_FREE)
    reserved, limit = value(catalogue.MEMORY_RESERVED), value(catalogue.MEMORY_LIMIT)
    if limit is None and used is not None and free is not None and reserved is not None:
        limit = used + free + reserved
        yield Reading(catalogue.MEMORY_LIMIT, (uuid,), limit)
    if limit and used is not None:
        yield Reading(catalogue.MEMORY_UTILIZATION, (uuid,), used / limit)
    slowdown = value(catalogue.TEMPERATURE_LIMIT, "gpu", "throttled")
    temperature = value(catalogue.TEMPERATURE, "gpu")
    if slowdown is not None and temperature is not None:
        yield Reading(catalogue.TEMPERATURE_MARGIN, (uuid,), slowdown - temperature)


def _throttle(uuid: str, values: Mapping[str, float], faults: Faults) -> Iterator[Reading]:
    name = next((name for name in THROTTLE_FIELDS if name in values), "")
    if not name:
        return
    mask = values[name]
    if mask < 0 or not mask.is_integer():
        faults.add("out_of_range", name, f"{uuid}: {mask:g} is no mask of bits")
        return
    for bit, reason in THROTTLE_BITS:
        yield Reading(catalogue.THROTTLE, (uuid, reason), float(bool(int(mask) & bit)))


def _info(uuid: str, labels: Mapping[str, str]) -> Reading:
    return Reading(
        catalogue.INFO,
        (
            uuid,
            labels.get("gpu", ""),
            labels.get("modelName", ""),
            _VENDOR,
            labels.get("DCGM_FI_DEV_SERIAL", ""),
            labels.get("pci_bus_id", ""),
            labels.get("DCGM_FI_DRIVER_VERSION", ""),
            _cuda_version(labels.get("DCGM_FI_CUDA_DRIVER_VERSION", "")),
            labels.get("DCGM_FI_DEV_VBIOS_VERSION", ""),
        ),
        1.0,
    )


def _cuda_version(number: str) -> str:
    """Return CUDA's version the way that people write it: the driver spells 12.4 as 12040."""
    if not number.isascii() or not number.isdigit():
        return ""
    return f"{int(number) // 1000}.{int(number) % 1000 // 10}"
