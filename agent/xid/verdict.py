"""Reads XID 154: the driver's own verdict on what a GPU needs, in the words of the line.

    154, GPU recovery action changed from 0x0 (None) to 0x2 (Node Reboot Required)

The numbers are NVML's GPU recovery action; its words differ between drivers ("OS Reboot", "PF FLR").
"""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from agent.xid.record import Action, Urgency

CODE: Final = 154


class Verdict(NamedTuple):
    """What the driver wants done; ``words`` are its own."""

    action: Action
    urgency: Urgency
    words: str


_LINE: Final = re.compile(
    r"changed from .{0,60}?\bto\s+(?:0x(?P<number>[0-9a-fA-F]{1,8})\s*)?\(?(?P<words>[^()]{0,60})\)?"
)
_BY_NUMBER: Final[Mapping[int, Action]] = {
    0: Action.IGNORE,
    1: Action.RESET_GPU,
    2: Action.RESTART_BM,
    3: Action.DRAIN_P2P,
    4: Action.DRAIN_AND_RESET,
    5: Action.RECOVER_IMEX,
    6: Action.RESET_BUS,
    7: Action.RESTART_BM,
}
_BY_WORDS: Final[Mapping[str, Action]] = {
    "none": Action.IGNORE,
    "gpu reset required": Action.RESET_GPU,
    "node reboot required": Action.RESTART_BM,
    "os reboot": Action.RESTART_BM,
    "drain p2p": Action.DRAIN_P2P,
    "drain and reset": Action.DRAIN_AND_RESET,
}


def read(text: str) -> Verdict | None:
    """Return the verdict in the line of an XID 154; ``None`` where it holds none that is known."""
    found = _LINE.search(text)
    if found is None:
        return None
    words = found["words"].strip(" .")
    number = found["number"]
    by_number = _BY_NUMBER.get(int(number, 16)) if number else None
    action = by_number or _BY_WORDS.get(words.lower())
    if action is None:
        return None
    urgency = Urgency.INFO if action is Action.IGNORE else Urgency.PAGE
    return Verdict(action, urgency, words or action.value)
