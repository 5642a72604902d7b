"""What of a simulated GPU moves slowly: memory errors and spare rows, links and fabric, fans, modes.

A healthy board says of nearly all of it that all is well; a few have a bit that ECC put right, a packet
that was sent again, a row that was replaced long ago. What a model cannot tell is absent.
"""

from collections.abc import Iterator
from typing import Final

from agent.catalogue.attributes import FABRIC_FAULT, NVLINK_STATE, REMAP_AVAILABILITY
from agent.collectors.nvml.driver import Condition, Link
from agent.simulation.board import AMPERE, HOPPER, Board
from agent.simulation.families import nvlink_bytes

SECONDS: Final = 10
"""For how long a condition holds."""
_MIB: Final = 1 << 20
_BAR1_OF_DRIVER: Final = 2 * _MIB
_BAR1_OF_PROCESS: Final = 6 * _MIB
_ECC: Final = tuple(
    (kind, location) for location in ("dram", "sram") for kind in ("corrected", "uncorrected")
)
_LINK_ERRORS: Final = ("crc", "replay", "recovery")
_REMAPPED: Final = 0.2
"""Share of the boards that had a row replaced."""


def condition(board: Board, contexts: int, elapsed: float) -> Condition:
    """Return what is so ``elapsed`` seconds after the start, with so many processes on the GPU."""
    errors = _ecc_errors(board, elapsed)
    modes = Condition(
        bar1_total=board.model.bar1,
        bar1_used=_BAR1_OF_DRIVER + contexts * _BAR1_OF_PROCESS,
        fan_speeds=_fan_speeds(board, elapsed),
        ecc_errors=errors,
        ecc_lifetime_errors=_lifetime(board, errors),
        sram_threshold_exceeded=False if board.model.capability >= AMPERE else None,
        persistence_mode=True,
        compute_mode="default",
        ecc_enabled=True,
        ecc_enabled_pending=True,
    )
    return _with_fabric(
        _with_links(_with_mig(_with_spares(modes, board), board), board, elapsed), board
    )


def _ecc_errors(board: Board, elapsed: float) -> dict[tuple[str, str], int]:
    """Return the errors since the driver was loaded: a few bits of memory that ECC put right."""
    errors = dict.fromkeys(_ECC, 0)
    errors["corrected", "dram"] = board.rare("ecc", elapsed, days=4.0)
    return errors


def _lifetime(board: Board, errors: dict[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Return the errors of the board's whole life: those of now, and some of the months before."""
    months = int(board.unit("age") * 5)
    earlier = {("corrected", "dram"): months, ("corrected", "sram"): months // 3}
    return {which: count + earlier.get(which, 0) for which, count in errors.items()}


def _with_spares(known: Condition, board: Board) -> Condition:
    """Add how bad memory was replaced: by rows since Ampere, by pages before."""
    banks = board.model.remap_banks
    if not banks:
        causes = ("single_bit_ecc", "double_bit_ecc")
        return known._replace(retired_pages=dict.fromkeys(causes, 0), retired_pages_pending=False)
    remapped = int(board.unit("rows") < _REMAPPED)
    left = {"max": banks - remapped, "high": remapped}
    return known._replace(
        remapped_rows={"corrected": remapped, "uncorrected": 0},
        row_remap_pending=False,
        row_remap_failure=False,
        row_remap_banks={word: left.get(word, 0) for word in REMAP_AVAILABILITY.values},
    )


def _with_mig(known: Condition, board: Board) -> Condition:
    """Add whether MIG is on, on models that have it."""
    if board.model.mig_sizes is None:
        return known
    return known._replace(mig_enabled=board.divided, mig_enabled_pending=board.divided)


def _with_links(known: Condition, board: Board, elapsed: float) -> Condition:
    """Add the NVLinks: all are up, and a packet is sent again now and then."""
    model = board.model
    if not model.nvlinks:
        return known
    errors = dict.fromkeys(_LINK_ERRORS, 0)
    errors["replay"] = board.rare("link replays", elapsed, days=6.0)
    return known._replace(
        nvlinks=dict.fromkeys(NVLINK_STATE.values, 0) | {"active": model.nvlinks},
        nvlink_bandwidth=float(model.nvlink_bandwidth),
        nvlink_errors=errors,
        links=tuple(_links(board, errors, elapsed)) if board.each_link else None,
    )


def _links(board: Board, errors: dict[str, int], elapsed: float) -> Iterator[Link]:
    """Yield each link: the traffic is spread evenly, and what errors there are are those of one link."""
    count = board.model.nvlinks
    moved = nvlink_bytes(board, elapsed) or {}
    worst = int(board.unit("worst link") * count)
    for number in range(count):
        shares = {way: total // count for way, total in moved.items()}
        yield Link(
            number,
            state="active",
            bandwidth=float(board.model.nvlink_speed * 1_000_000),
            transmitted=shares.get("transmit"),
            received=shares.get("receive"),
            errors=errors if number == worst else dict.fromkeys(_LINK_ERRORS, 0),
        )


def _with_fabric(known: Condition, board: Board) -> Condition:
    """Add the registration with the NVSwitches; its health is told since Hopper."""
    if not board.model.nvswitch:
        return known
    registered = known._replace(fabric_state="completed", fabric_failed=False)
    if board.model.capability < HOPPER:
        return registered
    faults = dict.fromkeys(FABRIC_FAULT.values, False)
    return registered._replace(fabric_health="healthy", fabric_faults=faults)


def _fan_speeds(board: Board, elapsed: float) -> dict[str, float] | None:
    """Return fans that follow the heat from 30 % at 30 degrees to all they can at 90."""
    heat = (board.trace.at(elapsed).temperature - 30.0) / 60.0
    speed = int(min(1.0, max(0.3, 0.3 + 0.7 * heat)) * 100) / 100
    return {str(fan): speed for fan in range(board.model.fans)} or None
