"""The play: which GPU does what, and when something goes wrong.

Everything is a pure function of the seed, the GPU and the seconds since the start, and the whole play
repeats after `PERIOD`. What goes wrong is never announced here but shown as hardware shows it: memory
that grows until its process is gone, heat that the clocks answer to, a GPU that no longer answers. Only
XIDs are events, because the driver reports them as such.
"""

import math
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final, NamedTuple

from agent.simulation import noise

PERIOD: Final = 300.0
"""Seconds until the play repeats."""
XID_ENGINE_EXCEPTION: Final = 13
XID_OFF_THE_BUS: Final = 79

LEAK_PERIOD: Final = 100.0
_LEAK_FULL: Final = 88.0
LEAK_DEATH: Final = 96.0
"""Seconds into a leak at which its allocation fails and the process dies; the next starts at the period."""
CRASH_START: Final = 20.0
CRASH: Final = 45.0
"""When a short test job begins, and when it dies of an engine exception."""
AIRFLOW_BLOCKED: Final = 30.0
AIRFLOW_FREE: Final = 130.0
LOST: Final = 150.0
FOUND: Final = 240.0
RELOAD: Final = 8.0
"""Seconds that a model server takes to load its weights after the reset."""


class Part(Enum):
    """What a GPU does in the play. The order is that of the GPUs on the node."""

    TRAINING = "training"
    SERVING = "serving"
    OVERHEATING = "overheating"
    FALLING = "falling"
    IDLE = "idle"
    LEAK = "leak"


_CAST: Final = (
    Part.LEAK,
    Part.FALLING,
    Part.OVERHEATING,
    Part.TRAINING,
    Part.IDLE,
    Part.SERVING,
    Part.TRAINING,
    Part.TRAINING,
)
"""Who is cast first where there are fewer GPUs than parts."""
_EXTRAS: Final = (Part.TRAINING, Part.TRAINING, Part.TRAINING, Part.SERVING)
_STAGE_ORDER: Final = tuple(Part)


@cache
def deal(count: int) -> tuple[Part, ...]:
    """Return the part of each of ``count`` GPUs; each fault strikes once, however large the node."""
    cast = [
        _CAST[n] if n < len(_CAST) else _EXTRAS[(n - len(_CAST)) % len(_EXTRAS)]
        for n in range(count)
    ]
    return tuple(sorted(cast, key=_STAGE_ORDER.index))


class Load(NamedTuple):
    """What the work on a GPU asks of it, in shares of 1."""

    utilization: float
    """Share of time in which a kernel runs."""
    intensity: float
    """Share of the board's power range that a running kernel draws."""


class Occupant(NamedTuple):
    """A process on a GPU and the device memory that it holds, bytes."""

    pid: int
    name: str
    memory: int


class Xid(NamedTuple):
    """An error that the driver reports ``second`` seconds after the start."""

    second: float
    gpu_index: int
    code: int


def wave(seed: int, service: str, elapsed: float) -> float:
    """Return how much traffic a service gets, 0 to 1: tides of 150 s and 60 s, the same each period."""
    shift = noise.unit(seed, service, "tide")
    slow = math.sin(2 * math.pi * (elapsed / 150.0 + shift))
    fast = math.sin(2 * math.pi * (elapsed / 60.0 - shift))
    return 0.58 + 0.24 * slow + 0.14 * fast


