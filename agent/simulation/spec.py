"""What node to simulate: `8xH100`, divided as in `8xH100/7x1g.10gb`, and what is publicly known of that GPU.

Memory, clocks, power limits, PCIe and NVLink are NVIDIA's published figures; H100, H200 and L40S were
compared with what `nvidia-smi` said on real boards, spare rows included. Temperatures are the limits that
boards of the model report. Of the other models, spare rows and lowest power limits are what such boards are
known to say, unchecked, as are all InfoROM versions.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from agent.simulation.layout import Profile, parse_layout

MAX_GPUS: Final = 64
_MIB: Final = 1 << 20
_SPEC: Final = re.compile(r"(?:(?P<count>\d+)\s*[xX]\s*)?(?P<model>[A-Za-z][\w .+-]*)", re.ASCII)
_LANE: Final = {3: 984_600_000, 4: 1_969_200_000, 5: 3_938_500_000}
"""Bytes a second of one PCIe lane, by generation: 8, 16 and 32 GT/s with 128 bits in 130."""
_JPEG_AND_OFA: Final = frozenset({"jpeg", "ofa"})
_FORM: Final = (
    "write COUNTxMODEL, such as 8xH100, or with the MIG devices of each GPU, such as "
    "2xH100/3g.40gb+4x1g.10gb"
)


@dataclass(frozen=True, slots=True)
class GpuModel:
    """What does not change between two boards of one model.

    Memory in bytes, power in watts, clocks in MHz, temperatures in degrees Celsius.
    """

    name: str
    memory: int
    reserved: int
    power_limit: int
    idle_power: int
    graphics_clock: int
    idle_clock: int
    memory_clock: int
    video_clock: int
    operating_temperature: int
    slowdown_temperature: int
    shutdown_temperature: int
    pcie_generation: int
    memory_sensor: bool
    reports_margin: bool
    """Whether the driver tells the degrees left until it slows the GPU down."""
    capability: tuple[int, int]
    """CUDA compute capability, by which the driver knows what a GPU can tell."""
    power_minimum: int
    inforom: str
    engines: frozenset[str]
    """What there is beside encoder and decoder: jpeg, ofa."""
    remap_banks: int = 0
    """Banks of memory with spare rows; 0 where bad memory is retired by the page instead."""
    nvlinks: int = 0
    nvlink_speed: int = 0
    """Megabytes a second of one link in one direction, as the driver rounds it."""
    nvswitch: bool = False
    """Whether the links lead to switches, so that the GPU registers with a fabric."""
    fans: int = 0
    """Fans of its own; most boards of a server are cooled by the server's."""
    large_bar: bool = True
    """Whether the host can map all of the memory at once."""
    mig_sizes: tuple[int, int, int, int] | None = None
    """Gigabytes in the names of MIG devices with 1, 2, 4 and 8 eighths of the memory; `None`: no MIG."""

    @property
    def bar1(self) -> int:
        """Address space for device memory, bytes: a power of two that holds it all, or 256 MiB."""
        return 1 << (self.memory - 1).bit_length() if self.large_bar else 256 * _MIB

    @property
    def nvlink_bandwidth(self) -> int:
        """Bytes a second of all links together in one direction."""
        return self.nvlinks * self.nvlink_speed * 1_000_000

    @property
    def pcie_speed(self) -> int:
        """Bytes a second of 16 lanes in one direction, after their encoding."""
        return 16 * _LANE[self.pcie_generation]


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """How many GPUs of which model, and into what MIG divides each; nothing where MIG is off."""

    count: int
    model: GpuModel
    layout: tuple[Profile, ...] = ()


_H100: Final = GpuModel(
    name="NVIDIA H100 80GB HBM3",
    memory=81_559 * _MIB,
    reserved=479 * _MIB,
    power_limit=700,
    idle_power=70,
    graphics_clock=1_980,
    idle_clock=345,
    memory_clock=2_619,
    video_clock=1_545,
    operating_temperature=87,
    slowdown_temperature=89,
    shutdown_temperature=95,
    pcie_generation=5,
    memory_sensor=True,
    reports_margin=True,
    capability=(9, 0),
    power_minimum=200,
    inforom="G520.0200.00.05",
    engines=_JPEG_AND_OFA,
    mig_sizes=(10, 20, 40, 80),
    remap_banks=2_560,
    nvlinks=18,
    nvlink_speed=26_562,
    nvswitch=True,
)
_A100: Final = GpuModel(
    name="NVIDIA A100-SXM4-80GB",
    memory=81_920 * _MIB,
    reserved=616 * _MIB,
    power_limit=400,
    idle_power=55,
    graphics_clock=1_410,
    idle_clock=210,
    memory_clock=1_593,
    video_clock=1_290,
    operating_temperature=85,
    slowdown_temperature=89,
    shutdown_temperature=92,
    pcie_generation=4,
    memory_sensor=True,
    reports_margin=False,
    capability=(8, 0),
    power_minimum=100,
    inforom="G506.0210.00.03",
    engines=_JPEG_AND_OFA,
    mig_sizes=(10, 20, 40, 80),
    remap_banks=640,
    nvlinks=12,
    nvlink_speed=25_000,
    nvswitch=True,
)
_L40S: Final = GpuModel(
    name="NVIDIA L40S",
    memory=46_068 * _MIB,
    reserved=609 * _MIB,
    power_limit=350,
    idle_power=35,
    graphics_clock=2_520,
    idle_clock=210,
    memory_clock=9_001,
    video_clock=1_965,
    operating_temperature=88,
    slowdown_temperature=90,
    shutdown_temperature=93,
    pcie_generation=4,
    memory_sensor=False,
    reports_margin=True,
    capability=(8, 9),
    power_minimum=100,
    inforom="G133.0242.00.03",
    engines=_JPEG_AND_OFA,
    remap_banks=192,
)
_T4: Final = GpuModel(
    name="Tesla T4",
    memory=15_360 * _MIB,
    reserved=264 * _MIB,
    power_limit=70,
    idle_power=10,
    graphics_clock=1_590,
    idle_clock=300,
    memory_clock=5_001,
    video_clock=1_470,
    operating_temperature=85,
    slowdown_temperature=93,
    shutdown_temperature=96,
    pcie_generation=3,
    memory_sensor=False,
    reports_margin=False,
    capability=(7, 5),
    power_minimum=60,
    inforom="G183.0200.00.02",
    engines=frozenset({"ofa"}),
    large_bar=False,
)

