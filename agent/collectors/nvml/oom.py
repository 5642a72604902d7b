"""Infers that a process ran out of GPU memory: no driver reports it.

What is seen, once a second, is who holds how much and how much is free. A process that fails an allocation
mostly dies within a second, and its last trace is a device with next to nothing left. A process that is
stopped on purpose can leave the same trace, so three things are told apart:

- *full*: at last sight at most 2 % of the device was free (brim), or at most 5 % (near), or at most 25 %
  and at the pace of its growth none by the time that it was missed (outrun). A server that takes a fixed
  share, such as 90 %, is none of these.
- *climbing*: it was still taking more memory in its last 15 s. A server that holds all it ever will, or an
  allocator's plateau, does not climb; a leak, and a batch that does not fit, do.
- *main*: it held at least half of what was in use.

====================================================  ==========
evidence                                              confidence
====================================================  ==========
climbing, main, brim                                  high
climbing, main, near or outrun                        medium
climbing, not main, brim (it wanted what others hold) medium
main, brim, climbed within the last 2 min             medium
main, brim, steady (a normal stop looks so too)       low
came within 30 s to a device at the brim              low
anything else                                         none
====================================================  ==========

One step less where the device did not get back half of what the process held, or where it was last seen
more than 10 s ago. Who frees memory before leaving was not near full at last sight, and raises nothing.
These bounds are a judgement, chosen for a sample a second, and not NVIDIA's.

A GPU that MIG divides runs out of memory part by part: each GPU instance is judged by its own memory and its
own processes, and the board as a whole is not, since nobody can allocate from it.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Final, Literal, NamedTuple

from agent.collectors.nvml.driver import GpuProcess, Mig, MigDevice, Processes, Sample

Confidence = Literal["high", "medium", "low"]

_BRIM: Final = 0.02
_NEAR: Final = 0.05
_OUTRUN: Final = 0.25
_MAIN: Final = 0.5
_RELEASED: Final = 0.5
_STEP: Final = 0.001
"""Growth of less than this share of the device is no growth: a context's bookkeeping."""
_CLIMBING_SECONDS: Final = 15.0
_LATELY_SECONDS: Final = 120.0
_NEWCOMER_SECONDS: Final = 30.0
_FRESH_SECONDS: Final = 10.0
_WEAKER: Final[Mapping[Confidence, Confidence | None]] = {
    "high": "medium",
    "medium": "low",
    "low": None,
}


class Holding(NamedTuple):
    """What is remembered of one process: memory in bytes, times in Unix seconds, pace in bytes/s."""

    pid: int
    name: str
    memory: int
    came_at: float
    """When it was first seen; minus infinity if it was there before us."""
    mark: int
    """From where its next growth is measured."""
    grew_at: float
    pace: float


class Watched(NamedTuple):
    """One GPU, or one part of it, at last sight; all in bytes but ``seen_at``, Unix seconds."""

    seen_at: float
    total: int
    used: int
    free: int
    holdings: Mapping[int, Holding]


class Death(NamedTuple):
    """A process that most likely died for want of GPU memory; memory in bytes."""

    holding: Holding
    confidence: Confidence
    used: int
    total: int
    part: MigDevice | None = None
    """Where the memory was that of a part of a GPU."""


class Sight(NamedTuple):
    """A memory that can run out, and who uses it."""

    sample: Sample
    processes: Processes
    part: MigDevice | None = None


def memories(sample: Sample, processes: Processes, mig: Mig) -> dict[int | None, Sight]:
    """Return what can run out on a GPU: its memory (`None`), or that of each of its GPU instances."""
    if not mig.enabled:
        return {None: Sight(sample, processes)}
    found: dict[int | None, Sight] = {}
    for part in mig.devices:
        if part.gpu_instance not in found:  # the first of those that share it tells its memory
            memory = Sample(
                memory_total=part.memory_total,
                memory_used=part.memory_used,
                memory_free=part.memory_free,
            )
            found[part.gpu_instance] = Sight(memory, _within(part, processes), part)
    return found


def _within(part: MigDevice, processes: Processes) -> Processes:
    """Return the processes of a part; a list that cannot be had stays so."""

    def ours(listed: tuple[GpuProcess, ...] | None) -> tuple[GpuProcess, ...] | None:
        return listed and tuple(one for one in listed if one.gpu_instance == part.gpu_instance)

    return Processes(ours(processes.compute), ours(processes.graphics))


