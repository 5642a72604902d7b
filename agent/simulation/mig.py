"""The parts of a simulated GPU that MIG divides: each has a tenant that does what the GPU does in the play.

What a tenant holds and uses follows the play of the whole board, in the size of its instance and with a
liveliness of its own; the last of several instances is given out and used by nobody. As on a real GPU the
board itself has no utilization then, and an instance only what performance counters say, from Hopper on.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from agent.collectors.nvml.driver import MigDevice, Sample
from agent.simulation import noise
from agent.simulation.board import HOPPER, Board
from agent.simulation.families import activity
from agent.simulation.layout import Profile
from agent.simulation.scenario import Occupant

_PAGE_BITS: Final = 21
"""Device memory is handed out in pages of 2 MiB."""
_LANES: Final = 8
"""Process ids for each of the board's, one for each instance that there can be."""
_FIRST_PID: Final = 4_100
_PIDS: Final = 4_000_000


class Tenant(NamedTuple):
    """A process on a GPU, and the GPU instance that it uses, where there are any."""

    who: Occupant
    instance: int | None = None


def tenants(
    layout: Sequence[Profile], occupants: Sequence[Occupant], capacity: int
) -> tuple[Tenant, ...]:
    """Return who uses what of a GPU on which ``occupants`` would hold up to ``capacity`` bytes undivided."""
    if not layout:
        return tuple(Tenant(who) for who in occupants)
    return tuple(
        Tenant(_in_part(who, place, profile, capacity), profile.number)
        for place, profile in enumerate(_let(layout))
        for who in occupants
    )


def untold(sample: Sample) -> Sample:
    """Return the sample without what the driver does not tell of a divided GPU."""
    return sample._replace(
        utilization=None,
        memory_controller_utilization=None,
        encoder_utilization=None,
        decoder_utilization=None,
        jpeg_utilization=None,
        ofa_utilization=None,
        sm_active=None,
        sm_occupancy=None,
        pipe_active=None,
        memory_bandwidth_utilization=None,
    )


def mig_devices(
    board: Board, layout: Sequence[Profile], users: Sequence[Tenant], elapsed: float
) -> Iterator[MigDevice]:
    """Yield the parts of a board ``elapsed`` seconds after the start."""
    busy = board.trace.at(elapsed).utilization
    for profile in layout:
        used = sum(each.who.memory for each in users if each.instance == profile.number)
        pace = board.unit(f"pace {profile.number}")
        device = MigDevice(
            uuid=f"MIG-{UUID(bytes=noise.digest(board.seed, board.index, profile.number, size=16))}",
            gpu_instance=profile.number,
            compute_instance=0,
            profile=profile.name,
            memory_total=profile.memory,
            memory_used=used,
            memory_free=profile.memory - used,
        )
        yield _counted(device, board, busy * (0.5 + 0.5 * pace) if used else 0.0)


def _counted(device: MigDevice, board: Board, busy: float) -> MigDevice:
    """Add what the performance counters of an instance say, where the board has any."""
    if board.model.capability < HOPPER:
        return device
    counters = activity(board.part, busy)._asdict()
    return device._replace(utilization=round(busy, 4), **counters)


def _let(layout: Sequence[Profile]) -> Sequence[Profile]:
    return layout[:-1] or layout


def _in_part(who: Occupant, place: int, profile: Profile, capacity: int) -> Occupant:
    """Return what a process of the board becomes in one of its parts."""
    memory = int(who.memory / capacity * profile.memory) >> _PAGE_BITS << _PAGE_BITS
    pid = _FIRST_PID + (who.pid * _LANES + place) % _PIDS
    return Occupant(pid, who.name, memory)
