"""What a simulated GPU tells beyond its plain sample: traffic, profiling, engines, time held down.

Everything is a pure function of the board, the seed and the seconds since the start. Counters are exact
integrals of what the board does, so they agree with its utilization and clocks, never fall, and do not
depend on who samples them. What a model cannot tell is absent here as it is on the real one.
"""

from typing import Final, NamedTuple

from agent.catalogue.attributes import DIRECTION, THROTTLE_REASON
from agent.collectors.nvml.driver import Condition, Sample
from agent.simulation.board import AMPERE, DAY, HOPPER, Board
from agent.simulation.physics import Moment, work_rate
from agent.simulation.scenario import Part

_MICRO: Final = 1_000_000
_COUNTED_REASONS: Final = tuple(word for word in THROTTLE_REASON.values if word != "hw_slowdown")
"""Reasons whose time the driver counts; the slowdown itself is counted by its causes."""


class Mix(NamedTuple):
    """What a kind of work uses while a kernel runs, as shares of the most there can be."""

    sm: float
    occupancy: float
    bandwidth: float
    pipes: dict[str, float]
    transmit: float
    """Of PCIe."""
    receive: float
    link: float
    """Of NVLink, either way."""
    jpeg: float = 0.0


_TRAINING: Final = Mix(
    sm=0.94,
    occupancy=0.38,
    bandwidth=0.41,
    pipes={"tensor": 0.52, "fp64": 0.0, "fp32": 0.11, "fp16": 0.05, "integer": 0.14},
    transmit=0.02,
    receive=0.05,
    link=0.34,
)
_SERVING: Final = Mix(
    sm=0.88,
    occupancy=0.27,
    bandwidth=0.44,
    pipes={"tensor": 0.19, "fp64": 0.0, "fp32": 0.06, "fp16": 0.07, "integer": 0.1},
    transmit=0.008,
    receive=0.011,
    link=0.05,
)
_VISION: Final = Mix(
    sm=0.64,
    occupancy=0.33,
    bandwidth=0.24,
    pipes={"tensor": 0.16, "fp64": 0.0, "fp32": 0.13, "fp16": 0.06, "integer": 0.09},
    transmit=0.012,
    receive=0.09,
    link=0.0,
    jpeg=0.3,
)
_SCRIPT: Final = Mix(
    sm=0.57,
    occupancy=0.22,
    bandwidth=0.3,
    pipes={"tensor": 0.0, "fp64": 0.02, "fp32": 0.28, "fp16": 0.0, "integer": 0.12},
    transmit=0.01,
    receive=0.02,
    link=0.0,
)
_MIXES: Final = {
    Part.TRAINING: _TRAINING,
    Part.SERVING: _SERVING,
    Part.OVERHEATING: _SERVING,
    Part.FALLING: _VISION,
    Part.IDLE: _SCRIPT,
    Part.LEAK: _SCRIPT,
}


class Activity(NamedTuple):
    """What performance counters say, in the words of a sample."""

    sm_active: float
    sm_occupancy: float
    pipe_active: dict[str, float]
    memory_bandwidth_utilization: float


def activity(part: Part, busy: float) -> Activity:
    """Return what the counters say while kernels of this part run for a share ``busy`` of the time."""
    mix = _MIXES[part]
    active = busy * mix.sm
    return Activity(
        sm_active=round(active, 4),
        sm_occupancy=round(active * mix.occupancy, 4),
        pipe_active={pipe: round(active * share, 4) for pipe, share in mix.pipes.items()},
        memory_bandwidth_utilization=round(busy * mix.bandwidth, 4),
    )


def enriched(sample: Sample, board: Board, elapsed: float, condition: Condition) -> Sample:
    """Return the sample with what else the model can tell at this moment."""
    now = board.trace.at(elapsed)
    has = board.model.engines
    jpeg = int(now.utilization * _MIXES[board.part].jpeg * 100) / 100
    return _profiled(_powered(sample, board, elapsed, now), board, now)._replace(
        jpeg_utilization=jpeg if "jpeg" in has else None,
        ofa_utilization=0.0 if "ofa" in has else None,
        throttle_time=_throttle_time(board, elapsed),
        recovery_action="none" if board.model.capability >= AMPERE else None,
        pcie_bytes=_pcie_bytes(board, elapsed),
        pcie_throughput=_pcie_throughput(board, now),
        pcie_replays=board.rare("replays", elapsed, days=2.0),
        nvlink_bytes=nvlink_bytes(board, elapsed),
        nvlink_throughput=_nvlink_throughput(board, now),
        condition=condition,
    )


def _powered(sample: Sample, board: Board, elapsed: float, now: Moment) -> Sample:
    """Add the two other powers, which boards since Ampere tell."""
    if board.model.capability < AMPERE:
        return sample
    begin = max(0.0, elapsed - 1.0)
    joules = (board.trace.energy_at(elapsed) - board.trace.energy_at(begin)) / 1_000
    average = joules / (elapsed - begin) if elapsed >= 1.0 else now.power / 1_000
    return sample._replace(power_instant=now.power / 1_000, power_average=round(average, 3))


def _profiled(sample: Sample, board: Board, now: Moment) -> Sample:
    """Add the performance counters, which can be read without root since Hopper."""
    if board.model.capability < HOPPER:
        return sample
    return sample._replace(**activity(board.part, now.utilization)._asdict())


def _throttle_time(board: Board, elapsed: float) -> dict[str, float]:
    held = board.trace.throttled
    return {
        reason: held[reason].until(elapsed) / _MICRO if reason in held else 0.0
        for reason in _COUNTED_REASONS
    }


def _pcie_shares(board: Board) -> tuple[tuple[str, float], ...]:
    mix = _MIXES[board.part]
    return tuple(zip(DIRECTION.values, (mix.transmit, mix.receive), strict=True))


def _pcie_bytes(board: Board, elapsed: float) -> dict[str, int] | None:
    if board.model.capability < AMPERE:
        return None
    speed = board.model.pcie_speed
    return {way: _moved(board, speed * share, elapsed) for way, share in _pcie_shares(board)}


def _pcie_throughput(board: Board, now: Moment) -> dict[str, float]:
    speed = board.model.pcie_speed * work_rate(now)
    return {way: float(int(speed * share)) for way, share in _pcie_shares(board)}


def _nvlink_speed(board: Board) -> float:
    """Return the bytes a second that the work moves over all links, either way, at full speed."""
    return board.model.nvlink_bandwidth * _MIXES[board.part].link


def nvlink_bytes(board: Board, elapsed: float) -> dict[str, int] | None:
    """Return what all links moved, by direction, ``elapsed`` seconds after the start."""
    if not board.model.nvlinks:
        return None
    speed = _nvlink_speed(board)
    before = int(speed * 0.6 * board.days_up * DAY)
    return dict.fromkeys(DIRECTION.values, before + _moved(board, speed, elapsed))


def _nvlink_throughput(board: Board, now: Moment) -> dict[str, float] | None:
    if not board.model.nvlinks or board.model.capability < HOPPER:
        return None
    return dict.fromkeys(DIRECTION.values, float(int(_nvlink_speed(board) * work_rate(now))))


def _moved(board: Board, speed: float, elapsed: float) -> int:
    """Return the bytes since the start, if full work moves ``speed`` bytes a second."""
    return board.trace.work.until(elapsed) * int(speed) // (_MICRO * _MICRO)
