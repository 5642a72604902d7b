"""Into what MIG divides a simulated GPU: `3g.40gb+4x1g.10gb`.

A GPU has 7 slices to compute with and 8 of memory. Which shares of them an instance can have, and how it is
named, is NVIDIA's rule (MIG User Guide); where on the board an instance lies is not simulated, so a layout is
taken if its parts fit in sum.
"""

import re
from dataclasses import dataclass
from typing import Final

_SLICES: Final = 7
_EIGHTHS: Final = 8
_MEBIBYTE: Final = 1 << 20
_STEP: Final = 128 * _MEBIBYTE
"""Memory of an instance is rounded down to this: what the driver keeps of it is of that order."""
_PART: Final = re.compile(r"(?:(?P<count>\d)\s*[xX]\s*)?(?P<name>(?P<slices>\d)g\.(?P<size>\d+)gb)")
_SHARES: Final = {(1, 1), (1, 2), (2, 2), (3, 4), (4, 4), (7, 8)}
"""Slices and eighths of the memory that an instance can have."""
_FIRST_NUMBER: Final = {1: 7, 2: 3, 3: 1, 4: 1, 7: 0}
"""By slices: where the numbers of such GPU instances begin; those of 3 and 4 slices share theirs."""


@dataclass(frozen=True, slots=True)
class Profile:
    """A GPU instance with a single compute instance in it; ``memory`` in bytes."""

    name: str
    number: int
    """Of the GPU instance."""
    slices: int
    memory: int

    @property
    def share(self) -> float:
        """Its share of what the GPU can compute."""
        return self.slices / _SLICES


def parse_layout(text: str, memory: int, sizes: tuple[int, int, int, int]) -> tuple[Profile, ...]:
    """Return the instances that ``text`` means, in the order of their numbers.

    ``memory``: bytes of the whole GPU; ``sizes``: gigabytes in the names of instances with 1, 2, 4 and 8
    eighths of it. Raises `ValueError`, with the fix in its message.
    """
    shares = _shares(sizes)
    asked: list[tuple[str, int, int]] = []
    for part in text.split("+"):
        match = _PART.fullmatch(part.strip().lower())
        if match is None or match["name"] not in shares:
            raise ValueError(f"cannot divide a GPU into {part.strip()!r}: {_form(shares)}")
        asked += [(match["name"], *shares[match["name"]])] * int(match["count"] or 1)
    slices, eighths = sum(each[1] for each in asked), sum(each[2] for each in asked)
    if not asked or slices > _SLICES or eighths > _EIGHTHS:
        raise ValueError(
            f"{text.strip()!r} does not fit on a GPU: it needs {slices} of {_SLICES} slices and "
            f"{eighths} of {_EIGHTHS} eighths of the memory"
        )
    return _numbered(asked, memory)


def _shares(sizes: tuple[int, int, int, int]) -> dict[str, tuple[int, int]]:
    """Return slices and eighths by the names that instances of this GPU have."""
    gigabytes = dict(zip((1, 2, 4, 8), sizes, strict=True))
    return {f"{s}g.{gigabytes[e]}gb": (s, e) for s, e in sorted(_SHARES)}


def _form(shares: dict[str, tuple[int, int]]) -> str:
    names = list(shares)
    return f"join profiles with +, such as 7x{names[0]}; this GPU has {', '.join(names)}"


def _numbered(asked: list[tuple[str, int, int]], memory: int) -> tuple[Profile, ...]:
    """Give each its number as the driver does: each size counts from a number of its own."""
    taken: set[int] = set()
    profiles = []
    for name, slices, eighths in sorted(asked, key=lambda each: -each[1]):
        number = _FIRST_NUMBER[slices]
        while number in taken:
            number += 1
        taken.add(number)
        room = memory * eighths // _EIGHTHS // _STEP * _STEP
        profiles.append(Profile(name, number, slices, room))
    return tuple(sorted(profiles, key=lambda each: each.number))