MODELS: Final[dict[str, GpuModel]] = {
    "A10": replace(
        _L40S,
        name="NVIDIA A10",
        memory=23_028 * _MIB,
        reserved=512 * _MIB,
        power_limit=150,
        idle_power=16,
        graphics_clock=1_695,
        memory_clock=6_251,
        video_clock=1_635,
        reports_margin=False,
        capability=(8, 6),
        engines=frozenset({"ofa"}),
        remap_banks=64,
    ),
    "A10G": replace(
        _L40S,
        name="NVIDIA A10G",
        memory=23_028 * _MIB,
        reserved=512 * _MIB,
        power_limit=300,
        idle_power=18,
        graphics_clock=1_710,
        memory_clock=6_251,
        video_clock=1_500,
        reports_margin=False,
        capability=(8, 6),
        engines=frozenset({"ofa"}),
        remap_banks=64,
    ),
    "A100": _A100,
    "A100-40GB": replace(
        _A100,
        name="NVIDIA A100-SXM4-40GB",
        memory=40_960 * _MIB,
        memory_clock=1_215,
        mig_sizes=(5, 10, 20, 40),
    ),
    "A100-80GB": _A100,
    "B200": replace(
        _H100,
        name="NVIDIA B200",
        memory=183_359 * _MIB,
        reserved=723 * _MIB,
        power_limit=1_000,
        idle_power=140,
        graphics_clock=1_965,
        idle_clock=120,
        memory_clock=3_996,
        capability=(10, 0),
        nvlink_speed=53_125,
        mig_sizes=(23, 45, 90, 180),
    ),
    "H100": _H100,
    "H100-PCIE": replace(
        _H100,
        name="NVIDIA H100 PCIe",
        power_limit=350,
        idle_power=50,
        graphics_clock=1_755,
        memory_clock=1_593,
        nvlinks=0,
        nvlink_speed=0,
        nvswitch=False,
    ),
    "H200": replace(
        _H100,
        name="NVIDIA H200",
        memory=143_771 * _MIB,
        reserved=614 * _MIB,
        memory_clock=3_201,
        idle_power=75,
        remap_banks=3_072,
        mig_sizes=(18, 35, 71, 141),
    ),
    "L4": replace(
        _L40S,
        name="NVIDIA L4",
        memory=23_034 * _MIB,
        reserved=512 * _MIB,
        power_limit=72,
        idle_power=12,
        graphics_clock=2_040,
        memory_clock=6_251,
        video_clock=1_770,
        power_minimum=40,
        remap_banks=96,
    ),
    "L40S": _L40S,
    "RTX-6000-ADA": replace(
        _L40S,
        name="NVIDIA RTX 6000 Ada Generation",
        memory=49_140 * _MIB,
        power_limit=300,
        idle_power=22,
        graphics_clock=3_105,
        memory_clock=10_001,
        fans=1,
    ),
    "T4": _T4,
    "V100": replace(
        _A100,
        name="Tesla V100-SXM2-32GB",
        memory=32_768 * _MIB,
        reserved=267 * _MIB,
        power_limit=300,
        idle_power=42,
        graphics_clock=1_530,
        idle_clock=135,
        memory_clock=877,
        video_clock=1_372,
        operating_temperature=83,
        slowdown_temperature=87,
        shutdown_temperature=90,
        pcie_generation=3,
        capability=(7, 0),
        power_minimum=150,
        engines=frozenset(),
        remap_banks=0,
        nvlinks=6,
        nvlink_speed=25_781,
        nvswitch=False,
        inforom="G503.0203.00.04",
        mig_sizes=None,
    ),
}
"""By the short name that people write, in upper case."""


def parse_spec(text: str) -> NodeSpec:
    """Return the node that ``text`` means: a count and a model, or a model for a single GPU.

    Behind a slash stands what MIG divides each GPU into; see `agent.simulation.layout`. A model that is not
    in `MODELS` gets the figures of a middling data-centre GPU under its own name.
    Raises `ValueError`, with the fix in its message.
    """
    gpus, divided, layout = text.partition("/")
    match = _SPEC.fullmatch(gpus.strip())
    if match is None:
        raise ValueError(f"cannot simulate {text!r}: {_FORM}")
    count = int(match["count"] or 1)
    if not 1 <= count <= MAX_GPUS:
        raise ValueError(f"cannot simulate {count} GPUs: {_FORM}, with 1 to {MAX_GPUS} GPUs")
    model = _model(match["model"].strip())
    if not divided:
        return NodeSpec(count, model)
    if model.mig_sizes is None:
        able = ", ".join(name for name, one in MODELS.items() if one.mig_sizes)
        raise ValueError(f"cannot divide {model.name!r}, which has no MIG; these have: {able}")
    return NodeSpec(
        count, model, parse_layout(layout, model.memory - model.reserved, model.mig_sizes)
    )


def _model(name: str) -> GpuModel:
    known = MODELS.get(name.upper().removeprefix("NVIDIA ").replace(" ", "-"))
    return known or replace(_A100, name=name)
