"""Randomness that is a pure function of its keys.

A generator with state would give other values when it is asked in another order; a hash gives the same
value for the same question, so a simulated node does not depend on who samples it, or how often.
"""

from hashlib import blake2b

_SPAN = 1 << 64


def digest(*keys: str | int, size: int = 8) -> bytes:
    """Return ``size`` bytes (64 at most) that depend on the keys and on nothing else."""
    return blake2b(repr(keys).encode(), digest_size=size).digest()


def unit(*keys: str | int) -> float:
    """Return a number from 0 (with) to 1 (without), evenly spread over the keys."""
    return int.from_bytes(digest(*keys), "big") / _SPAN


def around(centre: float, spread: float, *keys: str | int) -> float:
    """Return a number within ``spread`` of ``centre``."""
    return centre + spread * (2.0 * unit(*keys) - 1.0)
