"""The simulated GPUs behind the door of the real driver.

Values are rounded as the driver rounds them: whole degrees and percents, clocks in steps, pages of memory.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import Final
from uuid import UUID

from agent.catalogue.attributes import DRIVER_EVENT
from agent.collectors.nvml.driver import (
    Condition,
    DeviceError,
    DriverGone,
    DriverInfo,
    GpuLost,
    GpuProcess,
    Identity,
    Mig,
    Processes,
    RecentSamples,
    Sample,
    XidEvent,
)
from agent.simulation import condition, noise, texture
from agent.simulation.board import AMPERE, Board
from agent.simulation.families import enriched
from agent.simulation.mig import Tenant, mig_devices, tenants, untold
from agent.simulation.physics import Moment, Trace, throttle_reasons, trace
from agent.simulation.scenario import Scenario
from agent.simulation.spec import GpuModel, NodeSpec

_MHZ: Final = 1_000_000.0
_CLOCK_STEP: Final = 15
"""MHz between two clocks that a board can run at."""
_DRIVER: Final = DriverInfo(driver_version="590.48.01", cuda_version="13.1")
_VBIOS: Final = "96.00.A5.00.01"
_PCIE_LANES: Final = 16
_DAY_MILLIJOULES: Final = 86_400 * 1_000
_MEMORY_WARMER: Final = 4
"""Kelvin by which memory is warmer than the chip."""
_MEMORY_LIMIT: Final = 95
"""Celsius up to which stacked memory works normally."""
_TRAFFIC: Final = 0.45
"""Share of the busy time in which memory is read or written."""
SAMPLE_RATE: Final = 10
"""Samples a second that the driver takes by itself."""
SAMPLES_KEPT: Final = 120
"""How many of them it keeps."""


class SimulatedGpus:
    """A `GpuDriver` of GPUs that do not exist; see `agent.simulation.scenario` for what they do.

    The play begins when the object is made. ``nvlink_links``: tell each NVLink by itself as well. ``clock``
    gives seconds, and a test may put its own there.
    """

    def __init__(
        self,
        spec: NodeSpec,
        *,
        seed: int = 0,
        nvlink_links: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scenario: Final = Scenario(
            spec.count, capacity=spec.model.memory - spec.model.reserved, seed=seed
        )
        self._model = spec.model
        self._layout = spec.layout
        self._nvlink_links = nvlink_links
        self._clock = clock
        self._start = clock()
        self._xids_told_until: float | None = None
        self._sampled_until: dict[int, int] = {}
        """By GPU: how many samples of its own the driver has told, or let pass."""
        self._trace: Callable[[int], Trace] = cache(
            lambda index: trace(self.scenario, spec.model, index)
        )
        self._conditions: dict[int, tuple[int, Condition]] = {}
        """By GPU: the last one, and how many had come before it."""

    def elapsed(self) -> float:
        """Return the seconds since the play began."""
        return self._clock() - self._start

    def open(self) -> DriverInfo:
        """Say what driver is simulated; only errors from now on are reported."""
        if self._xids_told_until is None:
            self._xids_told_until = self.elapsed()
        return _DRIVER

    def device_count(self) -> int:
        """Return how many GPUs there are; one that is off the bus is still listed."""
        self._require_open()
        return self.scenario.count

    def identity(self, index: int) -> Identity:
        """Return what does not change of a GPU."""
        self._reach(index)
        return _identity(self._model, self.scenario.seed, index)

    def sample(self, index: int) -> Sample:
        """Return what is true of a GPU now."""
        elapsed = self._reach(index)
        board = self._board(index)
        used = sum(one.who.memory for one in self._tenants(index, elapsed))
        energy = _energy_before(board) + board.trace.energy_at(elapsed)
        plain = _sample(self._model, board.trace.at(elapsed), used, energy)
        full = enriched(plain, board, elapsed, self._condition(board, elapsed))
        return untold(full) if self._layout else full

    def recent(self, index: int) -> RecentSamples:
        """Return what the driver sampled of a GPU since the last call, ten times a second."""
        until = int(self._reach(index) * SAMPLE_RATE)
        since = self._sampled_until.get(index, until)
        self._sampled_until[index] = until
        first = max(since, until - SAMPLES_KEPT)
        board, seed = self._trace(index), self.scenario.seed
        recent = _recent(
            [texture.sample(self._model, board, seed, index, n) for n in range(first, until)],
            whole=first == since,
        )
        return RecentSamples(power=recent.power) if self._layout else recent

    def processes(self, index: int) -> Processes:
        """Return who uses a GPU now."""
        elapsed = self._reach(index)
        tenants = self._tenants(index, elapsed)
        busy = int(self._trace(index).at(elapsed).utilization * 100) / 100
        held = sum(one.who.memory for one in tenants) or 1
        return Processes(
            compute=tuple(
                GpuProcess(
                    *who,
                    utilization=busy * who.memory / held if instance is None else None,
                    container=_container(self.scenario.seed, who.pid, who.name),
                    gpu_instance=instance,
                    compute_instance=None if instance is None else 0,
                )
                for who, instance in tenants
            ),
            graphics=(),
            complete=True,
        )

    def mig(self, index: int) -> Mig:
        """Return into what MIG divides a GPU."""
        elapsed = self._reach(index)
        if not self._layout:
            return Mig(enabled=None if self._model.mig_sizes is None else False)
        parts = mig_devices(
            self._board(index), self._layout, self._tenants(index, elapsed), elapsed
        )
        return Mig(enabled=True, devices=tuple(parts))

    def xid_events(self) -> tuple[XidEvent, ...]:
        """Return the errors that came since the last call, oldest first."""
        after = self._require_open()
        self._xids_told_until = self.elapsed()
        xids = self.scenario.xids(after, self._xids_told_until)
        return tuple(XidEvent(xid.gpu_index, xid.code) for xid in xids)

    def close(self) -> None:
        """End the connection; the play goes on."""
        self._xids_told_until = None

    def _require_open(self) -> float:
        if self._xids_told_until is None:
            raise DriverGone("the simulated driver is closed")
        return self._xids_told_until

    def _board(self, index: int) -> Board:
        part, seed = self.scenario.parts[index], self.scenario.seed
        return Board(
            self._model,
            part,
            self._trace(index),
            seed,
            index,
            divided=bool(self._layout),
            each_link=self._nvlink_links,
        )

    def _tenants(self, index: int, elapsed: float) -> tuple[Tenant, ...]:
        occupants = self.scenario.occupants(index, elapsed)
        return tenants(self._layout, occupants, self.scenario.capacity)

    def _condition(self, board: Board, elapsed: float) -> Condition:
        """Return what moves slowly, as it was when it was last looked at; the same object until it moves."""
        number = int(elapsed // condition.SECONDS)
        kept = self._conditions.get(board.index)
        if kept and kept[0] == number:
            return kept[1]
        looked = float(number * condition.SECONDS)
        contexts = len(self._tenants(board.index, looked))
        found = condition.condition(board, contexts, looked)
        if kept and kept[1] == found:
            found = kept[1]
        self._conditions[board.index] = (number, found)
        return found

    def _reach(self, index: int) -> float:
        """Return the seconds since the start, if the GPU answers."""
        self._require_open()
        if not 0 <= index < self.scenario.count:
            raise DeviceError("invalid_argument", f"there is no simulated GPU {index}")
        elapsed = self.elapsed()
        if self.scenario.lost(index, elapsed):
            raise GpuLost("GPU is lost")
        return elapsed


def _identity(model: GpuModel, seed: int, index: int) -> Identity:
    return Identity(
        uuid=f"GPU-{UUID(bytes=noise.digest(seed, index, 'uuid', size=16))}",
        model=model.name,
        serial=f"165{int(noise.unit(seed, index, 'serial') * 10**10):010}",
        pci_bus_id=f"00000000:{4 + 3 * index:02X}:00.0",
        vbios=_VBIOS,
        inforom=model.inforom,
        graphics_clock_limit=model.graphics_clock * _MHZ,
        sm_clock_limit=model.graphics_clock * _MHZ,
        memory_clock_limit=model.memory_clock * _MHZ,
        video_clock_limit=model.video_clock * _MHZ,
        pcie_generation_limit=model.pcie_generation,
        pcie_width_limit=_PCIE_LANES,
        slowdown_temperature=float(model.slowdown_temperature),
        shutdown_temperature=float(model.shutdown_temperature),
        maximum_temperature=float(model.operating_temperature),
        maximum_memory_temperature=float(_MEMORY_LIMIT) if model.memory_sensor else None,
        power_default_limit=float(model.power_limit),
        power_minimum_limit=float(model.power_minimum),
        power_maximum_limit=float(model.power_limit),
        announces=frozenset(DRIVER_EVENT.values) if model.capability >= AMPERE else frozenset(),
    )


def _sample(model: GpuModel, board: Moment, used: int, energy: int) -> Sample:
    temperature = int(board.temperature)
    margin = model.operating_temperature - temperature
    graphics_clock = _clock(model.graphics_clock, board.speed) if used else model.idle_clock * _MHZ
    return Sample(
        memory_total=model.memory,
        memory_used=used,
        memory_free=model.memory - model.reserved - used,
        memory_reserved=model.reserved,
        utilization=int(board.utilization * 100) / 100,
        memory_controller_utilization=int(board.utilization * _TRAFFIC * 100) / 100,
        encoder_utilization=0.0,
        decoder_utilization=0.0,
        temperature=float(temperature),
        memory_temperature=float(temperature + _MEMORY_WARMER) if model.memory_sensor else None,
        temperature_margin=float(margin) if model.reports_margin else None,
        power=board.power / 1_000,
        power_limit=float(model.power_limit),
        energy=energy / 1_000,
        graphics_clock=graphics_clock,
        sm_clock=graphics_clock,
        memory_clock=model.memory_clock * _MHZ,
        video_clock=_clock(model.video_clock, board.speed),
        performance_state=0,
        pcie_generation=model.pcie_generation,
        pcie_width=_PCIE_LANES,
        throttle_reasons=throttle_reasons(model, board),
    )


def _recent(samples: list[texture.Fine], *, whole: bool) -> RecentSamples:
    """Return samples as the driver tells them; the first after a hole in them stands for no time."""
    seconds = [1 / SAMPLE_RATE] * len(samples)
    if samples and not whole:
        seconds[0] = 0.0
    shares = [int(sample.utilization * 100) / 100 for sample in samples]
    traffic = [int(sample.utilization * _TRAFFIC * 100) / 100 for sample in samples]
    watts = [sample.power / 1_000 for sample in samples]
    return RecentSamples(
        utilization=tuple(zip(seconds, shares, strict=True)),
        memory_controller_utilization=tuple(zip(seconds, traffic, strict=True)),
        power=tuple(zip(seconds, watts, strict=True)),
    )


def _container(seed: int, pid: int, name: str) -> str:
    """Return where a process runs: all in containers of their own, but for what somebody tries by hand."""
    return "" if name == "pytest" else noise.digest(seed, pid, name, size=32).hex()


def _clock(maximum: int, speed: float) -> float:
    if speed >= 1.0:
        return maximum * _MHZ
    return maximum * speed // _CLOCK_STEP * _CLOCK_STEP * _MHZ


def _energy_before(board: Board) -> int:
    """Return what the GPU used before the play, in millijoules: some days at a good half of its limit."""
    return int(board.days_up * 0.6 * board.model.power_limit) * _DAY_MILLIJOULES
