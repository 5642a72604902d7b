"""The narrow door between the collector and whatever knows the GPUs.

The real library and the simulated node stand behind the same protocol, so everything above it runs the
same with and without a GPU. All values cross it in the catalogue's units (W, J, Hz, bytes, Celsius, shares
of 1), never in the library's; `None` is a value that the device lacks or that could not be read just now.
Only the second is a `FieldProblem`.
"""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from agent.catalogue.attributes import THROTTLE_REASON

ALL_THROTTLE_REASONS: frozenset[str] = frozenset(THROTTLE_REASON.values) - {
    "board_limit",
    "low_utilization",
    "reliability",
}
"""The reasons that a GPU can say to be active now; the others are only counted as time."""


class DeviceError(Exception):
    """One GPU did not answer a call; the others may. ``reason`` is one word for a counter."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class GpuLost(DeviceError):  # noqa: N818 - a state of the GPU, in the driver's own word
    """The GPU cannot be reached any more: off the bus, or in need of a reset before any use."""

    def __init__(self, detail: str) -> None:
        super().__init__("gpu_lost", detail)


class DriverGone(Exception):  # noqa: N818 - a state of the driver
    """The driver was unloaded or replaced: nothing answers until it is closed and opened again."""


class FieldProblem(NamedTuple):
    """A value that could not be read or believed, though the device has it.

    ``field`` is the name of the record's field, ``reason`` one snake_case word of few, ``detail`` what
    the library said.
    """

    field: str
    reason: str
    detail: str


class DriverInfo(NamedTuple):
    """What is true of the whole node; an empty string is unknown."""

    driver_version: str
    cuda_version: str
    """Newest CUDA version that the driver supports, such as ``12.4``."""


class Identity(NamedTuple):
    """What does not change of a GPU while the driver is open. An empty string is unknown."""

    uuid: str
    model: str = ""
    serial: str = ""
    pci_bus_id: str = ""
    """As NVML gives it: ``00000000:1B:00.0``."""
    vbios: str = ""
    inforom: str = ""
    graphics_clock_limit: float | None = None
    """Highest clocks that the board supports, Hz."""
    sm_clock_limit: float | None = None
    memory_clock_limit: float | None = None
    video_clock_limit: float | None = None
    pcie_generation_limit: int | None = None
    pcie_width_limit: int | None = None
    slowdown_temperature: float | None = None
    """Celsius: at which the driver slows the clocks, the board switches off, normal operation ends."""
    shutdown_temperature: float | None = None
    maximum_temperature: float | None = None
    maximum_memory_temperature: float | None = None
    power_default_limit: float | None = None
    """W: what the board starts with, and between what the limit can be set."""
    power_minimum_limit: float | None = None
    power_maximum_limit: float | None = None
    throttle_reasons: frozenset[str] = ALL_THROTTLE_REASONS
    """The reasons that this GPU can report, in the catalogue's words."""
    reports_xids: bool = True
    """Whether this GPU's XIDs come through `GpuDriver.xid_events`."""
    announces: frozenset[str] = frozenset()
    """What else comes through it, in the words of the catalogue's `hw.gpu.driver.event`."""
    problems: tuple[FieldProblem, ...] = ()
    """Not empty: worth asking for the identity again later."""


class Link(NamedTuple):
    """One NVLink of a GPU, in the catalogue's words."""

    number: int
    """From 0."""
    state: str | None = None
    bandwidth: float | None = None
    """Bytes per second in one direction."""
    transmitted: int | None = None
    """Payload bytes, cumulative."""
    received: int | None = None
    errors: Mapping[str, int] | None = None
    """Cumulative, by kind."""


