"""What a source saw of an error, before anybody judged it."""

import re
from typing import Final, Literal, NamedTuple

Source = Literal["nvml", "kernel"]

_ADDRESS: Final = re.compile(
    r"(?:(?P<domain>[0-9a-fA-F]{1,8}):)?(?P<bus>[0-9a-fA-F]{1,2}):(?P<device>[0-9a-fA-F]{1,2})"
    r"(?:\.(?P<function>[0-7]))?\Z"
)


class Sighting(NamedTuple):
    """An XID or SXID as one source reports it. Times are Unix seconds."""

    source: Source
    code: int
    time: float
    since: float
    """It happened between ``since`` and ``time``: the driver's library tells only which, not when."""
    hw_id: str = ""
    """The GPU's UUID, where the source knows it; else it is looked up by ``pci``."""
    pci: str = ""
    """As `address` gives it."""
    text: str = ""
    """What the line says behind the code."""
    pid: int | None = None
    process: str = ""
    switch: bool = False
    """An SXID: ``pci`` is an NVSwitch."""
    fatal: bool = False
    """Of an SXID: the line says so."""


class KnownGpu(NamedTuple):
    """What the judge of errors must know of a GPU."""

    hw_id: str
    pci: str = ""
    title: str = ""
    """How people call it."""
    driver: str = ""
    """The driver's version."""
    hears_xids: bool = True
    """Whether NVML reports its XIDs."""


def address(text: str) -> str:
    """Return a PCI address as ``0000:91:00.0``, whatever its spelling; empty where it is none.

    The kernel's lines leave out the function, old ones the domain; NVML writes the domain with 8 digits.
    """
    found = _ADDRESS.match(text.strip().removeprefix("PCI:"))
    if found is None:
        return ""
    domain, bus, device = (int(found[part] or "0", 16) for part in ("domain", "bus", "device"))
    return f"{domain:04x}:{bus:02x}:{device:02x}.{found['function'] or 0}"
