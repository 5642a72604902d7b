"""Rows about what joins a GPU to the host and to other GPUs: PCIe, NVLink and its fabric."""

from typing import Final

from agent.catalogue import gpu_work
from agent.catalogue.attributes import (
    DIRECTION,
    ERROR_TYPE,
    FABRIC_FAULT,
    FABRIC_HEALTH,
    FABRIC_STATE,
    NVLINK,
    NVLINK_STATE,
)
from agent.catalogue.promql import PER_GPU, equals, value
from dashboards.layout import Row, Tile
from dashboards.lines import flags, growth, lines, speed, states
from dashboards.panel import GREEN, ORANGE, RED, YELLOW, Look, Panel, timeline
from dashboards.scope import ON_GPU, of_gpu

_NONE: Final = "these GPUs have no NVLink"
_ALONE: Final = "each link by itself is told with the option nvlink_links"
_NO_FABRIC: Final = "these GPUs are on no NVSwitch fabric"


def rows() -> tuple[Row, ...]:
    """Return the rows."""
    return (
        Row("PCIe traffic", [Tile(panel, 12, 7) for panel in _pcie()], collapsed=True),
        Row("NVLink", [Tile(panel, 12, 8) for panel in _nvlink()], collapsed=True),
        Row("NVLink, link by link", [Tile(panel, 24, 9) for panel in _each()], collapsed=True),
        Row("NVLink fabric", [Tile(panel, 12, 7) for panel in _fabric()], collapsed=True),
    )


def _pcie() -> tuple[Panel, ...]:
    return (
        speed(
            "PCIe traffic",
            gpu_work.IO,
            by=(DIRECTION,),
            otherwise=gpu_work.PCIE_THROUGHPUT,
            note=f"Where that is not told: {gpu_work.PCIE_THROUGHPUT.description}",
        ),
        growth(
            "PCIe replays",
            gpu_work.PCIE_REPLAYS,
            note="Many of them, for long, are a bad contact: card, riser or slot.",
        ),
    )


def _nvlink() -> tuple[Panel, ...]:
    return (
        lines(
            "NVLinks by state",
            gpu_work.NVLINKS,
            by=(NVLINK_STATE,),
            nonzero=True,
            look=Look(absent=_NONE),
            note="Alert: GPUNvlinkDown.",
        ),
        growth("NVLink errors", gpu_work.NVLINK_ERRORS, by=(ERROR_TYPE,)),
        speed(
            "NVLink traffic",
            gpu_work.NVLINK_IO,
            by=(DIRECTION,),
            otherwise=gpu_work.NVLINK_THROUGHPUT,
            look=Look(absent=_NONE),
            note=f"Where that is not told: {gpu_work.NVLINK_THROUGHPUT.description}",
        ),
        lines("NVLink bandwidth", gpu_work.NVLINK_BANDWIDTH, look=Look(absent=_NONE)),
    )


def _each() -> tuple[Panel, ...]:
    is_active = equals(NVLINK_STATE, "active")
    active = value(gpu_work.NVLINK_LINK_STATE, (*PER_GPU, NVLINK), *ON_GPU, is_active)
    return (
        timeline(
            "Links that are not active",
            of_gpu(f"1 - {active} > 0", NVLINK),
            description=f"{gpu_work.NVLINK_LINK_STATE.description} One that sleeps is well.",
            states=((1, "not active", ORANGE),),
            absent=f"all links are active; or: {_ALONE}",
        ),
        growth("Errors of a link", gpu_work.NVLINK_LINK_ERRORS, by=(NVLINK, ERROR_TYPE)),
        speed(
            "Traffic of a link",
            gpu_work.NVLINK_LINK_IO,
            by=(NVLINK, DIRECTION),
            look=Look(absent=_ALONE),
        ),
        lines(
            "Speed of a link",
            gpu_work.NVLINK_LINK_BANDWIDTH,
            by=(NVLINK,),
            look=Look(absent=_ALONE),
        ),
    )


def _fabric() -> tuple[Panel, ...]:
    return (
        states(
            "Registration with the fabric",
            gpu_work.FABRIC_REGISTRATION,
            FABRIC_STATE,
            (ORANGE, YELLOW, GREEN),
            absent=_NO_FABRIC,
        ),
        states(
            "Health of the fabric",
            gpu_work.FABRIC_SUMMARY,
            FABRIC_HEALTH,
            (GREEN, RED, ORANGE),
            absent=_NO_FABRIC,
        ),
        flags("Registration that failed", (gpu_work.FABRIC_FAILED, ""), absent=_NO_FABRIC),
        lines(
            "Faults of the fabric",
            gpu_work.FABRIC_FAULTS,
            by=(FABRIC_FAULT,),
            nonzero=True,
            look=Look(absent=f"none; or: {_NO_FABRIC}"),
        ),
    )