class Condition(NamedTuple):
    """What moves slowly, asked every few seconds and kept in between.

    The same object in two samples means that nothing was asked in between. A state is one of the words of
    the catalogue's attribute; a mapping has the entries that the GPU can tell.
    """

    bar1_total: int | None = None
    """Bytes."""
    bar1_used: int | None = None
    fan_speeds: Mapping[str, float] | None = None
    """Shares of 1, by the fan's index."""
    ecc_errors: Mapping[tuple[str, str], int] | None = None
    """By kind (corrected, uncorrected) and location: since the driver was loaded."""
    ecc_lifetime_errors: Mapping[tuple[str, str], int] | None = None
    sram_threshold_exceeded: bool | None = None
    retired_pages: Mapping[str, int] | None = None
    """By cause."""
    retired_pages_pending: bool | None = None
    remapped_rows: Mapping[str, int] | None = None
    """By kind (corrected, uncorrected)."""
    row_remap_pending: bool | None = None
    row_remap_failure: bool | None = None
    row_remap_banks: Mapping[str, int] | None = None
    """By how many spare rows they have left."""
    persistence_mode: bool | None = None
    compute_mode: str | None = None
    ecc_enabled: bool | None = None
    ecc_enabled_pending: bool | None = None
    mig_enabled: bool | None = None
    mig_enabled_pending: bool | None = None
    fabric_state: str | None = None
    fabric_failed: bool | None = None
    """Whether the registration ended with an error; `None` before it ended."""
    fabric_health: str | None = None
    fabric_faults: Mapping[str, bool] | None = None
    nvlinks: Mapping[str, int] | None = None
    """How many links are in each state."""
    nvlink_bandwidth: float | None = None
    """Bytes per second in one direction, all active links together."""
    nvlink_errors: Mapping[str, int] | None = None
    """All links together, by kind, cumulative."""
    nvlink_bytes: Mapping[str, int] | None = None
    """All links together, by direction, where the driver gives them per link only."""
    links: tuple[Link, ...] | None = None
    """Each link by itself, where that was asked for."""


class Sample(NamedTuple):
    """What moves: the values of one GPU at one moment."""

    memory_total: int | None = None
    """Bytes. Used is what processes allocated, without what the driver reserves for itself."""
    memory_used: int | None = None
    memory_free: int | None = None
    memory_reserved: int | None = None
    utilization: float | None = None
    """Shares of 1 of the last sample period."""
    memory_controller_utilization: float | None = None
    encoder_utilization: float | None = None
    decoder_utilization: float | None = None
    temperature: float | None = None
    """Celsius."""
    memory_temperature: float | None = None
    temperature_margin: float | None = None
    """Celsius until the slowdown begins, as the driver tells; negative beyond it."""
    power: float | None = None
    """W, as is the limit that is enforced now."""
    power_limit: float | None = None
    energy: float | None = None
    """J since the driver was loaded."""
    graphics_clock: float | None = None
    """Hz."""
    sm_clock: float | None = None
    memory_clock: float | None = None
    video_clock: float | None = None
    performance_state: int | None = None
    """NVML's P-state, 0 (fastest) to 15."""
    pcie_generation: int | None = None
    pcie_width: int | None = None
    throttle_reasons: frozenset[str] | None = None
    """The reasons that hold the clocks down now, in the catalogue's words."""
    jpeg_utilization: float | None = None
    """Shares of 1, as are the other engines'."""
    ofa_utilization: float | None = None
    power_instant: float | None = None
    """W, at this moment and on average of the last second."""
    power_average: float | None = None
    throttle_time: Mapping[str, float] | None = None
    """Seconds, cumulative, by reason."""
    recovery_action: str | None = None
    """What the driver asks for, in the catalogue's words."""
    pcie_bytes: Mapping[str, int] | None = None
    """Cumulative, by direction (transmit, receive); wraps of the hardware's counter are undone."""
    pcie_throughput: Mapping[str, float] | None = None
    """Bytes per second, by direction."""
    pcie_replays: int | None = None
    """Cumulative."""
    nvlink_bytes: Mapping[str, int] | None = None
    """Payload over all links, cumulative, by direction."""
    nvlink_throughput: Mapping[str, float] | None = None
    """Bytes per second over all links, by direction."""
    sm_active: float | None = None
    """Shares of 1 between the last sample and this one, from the GPU's performance counters."""
    sm_occupancy: float | None = None
    pipe_active: Mapping[str, float] | None = None
    """By pipe: tensor, fp64, fp32, fp16, integer."""
    memory_bandwidth_utilization: float | None = None
    condition: Condition | None = None
    """What moves slowly; `None` where it was never asked for."""
    problems: tuple[FieldProblem, ...] = ()


Timed = tuple[float, float]
"""For how many seconds a value held, and the value."""


