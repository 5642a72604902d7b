"""Who uses a GPU: processes summed up by owner, and memory that nobody owns.

An owner is a container, or outside of containers all processes of one executable. Never a process: its id
would make a series for each program that ever ran.
"""

from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.catalogue import gpu_owners
from agent.collectors.nvml.driver import GpuProcess, Processes, Sample
from agent.snapshot import Reading

LARGEST: Final = 16
"""Owners of a GPU that have series of their own: more than twice what MIG can separate."""
UNOWNED_FROM: Final = 512 * 1024**2
"""Bytes up to which memory without a process is the driver's own business, such as what it keeps for
persistence and for instances of MIG. A judgement, and not NVIDIA's."""


class Owner(NamedTuple):
    """Whom processes are summed up to; ``kind`` is one of the catalogue's words."""

    kind: str
    container: str = ""
    name: str = ""


OTHER: Final = Owner("other")


class Use(NamedTuple):
    """What an owner's processes use: bytes, and a share of 1; `None` while one of them is not known."""

    processes: int
    memory: int | None
    utilization: float | None


def owner_of(process: GpuProcess) -> Owner:
    """Return to whom a process is summed up."""
    if process.container:
        return Owner("container", process.container)
    return Owner("command", "", process.name) if process.name else Owner("unknown")


def each_once(processes: Processes) -> list[GpuProcess]:
    """Return each process once, though it may be in both lists: with the greater memory of the two."""
    found: dict[int, GpuProcess] = {}
    for one in (*(processes.compute or ()), *(processes.graphics or ())):
        known = found.get(one.pid)
        if known is None or (one.memory or 0) > (known.memory or 0):
            found[one.pid] = one
    return list(found.values())


def owner_readings(uuid: str, processes: Processes) -> Iterator[Reading]:
    """Return what each owner uses of the GPU ``uuid``; nothing where the list cannot be had."""
    if processes.compute is None:
        return
    for owner, use in _bounded(_uses(each_once(processes))).items():
        attributes = (uuid, *owner)
        yield Reading(gpu_owners.OWNER_PROCESSES, attributes, use.processes)
        if use.memory is not None:
            yield Reading(gpu_owners.OWNER_MEMORY, attributes, use.memory)
        if use.utilization is not None:
            yield Reading(gpu_owners.OWNER_UTILIZATION, attributes, use.utilization)


def held_by_all(processes: Processes) -> int | None:
    """Return the bytes that processes hold; `None` where not all of that is known."""
    held = [one.memory for one in each_once(processes)]
    if not processes.complete or processes.compute is None or processes.problems or None in held:
        return None
    return sum(filter(None, held))


def unowned(sample: Sample, held: int | None) -> int | None:
    """Return the bytes in use that no process holds; `None` where that cannot be known.

    It takes all that processes hold (`held_by_all`), and a driver that tells its own reserve apart from
    what is used.
    """
    if held is None or sample.memory_used is None or sample.memory_reserved is None:
        return None
    rest = sample.memory_used - held
    return rest if rest > UNOWNED_FROM else 0


def unowned_reading(uuid: str, before: int | None, now: int | None) -> Iterator[Reading]:
    """Return the lesser of two sights in a row: in one alone a process may have left in between.

    At the first sight only nothing can be told: that there is none.
    """
    if now is not None and (before is not None or now == 0):
        yield Reading(
            gpu_owners.MEMORY_UNOWNED, (uuid,), now if before is None else min(before, now)
        )


def _uses(everyone: list[GpuProcess]) -> dict[Owner, Use]:
    grouped: defaultdict[Owner, list[GpuProcess]] = defaultdict(list)
    for process in everyone:
        grouped[owner_of(process)].append(process)
    return {
        owner: _sum([Use(1, one.memory, one.utilization) for one in group])
        for owner, group in grouped.items()
    }


def _bounded(uses: dict[Owner, Use]) -> dict[Owner, Use]:
    """Keep the largest owners, and sum up the others."""
    if len(uses) <= LARGEST:
        return uses
    ordered = sorted(uses, key=lambda owner: (-(uses[owner].memory or 0), owner))
    kept = {owner: uses[owner] for owner in ordered[:LARGEST]}
    return kept | {OTHER: _sum([uses[owner] for owner in ordered[LARGEST:]])}


def _sum(uses: list[Use]) -> Use:
    """Add up. Shares of time overlap where kernels run side by side, and never exceed the whole."""
    memory = [use.memory for use in uses if use.memory is not None]
    shares = [use.utilization for use in uses if use.utilization is not None]
    return Use(
        sum(use.processes for use in uses),
        sum(memory) if len(memory) == len(uses) else None,
        min(1.0, sum(shares)) if len(shares) == len(uses) else None,
    )
