"""Decodes XIDs 144 to 150: the code alone says only which block of the link unit complained.

The kernel line goes on with the unit, a severity, and registers in parentheses, of which the first two count:

    145, RLW_REMAP Nonfatal XC0 i0 Link 10 (0x00000004 0x00000001 0x00000000 ...)
         unit      severity    |            intrInfo   errorStatus
                     injected --+

Source of the table: NVIDIA's "Xid 144-150 decode" (docs.nvidia.com/deploy/xid-errors). Drivers before R575
number the units otherwise in ``intrInfo`` ("V1": bits 9..0, from then "V2": bits 6..0); a line whose number
fits neither form of its unit is not decoded, because its registers would mean something else.
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from agent.xid.record import Action, Urgency

FIRST: Final = 144
LAST: Final = 150


class Decoded(NamedTuple):
    """What an NVLink 5 line means: what to do at once, and how urgent that is."""

    unit: str
    action: Action
    urgency: Urgency
    injected: bool


_RESET: Final = (Action.RESET_GPU, Urgency.PAGE)
_IGNORE: Final = (Action.IGNORE, Urgency.INFO)
_WATCH: Final = (Action.IGNORE, Urgency.TICKET)
"""Nothing to do at once, but NVIDIA wants it investigated."""
_EVALUATE: Final = (Action.EVALUATE_154, Urgency.INFO)
"""XID 154 decides; where none comes, the application is restarted."""
_Answer = tuple[Action, Urgency]


class _Unit(NamedTuple):
    xid: int
    v1: int
    """``intrInfo`` bits 9..0 before R575, bits 6..0 since."""
    v2: int
    bits: Mapping[int, _Answer]
    """By bit of ``errorStatus``; several may be set."""
    values: Mapping[int, _Answer] = {}
    """By whole value of ``errorStatus``, for units that report a number and no bits."""
    always: _Answer | None = None
    """Whatever ``errorStatus`` holds."""


_SOFTWARE_BIT: Final = 0x80000000
_TLW: Final = {0x1: _IGNORE, 0x2: _WATCH, 0x4: _RESET, _SOFTWARE_BIT: _WATCH}
_REMAP: Final = {
    **dict.fromkeys((0x1, 0x2, 0x4, 0x8, 0x10, 0x20), _EVALUATE),
    **dict.fromkeys((0x40, 0x80), _RESET),
    **dict.fromkeys((0x100, 0x200), _IGNORE),
    _SOFTWARE_BIT: _WATCH,
}
_SOURCE_TRACK: Final = {
    **dict.fromkeys((0x1, 0x10, 0x20), _RESET),
    0x2: _IGNORE,
    **dict.fromkeys((0x4, 0x8), _EVALUATE),
    _SOFTWARE_BIT: _WATCH,
}
_TAG_STATE: Final = {
    **dict.fromkeys((0x1, 0x10000), _IGNORE),
    **dict.fromkeys((0x2, 0x20000, 0x100000), _RESET),
    _SOFTWARE_BIT: _WATCH,
}
_MULTICAST: Final = {
    **dict.fromkeys((0x1, 0x8), _WATCH),
    **dict.fromkeys((0x2, 0x10), _RESET),
    **dict.fromkeys((0x4, 0x20), _IGNORE),
}
_LINK_DOWN: Final = _Unit(149, 0x1C6, 0x11, {}, always=_RESET)
_NETIR: Final = _Unit(149, 0x006, 0x18, {}, always=_RESET)
_PIPE_WATCHED: Final = dict.fromkeys((0x1, 0x2, 0x4, 0x8, _SOFTWARE_BIT), _WATCH)

_UNITS: Final[Mapping[str, _Unit]] = {
    "SAW_MVB": _Unit(144, 0x021, 0x01, _MULTICAST),
    "RLW_CTRL": _Unit(145, 0x062, 0x03, {_SOFTWARE_BIT: _WATCH}),
    "RLW_REMAP": _Unit(145, 0x082, 0x04, _REMAP),
    "RLW_RSPCOL": _Unit(145, 0x0A2, 0x05, {0x1: _IGNORE, 0x2: _RESET, _SOFTWARE_BIT: _WATCH}),
    "RLW_RXPIPE": _Unit(145, 0x0C2, 0x06, _PIPE_WATCHED),
    "RLW_SRC_TRACK": _Unit(145, 0x0E2, 0x07, _SOURCE_TRACK),
    "RLW_TAGSTATE": _Unit(145, 0x102, 0x08, _TAG_STATE),
    "TLW_CTRL": _Unit(146, 0x123, 0x09, _TLW),
    "TLW_RX": _Unit(146, 0x143, 0x0A, _TLW),
    "TLW_RX_PIPE0": _Unit(146, 0x143, 0x0A, _TLW),
    "TLW_RX_PIPE1": _Unit(146, 0x143, 0x0B, _TLW),
    "TLW_TX": _Unit(146, 0x163, 0x0C, _TLW),
    "TLW_TX_PIPE0": _Unit(146, 0x163, 0x0C, _TLW),
    "TLW_TX_PIPE1": _Unit(146, 0x163, 0x0D, _TLW),
    "TREX": _Unit(147, 0x184, 0x0E, {0x1: _WATCH, _SOFTWARE_BIT: _WATCH}),
    "NVLPW_CTRL": _Unit(148, 0x005, 0x0F, {_SOFTWARE_BIT: _WATCH}),
    "NVLPW": _Unit(148, 0x005, 0x0F, {_SOFTWARE_BIT: _WATCH}),
    "NETIR": _NETIR,
    "NETIR_INT": _NETIR,
    "NETIR_LINK_EVT": _LINK_DOWN,
    "NETIR_LINK_DOWN": _LINK_DOWN,
    "NETIR_BER_EVENT": _Unit(149, 0x226, 0x13, {}, dict.fromkeys(range(4), _WATCH)),
    "NETIR_MFDE_EVENT": _Unit(
        149, 0x246, 0x14, {}, {**dict.fromkeys((0x1, 0x4, 0x5, 0x7), _RESET), 0x3: _IGNORE}
    ),
    "MSE": _Unit(150, 0x000, 0x00, {}, {0x0: _RESET, 0xFFFFFFFF: _RESET}),
    "MSE_WATCHDOG": _Unit(150, 0x000, 0x00, {}, {0x0: _RESET}),
}
_LINE: Final = re.compile(
    r"(?P<unit>[A-Z][A-Z0-9_]*)(?: [Dd]egraded)?\s+\S[^(]{0,20}?\s+XC\d\s+i(?P<injected>\d)[^(]{0,60}"
    r"\((?P<info>0x[0-9a-fA-F]{1,8})\s+(?P<status>0x[0-9a-fA-F]{1,8})"
)
_DOWN_REASONS: Final = frozenset(
    (0, 1, 2, 4, 10, 15, 16, 17, 18, 21, 22, 32, 33, 34, 35, 36, 37, 42, 43)
)
"""``intrInfo`` bits 25..20 of a link that went down, for which a reset is the answer."""
_DOWN_BY_SOMEBODY: Final = frozenset((38, 40))
"""The same, for which nothing is to be done at once: somebody or the host took it down."""


def decode(code: int, text: str) -> Decoded | None:
    """Return what the line of XID ``code`` means; ``None`` where its words or registers are not known."""
    found = _LINE.match(text.strip())
    if found is None:
        return None
    unit = _UNITS.get(found["unit"])
    info, status = int(found["info"], 16), int(found["status"], 16)
    if unit is None or unit.xid != code or not _fits(unit, info):
        return None
    answer = _answer(unit, info, status)
    if answer is None:
        return None
    return Decoded(found["unit"], *answer, injected=found["injected"] != "0")


def _fits(unit: _Unit, info: int) -> bool:
    return unit.v1 == info & 0x3FF or unit.v2 == info & 0x7F


def _answer(unit: _Unit, info: int, status: int) -> _Answer | None:
    if unit is _LINK_DOWN:
        return _link_down(info >> 20 & 0x3F)
    if unit.always:
        return unit.always
    if unit.values:
        return unit.values.get(status)
    bits = [1 << bit for bit in range(32) if status >> bit & 1]
    if not bits or not unit.bits.keys() >= set(bits):
        return None
    if unit is _UNITS["RLW_RXPIPE"] and _second_action(unit, info) and status & 0x7:
        return _RESET
    return max((unit.bits[bit] for bit in bits), key=lambda answer: answer[1])


def _link_down(reason: int) -> _Answer | None:
    if reason in _DOWN_BY_SOMEBODY:
        return _WATCH
    return _RESET if reason in _DOWN_REASONS else None


def _second_action(unit: _Unit, info: int) -> bool:
    """Whether ``intrInfo`` asks for the second action: bit 10 before R575, bit 7 since."""
    return bool(info & 0x400) if unit.v1 == info & 0x3FF else bool(info & 0x80)
