"""How much of each GPU is a server's. Pure.

A GPU is held by those whose processes hold memory of it: the rest of it is of no use to anybody else. So a
GPU that one server has alone counts whole, and one that several share is divided by the memory that their
processes hold; what other processes hold counts for nobody. A part of a divided GPU is that part of the
board that it has of the memory. Over all servers this is never more than the board.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from typing import Final, NamedTuple

from agent.attribution.sight import Sight
from agent.snapshot import Holder, Problem

EXCLUSIVE: Final = "exclusive"
APPORTIONED: Final = "apportioned"
NONE: Final = "none"
"""Words of the catalogue's `warpwatch.attribution`."""


class Tenure(NamedTuple):
    """A server on a device, which is a board or a MIG device. ``share`` of the board; `None` is unknown."""

    server: str
    device: str
    board: str
    attribution: str
    share: float | None


def tenures(
    sight: Sight, server_of: Mapping[int, str], configured: Mapping[str, Collection[str]]
) -> list[Tenure]:
    """Return who holds what: by process in ``server_of``, and by name in ``configured`` (devices).

    A server whose devices are configured holds those and no others. A device that is configured for one
    server alone is that server's, whoever the processes on it are: it is why people configure it.
    """
    held: defaultdict[str, list[Holder]] = defaultdict(list)
    for holder in sight.holders:
        if (device := sight.device(holder)) is not None:
            held[device].append(holder)
    found: list[Tenure] = []
    for device in {**held, **{each: () for devices in configured.values() for each in devices}}:
        found += _on(device, held[device], sight, server_of, configured)
    return sorted(found)


def _on(
    device: str,
    holders: Collection[Holder],
    sight: Sight,
    server_of: Mapping[int, str],
    configured: Mapping[str, Collection[str]],
) -> Iterator[Tenure]:
    named = {server for server, devices in configured.items() if device in devices}
    memory: dict[str, int | None] = dict.fromkeys(named)
    strangers = False
    for holder in holders:
        server = server_of.get(holder.pid)
        if server is None or (server in configured and server not in named):
            strangers = True
        else:
            memory[server] = (memory.get(server) or 0) + (holder.memory_bytes or 0)
    alone = len(memory) == 1 and (not strangers or bool(named))
    total = _total(holders)
    part = sight.parts.get(device)
    board = part.board if part else device
    for server, own in memory.items():
        if alone:
            attribution, share = EXCLUSIVE, 1.0
        elif total and own is not None:
            attribution, share = APPORTIONED, own / total
        else:
            attribution, share = NONE, None
        weight = _weight(sight, device)
        known = None if share is None or weight is None else share * weight
        yield Tenure(server, device, board, attribution, known)


def _total(holders: Collection[Holder]) -> int | None:
    """Return the bytes that all processes hold; `None` where the driver does not tell it of each."""
    each = [holder.memory_bytes for holder in holders]
    return None if None in each else sum(filter(None, each))


def _weight(sight: Sight, device: str) -> float | None:
    """Return which share of its board a device is; `None` where its memory is not told."""
    part = sight.parts.get(device)
    if part is None:
        return 1.0
    board = sight.boards.get(part.board)
    if part.memory is None or board is None or not board.memory:
        return None
    return min(1.0, part.memory / board.memory)


def board_shares(found: Collection[Tenure]) -> dict[tuple[str, str], float]:
    """Return each server's share of each of its boards; nothing of a server of which one is unknown.

    Tokens divided by the GPUs that are known would look like those of a better server.
    """
    unknown = {each.server for each in found if each.share is None}
    shares: defaultdict[tuple[str, str], float] = defaultdict(float)
    for each in found:
        if each.server not in unknown and each.share is not None:
            shares[each.server, each.board] += each.share
    return {key: min(1.0, share) for key, share in shares.items()}


def unplaced(sight: Sight) -> Iterator[Problem]:
    """Tell of processes on a divided GPU of which the driver does not say on what part they are."""
    boards = {each.hw_id for each in sight.holders if sight.device(each) is None}
    for board in sorted(boards):
        detail = "a process holds a part of this divided GPU, and the driver does not say which"
        yield Problem("unknown_instance", board, detail)
