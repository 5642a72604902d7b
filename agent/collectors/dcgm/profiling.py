"""DCGM's profiling fields and the traffic of links.

What they measure is what NVML's own performance counters (GPM) measure: DCGM reads those on GPUs that have
them. Rates are averages over DCGM's sample interval.
"""

from typing import Final

from agent.catalogue import Metric, gpu, gpu_work
from agent.collectors.dcgm.field import (
    BYTES,
    BYTES_PER_SECOND,
    NVLINK_RATE,
    RATIO,
    Field,
    Unit,
    named,
)

_DEV: Final = "DCGM_FI_DEV_"
_PROF: Final = "DCGM_FI_PROF_"
_MOST_PER_SECOND: Final = 1e14
"""Bytes; a hundred times what any link of a GPU carries."""


def _share(metric: Metric, *names: str, of: tuple[str, ...] = ()) -> Field:
    return Field(names=named(_PROF, names), metric=metric, attributes=of, unit=RATIO, highest=1.0)


def _rate(metric: Metric, direction: str, names: tuple[str, ...], unit: Unit) -> Field:
    return Field(
        names=names,
        metric=metric,
        attributes=(direction,),
        unit=unit,
        highest=_MOST_PER_SECOND / unit.times,
    )


def _bytes(metric: Metric, direction: str, *names: str) -> Field:
    return Field(
        names=names, metric=metric, attributes=(direction,), unit=BYTES, highest=2.0**62, whole=True
    )


def _traffic(direction: str, letters: str) -> tuple[Field, ...]:
    """Return the fields of one direction, as the GPU sees it."""
    return (
        _rate(
            gpu_work.PCIE_THROUGHPUT, direction, (f"{_PROF}PCIE_{letters}_BYTES",), BYTES_PER_SECOND
        ),
        _rate(
            gpu_work.NVLINK_THROUGHPUT,
            direction,
            (f"{_PROF}NVLINK_{letters}_BYTES",),
            BYTES_PER_SECOND,
        ),
        _rate(
            gpu_work.NVLINK_THROUGHPUT,
            direction,
            (
                f"{_DEV}NVLINK_{letters}_BANDWIDTH_TOTAL",
                f"{_DEV}NVLINK_{letters}_THROUGHPUT_TOTAL",
            ),
            NVLINK_RATE,
        ),
        _bytes(gpu_work.IO, direction, f"{_PROF}PCIE_{letters}_BYTES_TOTAL"),
        _bytes(
            gpu_work.NVLINK_IO,
            direction,
            *(f"{_DEV}NVLINK_COUNT_{letters}_BYTES", f"{_DEV}NVLINK_{letters}_BYTES_TOTAL"),
        ),
    )


PROFILING_FIELDS: Final = (
    # By its definition the share of time in which a kernel ran, as GPU_UTIL is, and by other counters:
    # what is left where a GPU is divided by MIG, which has no GPU_UTIL.
    _share(gpu.UTILIZATION, "GR_ENGINE_ACTIVE", "GR_ENGINE_UTIL_RATIO", of=("general",)),
    _share(gpu_work.SM_ACTIVE, "SM_ACTIVE", "SM_UTIL_RATIO"),
    _share(gpu_work.SM_OCCUPANCY, "SM_OCCUPANCY", "SM_OCCUPANCY_RATIO"),
    _share(gpu_work.PIPE_ACTIVE, "PIPE_TENSOR_ACTIVE", "TENSOR_UTIL_RATIO", of=("tensor",)),
    _share(gpu_work.MEMORY_BANDWIDTH, "DRAM_ACTIVE", "DRAM_UTIL_RATIO"),
    _share(gpu_work.PIPE_ACTIVE, "PIPE_FP64_ACTIVE", "FP64_UTIL_RATIO", of=("fp64",)),
    _share(gpu_work.PIPE_ACTIVE, "PIPE_FP32_ACTIVE", "FP32_UTIL_RATIO", of=("fp32",)),
    _share(gpu_work.PIPE_ACTIVE, "PIPE_FP16_ACTIVE", "FP16_UTIL_RATIO", of=("fp16",)),
    _share(gpu_work.PIPE_ACTIVE, "PIPE_INT_ACTIVE", "INT_UTIL_RATIO", of=("integer",)),
    *_traffic("transmit", "TX"),
    *_traffic("receive", "RX"),
)