def observe_all(
    before: Mapping[int | None, Watched], now: float, sights: Mapping[int | None, Sight]
) -> tuple[dict[int | None, Watched], list[Death]]:
    """Return what is known after this sight of each memory of a GPU, and the deaths that it revealed.

    What is not there any more, as a part that was taken away, is forgotten: who was in it was stopped.
    """
    after: dict[int | None, Watched] = {}
    told: list[Death] = []
    for which, (sample, processes, part) in sights.items():
        watched, deaths = observe(before.get(which), now, sample, processes)
        if watched is not None:
            after[which] = watched
        told += (death._replace(part=part) for death in deaths)
    return after, told


def observe(
    before: Watched | None, now: float, sample: Sample, processes: Processes
) -> tuple[Watched | None, tuple[Death, ...]]:
    """Return what is known after this sight of a GPU, and the deaths that it revealed.

    Where memory or the list of processes cannot be had nothing is judged: the last sight stays the last.
    """
    total, used = sample.memory_total, sample.memory_used
    if not total or used is None or processes.compute is None:
        return before, ()
    free = (
        total - used - (sample.memory_reserved or 0)
        if sample.memory_free is None
        else sample.memory_free
    )
    held = _held((*processes.compute, *(processes.graphics or ())))
    known = before.holdings if before else {}
    holdings = {
        pid: _follow(known.get(pid), before, now, process, _STEP * total)
        for pid, process in held.items()
    }
    after = Watched(now, total, used, max(0, free), holdings)
    if before is None:
        return after, ()
    gone = [holding for pid, holding in known.items() if pid not in held]
    return after, tuple(_deaths(before, after, gone))


def _held(listed: Iterable[GpuProcess]) -> dict[int, GpuProcess]:
    """Return each process once; one whose memory is not told holds nothing that can be judged."""
    by_pid: dict[int, GpuProcess] = {}
    for process in listed:
        known = by_pid.get(process.pid)
        if known is None or (process.memory or 0) > (known.memory or 0):
            by_pid[process.pid] = process
    return by_pid


def _follow(
    known: Holding | None, before: Watched | None, now: float, process: GpuProcess, step: float
) -> Holding:
    """Return what is remembered of a process after seeing it now."""
    memory = process.memory or 0
    if known is not None and memory == known.memory == known.mark and not known.pace:
        return known  # it holds what it held
    if before is None:
        return Holding(process.pid, process.name, memory, -inf, memory, -inf, 0.0)
    elapsed = max(now - before.seen_at, 1e-3)
    if known is None:
        return Holding(process.pid, process.name, memory, now, memory, now, 0.0)
    grew = memory >= known.mark + step
    return known._replace(
        memory=memory,
        mark=memory if grew or memory < known.mark else known.mark,
        grew_at=now if grew else known.grew_at,
        pace=max(0.0, (memory - known.memory) / elapsed),
    )


def _deaths(before: Watched, after: Watched, gone: Iterable[Holding]) -> Iterable[Death]:
    released = before.used - after.used
    for holding in gone:
        confidence = _judge(before, holding, after.seen_at - before.seen_at)
        if confidence is None:
            continue
        kept = released < _RELEASED * holding.memory
        stale = after.seen_at - before.seen_at > _FRESH_SECONDS
        if kept or stale:
            weaker = _WEAKER[confidence]
            if weaker is None:
                continue
            confidence = weaker
        yield Death(holding, confidence, before.used, before.total)


def _judge(before: Watched, holding: Holding, unseen: float) -> Confidence | None:
    """Apply the table of the module to a process that was missed ``unseen`` seconds after last sight."""
    free, total = before.free, before.total
    brim, near = free <= _BRIM * total, free <= _NEAR * total
    outrun = free <= _OUTRUN * total and holding.pace * unseen >= free
    main = 0 < holding.memory >= _MAIN * before.used
    since_growth = before.seen_at - holding.grew_at
    climbing = since_growth <= _CLIMBING_SECONDS
    if main and climbing and (near or outrun):
        return "high" if brim else "medium"
    if not brim or holding.memory == 0:
        return None
    grew_here = holding.grew_at > holding.came_at
    if (climbing and grew_here) or (main and since_growth <= _LATELY_SECONDS):
        return "medium"
    newcomer = before.seen_at - holding.came_at <= _NEWCOMER_SECONDS
    return "low" if main or newcomer else None