class RecentSamples(NamedTuple):
    """What the driver itself sampled since it was last asked, oldest first; empty where it does not.

    Together the samples may cover less than the time since then: a value of 0 seconds tells a value and
    no time.
    """

    utilization: tuple[Timed, ...] = ()
    """Shares of 1, as in `Sample`."""
    memory_controller_utilization: tuple[Timed, ...] = ()
    power: tuple[Timed, ...] = ()
    """W."""
    problems: tuple[FieldProblem, ...] = ()


class GpuProcess(NamedTuple):
    """A process with a context on a GPU."""

    pid: int
    name: str
    """The executable's name, never its path or arguments; empty where it cannot be known."""
    memory: int | None
    """Device memory that it holds, bytes; `None` where the driver does not tell."""
    utilization: float | None = None
    """Share of 1 of the time since the last question in which its kernels ran."""
    container: str = ""
    """The id of the container that it runs in; empty where it runs in none, or none is known."""
    gpu_instance: int | None = None
    """Which part of a GPU divided by MIG it uses; `None` where the GPU is not divided."""
    compute_instance: int | None = None


class Processes(NamedTuple):
    """Who uses a GPU; `None` where the list cannot be had. A process may be in both lists."""

    compute: tuple[GpuProcess, ...] | None = None
    graphics: tuple[GpuProcess, ...] | None = None
    complete: bool = False
    """Whether every process of the machine would be listed, those of other containers too."""
    problems: tuple[FieldProblem, ...] = ()


class MigDevice(NamedTuple):
    """A compute instance within a GPU instance, which its programs see as a GPU.

    What belongs to the GPU instance is told by the first of the compute instances that share it, and
    `None` in the others.
    """

    uuid: str
    gpu_instance: int
    compute_instance: int
    profile: str = ""
    """NVIDIA's name of its size, such as ``1g.10gb``; empty is unknown."""
    memory_total: int | None = None
    """Bytes, of the GPU instance."""
    memory_used: int | None = None
    memory_free: int | None = None
    utilization: float | None = None
    """Shares of 1 between the last sample and this one, of the GPU instance."""
    sm_active: float | None = None
    sm_occupancy: float | None = None
    pipe_active: Mapping[str, float] | None = None
    memory_bandwidth_utilization: float | None = None


class Mig(NamedTuple):
    """How MIG divides a GPU."""

    enabled: bool | None = None
    """`None` where the GPU cannot be divided, or does not say."""
    devices: tuple[MigDevice, ...] = ()
    """In the order of their numbers."""
    problems: tuple[FieldProblem, ...] = ()


class XidEvent(NamedTuple):
    """The driver reported an error of a GPU."""

    gpu_index: int | None
    """`None` where the driver does not say which GPU it was."""
    code: int
    announcement: str = ""
    """Not an XID: what the driver announced, in the words of the catalogue's `hw.gpu.driver.event`."""


class GpuDriver(Protocol):
    """A source of GPUs. Called by one thread at a time, and allowed to block.

    A GPU is addressed by its ``index``, 0 to `device_count` less one, which holds while the driver is
    open. Every method but `open` and `close` may raise `DriverGone`; those that take an index may raise
    `DeviceError`, and `GpuLost` above all.
    """

    def open(self) -> DriverInfo:
        """Connect, or find that it is connected already, and say to what.

        Raises `agent.collector.Unavailable` where the library, the driver or every GPU is missing: what
        is missing, and what to do. Worth calling again: the driver may be loaded later.
        """
        ...

    def device_count(self) -> int:
        """Return how many GPUs are listed, lost ones included where the driver still lists them."""
        ...

    def identity(self, index: int) -> Identity:
        """Return what does not change of a GPU."""
        ...

    def sample(self, index: int) -> Sample:
        """Return what is true of a GPU now."""
        ...

    def recent(self, index: int) -> RecentSamples:
        """Return what the driver sampled of a GPU since the last call, and nothing at the first one."""
        ...

    def processes(self, index: int) -> Processes:
        """Return who uses a GPU now."""
        ...

    def mig(self, index: int) -> Mig:
        """Return into what MIG divides a GPU now."""
        ...

    def xid_events(self) -> tuple[XidEvent, ...]:
        """Return the errors that came since the last call, oldest first. Does not wait."""
        ...

    def close(self) -> None:
        """Release everything. Safe to call twice, and before `open`."""
        ...
