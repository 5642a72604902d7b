"""DCGM's fields of what goes wrong in memory and on links: ECC, retired pages, remapped rows, retries."""

from collections.abc import Iterator
from typing import Final

from agent.catalogue import Metric, attributes, gpu_health, gpu_work
from agent.collectors.dcgm.field import Field, named

_DEV: Final = "DCGM_FI_DEV_"
_GPU: Final = "gpu"
_MOST: Final = 2.0**62
_KINDS: Final = (("SBE", "corrected"), ("DBE", "uncorrected"))
_LOCATIONS: Final = (
    ("DEV", "dram"),
    ("SRM", "sram"),
    ("L1", "l1_cache"),
    ("L2", "l2_cache"),
    ("REG", "register_file"),
    ("TEX", "texture_memory"),
    ("SHM", "shared_memory"),
    ("CBU", "cbu"),
)
TOTAL: Final = ""
"""The location of errors that are told of all memories together: none."""


def _count(
    metric: Metric, attributes: tuple[str, ...], *names: str, highest: float = _MOST
) -> Field:
    return Field(
        names=named(_DEV, names),
        metric=metric,
        attributes=attributes,
        highest=highest,
        whole=True,
        counter=True,
    )


def _flag(metric: Metric, *names: str) -> Field:
    return Field(names=named(_DEV, names), metric=metric, highest=1, whole=True)


def _ecc() -> Iterator[Field]:
    for letters, kind in _KINDS:
        for code, location in (("TOTAL", TOTAL), *_LOCATIONS):
            yield _count(gpu_health.ECC_ERRORS, (_GPU, kind, location), f"ECC_{letters}_VOL_{code}")
            yield _count(
                gpu_health.ECC_LIFETIME_ERRORS, (kind, location), f"ECC_{letters}_AGG_{code}"
            )


ERROR_FIELDS: Final = (
    *_ecc(),
    _flag(gpu_health.ECC_ENABLED, "ECC_CURRENT", "ECC_MODE"),
    _flag(gpu_health.ECC_ENABLED_PENDING, "ECC_PENDING"),
    _flag(gpu_health.SRAM_THRESHOLD, "THRESHOLD_SRM", "SRAM_EXCEEDED"),
    _count(gpu_health.RETIRED_PAGES, ("single_bit_ecc",), "RETIRED_SBE", "PAGE_RETIRED_SBE_TOTAL"),
    _count(gpu_health.RETIRED_PAGES, ("double_bit_ecc",), "RETIRED_DBE", "PAGE_RETIRED_DBE_TOTAL"),
    # The exporter calls it a number of pages and a counter; DCGM says whether there are any.
    _count(
        gpu_health.RETIRED_PAGES_PENDING, (), "RETIRED_PENDING", "PAGE_RETIRED_PENDING", highest=1
    ),
    _count(
        gpu_health.REMAPPED_ROWS,
        ("uncorrected",),
        *("UNCORRECTABLE_REMAPPED_ROWS", "ROW_REMAP_UNCORRECTABLE_TOTAL"),
    ),
    _count(
        gpu_health.REMAPPED_ROWS,
        ("corrected",),
        *("CORRECTABLE_REMAPPED_ROWS", "ROW_REMAP_CORRECTABLE_TOTAL"),
    ),
    _flag(gpu_health.ROW_REMAP_FAILURE, "ROW_REMAP_FAILURE", "ROW_REMAP_FAILED"),
    _flag(gpu_health.ROW_REMAP_PENDING, "ROW_REMAP_PENDING"),
    *(
        Field(
            names=named(
                _DEV,
                (f"BANKS_REMAP_ROWS_AVAIL_{word.upper()}", f"BANK_REMAP_AVAIL_{word.upper()}"),
            ),
            metric=gpu_health.ROW_REMAP_BANKS,
            attributes=(word,),
            highest=_MOST,
            whole=True,
        )
        for word in attributes.REMAP_AVAILABILITY.values
    ),
    _count(gpu_work.PCIE_REPLAYS, (), "PCIE_REPLAY_COUNTER", "PCIE_REPLAY_TOTAL"),
    *(
        _count(
            gpu_work.NVLINK_ERRORS,
            (kind,),
            *(f"NVLINK_{code}_ERROR_COUNT_TOTAL", f"NVLINK_{code}_ERROR_TOTAL"),
        )
        for code, kind in (
            ("CRC_FLIT", "crc"),
            ("CRC_DATA", "crc_data"),
            ("REPLAY", "replay"),
            ("RECOVERY", "recovery"),
        )
    ),
    *(
        _count(gpu_work.NVLINK_ERRORS, (kind,), f"NVLINK_COUNT_{older}", f"NVLINK_{newer}_TOTAL")
        for older, newer, kind in (
            ("RX_MALFORMED_PACKET_ERRORS", "RX_PACKET_MALFORMED", "malformed"),
            ("RX_BUFFER_OVERRUN_ERRORS", "RX_PACKET_DROPPED", "overrun"),
            ("RX_ERRORS", "RX_ERROR", "receive_errors"),
            ("LOCAL_LINK_INTEGRITY_ERRORS", "INTEGRITY_ERROR", "integrity"),
            ("LINK_RECOVERY_EVENTS", "RECOVERY_EVENT", "recovery"),
            ("LINK_RECOVERY_FAILED_EVENTS", "RECOVERY_FAILED", "recovery_failed"),
            ("EFFECTIVE_ERRORS", "EFFECTIVE_ERROR", "effective"),
        )
    ),
)
