"""How often an address may try a password that nobody has tried before.

bcrypt is slow on purpose, so whoever may try without bound has found a way to burn the node's CPU.
"""

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Final

BURST: Final = 5
"""Attempts at once: some clients of one address, each with its own password."""
PER_SECOND: Final = 1.0
_MOST_ADDRESSES: Final = 256
"""Remembered; who was forgotten begins anew."""
_SUBNET: Final = 64
"""Bits of an IPv6 address that are somebody's own: one who has one has all below."""


class Attempts:
    """A bucket of attempts for each address. ``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Take one attempt; return whether there was one left."""
        who, now = _who(address), self._clock()
        left, since = self._left.pop(who, (float(BURST), now))
        left = min(BURST, left + (now - since) * PER_SECOND)
        allowed = left >= 1.0
        self._left[who] = (left - 1.0 if allowed else left, now)
        while len(self._left) > _MOST_ADDRESSES:
            self._left.popitem(last=False)
        return allowed


def _who(address: str) -> str:
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return str(ip_network((parsed, _SUBNET), strict=False))
    return str(parsed)
