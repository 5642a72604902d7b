"""Why somebody should look at a GPU, in sentences.

These are hints for whoever has the page open. They page nobody: alerts are Prometheus rules with thresholds
of their own.
"""

from collections.abc import Iterator
from typing import Final

from agent.catalogue import gpu
from agent.catalogue.attributes import HW_ID
from agent.catalogue.events import GPU_OOM
from agent.catalogue.window import OUTLIER, PEER_OUTLIER
from agent.snapshot import Snapshot
from exporters.status import words
from exporters.status.lookup import Lookup
from exporters.status.model import Memory, PcieLink, Temperature

NARROW_MARGIN: Final = 5.0
"""Degrees Celsius below the slowdown limit from which on the page asks for a look."""
NEARLY_FULL: Final = 0.98
"""Share of the memory from which on the next allocation may fail; servers that fill it on purpose stop
well below (vLLM: 0.9)."""
RECENT: Final = 600.0
"""Seconds for which an out-of-memory death stays on the GPU's card."""
HARMLESS: Final = frozenset({"sw_power_cap"})
"""Throttle reasons that a busy, healthy GPU shows."""


def reasons(
    hw_id: str,
    snapshot: Snapshot,
    lookup: Lookup,
    *,
    throttle: tuple[str, ...],
    temperature: Temperature,
    pcie: PcieLink,
    memory: Memory,
) -> tuple[str, ...]:
    """Return why somebody should look at this GPU, gravest first."""
    return (
        *_fatal_xids(hw_id, lookup),
        *_fullness(memory),
        *_heat(temperature),
        *(
            f"Clocks held down: {words.THROTTLE_WORDS.get(reason, reason)}"
            for reason in throttle
            if reason not in HARMLESS
        ),
        *_unlike_siblings(hw_id, lookup),
        *_deaths(hw_id, snapshot),
        *_narrow_link(pcie),
    )


def _fatal_xids(hw_id: str, lookup: Lookup) -> Iterator[str]:
    fatal = frozenset(map(str, gpu.FATAL_XIDS))
    for (_, code), (_, count) in lookup.numbers(gpu.XID_EVENTS, hw_id):
        if code in fatal and count:
            often = "once" if count == 1 else f"{count:.0f} times"
            yield f"XID {code}, {often} since the agent started"


def _fullness(memory: Memory) -> Iterator[str]:
    if memory.share is not None and memory.share >= NEARLY_FULL:
        yield f"Memory nearly full: {words.gib(memory.used)} of {words.gib(memory.total)} GiB"


def _heat(temperature: Temperature) -> Iterator[str]:
    margin = temperature.margin
    if margin is not None and margin <= 0:
        yield "At its temperature limit: the driver slows it down"
    elif margin is not None and margin <= NARROW_MARGIN:
        yield f"{margin:.0f} °C below the slowdown temperature"


def _unlike_siblings(hw_id: str, lookup: Lookup) -> Iterator[str]:
    """Tell in what the GPU stands out and how far, the farthest first."""
    scores = [(score, word) for (_, word), (_, score) in lookup.numbers(PEER_OUTLIER, hw_id)]
    for score, word in sorted(scores, reverse=True):
        if score > OUTLIER:
            yield (
                f"{words.PEER_WORDS.get(word, f'Unlike its siblings: {word}')}, by {score:.0f} times "
                f"their usual spread (from {OUTLIER:g} it stands out)"
            )


def _deaths(hw_id: str, snapshot: Snapshot) -> Iterator[str]:
    for event in reversed(snapshot.events):
        ours = (HW_ID.key, hw_id) in event.attributes
        if event.kind is GPU_OOM and ours and snapshot.taken_at - event.time < RECENT:
            yield f"Out of GPU memory {words.span(snapshot.taken_at - event.time)} ago"
            return


def _narrow_link(pcie: PcieLink) -> Iterator[str]:
    if pcie.width and pcie.width_limit and pcie.width < pcie.width_limit:
        yield f"PCIe runs on {pcie.width:.0f} of {pcie.width_limit:.0f} lanes"