@dataclass(frozen=True, slots=True)
class Scenario:
    """The play on a node of ``count`` GPUs with ``capacity`` bytes that processes can allocate on each."""

    count: int
    capacity: int
    seed: int = 0

    @property
    def parts(self) -> tuple[Part, ...]:
        """The part of each GPU."""
        return deal(self.count)

    @property
    def crash_site(self) -> int:
        """The GPU on which a test job dies of an engine exception."""
        parts = self.parts
        return parts.index(Part.TRAINING if Part.TRAINING in parts else Part.LEAK)

    def lost(self, index: int, elapsed: float) -> bool:
        """Whether the GPU is off the bus."""
        return self.parts[index] is Part.FALLING and LOST <= elapsed % PERIOD < FOUND

    def airflow_blocked(self, index: int, elapsed: float) -> bool:
        """Whether the GPU's cooling fails, so that it will get too hot for its load."""
        blocked = AIRFLOW_BLOCKED <= elapsed % PERIOD < AIRFLOW_FREE
        return blocked and self.parts[index] is Part.OVERHEATING

    def load(self, index: int, elapsed: float) -> Load:
        """Return what the work on the GPU asks of it."""
        second = elapsed % PERIOD
        part = self.parts[index]
        jitter = noise.around(0.0, 0.02, self.seed, index, int(second * 2), "load")
        if part is Part.TRAINING:
            return _training(second, jitter)
        if part in (Part.SERVING, Part.OVERHEATING):
            return Load(0.2 + 0.75 * wave(self.seed, "vllm", second) + jitter, 0.8)
        if part is Part.FALLING:
            loading = FOUND <= second < FOUND + RELOAD
            return Load(0.0 if loading else 0.75 * wave(self.seed, "triton", second) + jitter, 0.6)
        if part is Part.LEAK and second % LEAK_PERIOD < LEAK_DEATH:
            return Load(0.5 + 5 * jitter, 0.7)
        return Load(0.0, 0.0)

    def occupants(self, index: int, elapsed: float) -> tuple[Occupant, ...]:
        """Return the processes on the GPU; a restarted one has another pid."""
        if self.lost(index, elapsed):
            return ()
        main = self._main_process(index, elapsed)
        if index == self.crash_site and CRASH_START <= elapsed % PERIOD < CRASH:
            test_job = self._pid(index, int(elapsed // PERIOD), lane=1)
            return (*main, Occupant(test_job, "pytest", self._share(0.03)))
        return main

    def xids(self, after: float, until: float) -> tuple[Xid, ...]:
        """Return the errors that come later than ``after`` and no later than ``until``, oldest first."""
        cycles = range(max(0, int(after // PERIOD)), int(until // PERIOD) + 1)
        errors = (
            Xid(cycle * PERIOD + second, index, code)
            for cycle in cycles
            for second, index, code in self._errors()
        )
        return tuple(error for error in errors if after < error.second <= until)

    def _errors(self) -> tuple[Xid, ...]:
        crash = Xid(CRASH, self.crash_site, XID_ENGINE_EXCEPTION)
        if Part.FALLING not in self.parts:
            return (crash,)
        return (crash, Xid(LOST, self.parts.index(Part.FALLING), XID_OFF_THE_BUS))

    def _main_process(self, index: int, elapsed: float) -> tuple[Occupant, ...]:
        part = self.parts[index]
        if part is Part.TRAINING:
            return (Occupant(self._pid(index, 0), "torchrun", self._share(0.74)),)
        if part in (Part.SERVING, Part.OVERHEATING):
            return (Occupant(self._pid(index, 0), "vllm", self._share(0.9)),)
        if part is Part.FALLING:
            resets = int((elapsed + PERIOD - FOUND) // PERIOD)
            return (Occupant(self._pid(index, resets), "tritonserver", self._share(0.38)),)
        if part is Part.IDLE:
            return (Occupant(self._pid(index, 0), "python3", self._share(0.55)),)
        return self._leak(index, elapsed)

    def _leak(self, index: int, elapsed: float) -> tuple[Occupant, ...]:
        age = elapsed % LEAK_PERIOD
        if age >= LEAK_DEATH:
            return ()
        share = 0.22 + (0.995 - 0.22) * min(age / _LEAK_FULL, 1.0)
        restarts = int(elapsed // LEAK_PERIOD)
        return (Occupant(self._pid(index, restarts), "python3", self._share(share)),)

    def _share(self, share: float) -> int:
        """Return a share of the capacity, in the 2 MiB pages in which device memory is handed out."""
        return int(self.capacity * share) >> 21 << 21

    def _pid(self, index: int, restarts: int, lane: int = 0) -> int:
        first = 2_000 + noise.digest(self.seed, "pid", size=1)[0]
        return first + (restarts * 128 + index * 2 + lane) % 4_000_000


def _training(second: float, jitter: float) -> Load:
    if second % 60.0 >= 56.0:  # a checkpoint is written: the GPUs wait for the disk
        return Load(0.04, 0.3)
    if second % 2.5 < 0.5:  # the gradients of a step are exchanged
        return Load(0.84 + jitter, 0.7)
    return Load(0.97 + jitter, 0.92)
