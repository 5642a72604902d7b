"""From a snapshot to the rows of dcgm-exporter's families. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from agent.catalogue import Metric, attributes, gpu, gpu_mig, gpu_work
from agent.snapshot import Distribution, Snapshot
from exporters.dcgm.families import (
    BY_SERIES,
    BY_SERIES_OF_INSTANCE,
    ECC,
    ECC_TOTAL,
    NUMBERED,
    NVLINK_BANDWIDTH,
    Family,
)

_DIRECTIONS: Final = attributes.DIRECTION.values
_CACHES: Final = frozenset(attributes.MEMORY_LOCATION.values) - {"dram", "sram"}
"""Memories whose errors ``sram`` may include."""
_INSTANCE: Final = gpu_mig.MIG_INFO.attributes.index(attributes.GPU_INSTANCE)
_PARENT: Final = gpu_mig.MIG_INFO.attributes.index(attributes.HW_PARENT)
_PROFILE: Final = gpu_mig.MIG_INFO.attributes.index(attributes.MIG_PROFILE)


class Entity(NamedTuple):
    """What a row is about: a GPU by its UUID, or a MIG instance of it."""

    uuid: str
    instance: str = ""
    profile: str = ""


Rows = Mapping[str, list[tuple[Entity, float]]]
"""Values in DCGM's unit by name of the family."""
_Values = dict[tuple[Metric, tuple[str, ...]], float]


def rows(snapshot: Snapshot) -> Rows:
    """Return what the snapshot has under DCGM's names.

    Where a GPU is divided by MIG and DCGM would tell a field of its instances, theirs stand in place of
    the GPU's, so that a sum counts nothing twice.
    """
    values: _Values = {
        (metric, series): value
        for batch in snapshot.batches.values()
        for metric, series, value in batch.readings
        if metric.group == "gpu" and not isinstance(value, Distribution)
    }
    instances = _instances(values)
    found: defaultdict[str, list[tuple[Entity, float]]] = defaultdict(list)
    for (metric, series), value in (*values.items(), *_sums(values)):
        for family, entity in _places(metric, series, instances):
            found[family.name].append((entity, family.field.theirs(value)))
        if value and metric in NUMBERED:
            family, numbers = NUMBERED[metric]
            found[family.name].append((Entity(series[0]), numbers[series[1]]))
    for uuid, rate in _nvlink_rates(values):
        found[NVLINK_BANDWIDTH.name].append((Entity(uuid), NVLINK_BANDWIDTH.field.theirs(rate)))
    return {name: _undivided(listed) for name, listed in found.items()}


def _instances(values: _Values) -> dict[str, Entity]:
    """Return the MIG instances by the UUID of a device on them."""
    return {
        series[0]: Entity(series[_PARENT], series[_INSTANCE], series[_PROFILE])
        for metric, series in values
        if metric is gpu_mig.MIG_INFO and series[_PARENT] and series[_INSTANCE]
    }


def _places(
    metric: Metric, series: tuple[str, ...], instances: Mapping[str, Entity]
) -> Iterator[tuple[Family, Entity]]:
    """Yield under which families a series of ours stands, and as what."""
    for family in BY_SERIES.get((metric, series[1:]), ()):
        yield family, Entity(series[0])
    instance = instances.get(series[0]) if series else None
    if instance:
        for family in BY_SERIES_OF_INSTANCE.get((metric, series[1:]), ()):
            yield family, instance


def _undivided(listed: list[tuple[Entity, float]]) -> list[tuple[Entity, float]]:
    divided = {entity.uuid for entity, _ in listed if entity.instance}
    return [row for row in listed if row[0].instance or row[0].uuid not in divided]


def _sums(values: _Values) -> Iterator[tuple[tuple[Metric, tuple[str, ...]], float]]:
    """Yield ECC errors of all memories together, as DCGM has them, where only the parts are known."""
    parts: defaultdict[tuple[Metric, tuple[str, ...]], dict[str, float]] = defaultdict(dict)
    for (metric, series), value in values.items():
        if metric in ECC:
            parts[metric, series[:-1]][series[-1]] = value
    for (metric, beginning), by_location in parts.items():
        if ECC_TOTAL not in by_location:
            left = _CACHES if "sram" in by_location else frozenset()
            total = sum(value for where, value in by_location.items() if where not in left)
            yield (metric, (*beginning, ECC_TOTAL)), total


def _nvlink_rates(values: _Values) -> Iterator[tuple[str, float]]:
    """Yield by GPU what NVLink carries in both directions, where both are known."""
    for (metric, series), value in values.items():
        if metric is gpu_work.NVLINK_THROUGHPUT and series[1] == _DIRECTIONS[0]:
            other = values.get((metric, (series[0], _DIRECTIONS[1])))
            if other is not None:
                yield series[0], value + other


def facts(snapshot: Snapshot) -> dict[str, dict[str, str]]:
    """Return what is known of each GPU by the attribute's key, by UUID."""
    keys = [attribute.key for attribute in gpu.INFO.attributes]
    found: dict[str, dict[str, str]] = {}
    for batch in snapshot.batches.values():
        for metric, series, _ in batch.readings:
            if metric is gpu.INFO:
                found.setdefault(series[0], dict(zip(keys, series, strict=True)))
    return found
