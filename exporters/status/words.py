"""Numbers as people read them: short, with their unit, and an en dash for what is not known."""

from datetime import UTC, datetime
from typing import Final

UNKNOWN: Final = "\N{EN DASH}"
_BINARY: Final = ("B", "KiB", "MiB", "GiB", "TiB")

THROTTLE_WORDS: Final = {
    "sw_power_cap": "power cap",
    "sw_thermal": "thermal (software)",
    "hw_slowdown": "hardware slowdown",
    "hw_thermal": "thermal (hardware)",
    "hw_power_brake": "power brake",
    "sync_boost": "sync boost",
}
PEER_WORDS: Final = {
    "temperature": "Hotter than its siblings",
    "clock": "SM clock lower than its siblings'",
    "power": "Draws less power than its siblings for the same work",
    "throttle": "Held down for longer than its siblings",
    "errors": "More errors than its siblings",
}


def gib(value: float | None) -> str:
    """Return bytes as GiB without the unit: ``71.5``."""
    return UNKNOWN if value is None else f"{value / 2**30:.1f}"


def size(value: float | None) -> str:
    """Return bytes with the unit that suits them: ``45.0 MiB``."""
    if value is None:
        return UNKNOWN
    unit = 0
    while abs(value) >= 1024 and unit < len(_BINARY) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.0f} B" if unit == 0 else f"{value:.1f} {_BINARY[unit]}"


def percent(share: float | None) -> str:
    """Return a share of 0..1 as whole percent; what is there is never shown as nothing."""
    if share is None:
        return UNKNOWN
    return "<1 %" if 0 < share < 0.005 else f"{share * 100:.0f} %"


def whole(value: float | None, unit: str = "") -> str:
    """Return a rounded number with its unit: ``642 W``."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f} {unit}".strip().replace(",", "\N{NO-BREAK SPACE}")


def rate(value: float | None, unit: str = "/s") -> str:
    """Return a rate, with a decimal where it is small."""
    if value is None:
        return UNKNOWN
    return f"{whole(value)}{unit}" if value >= 10 or value == 0 else f"{value:.2g}{unit}"


def seconds(value: float | None) -> str:
    """Return a duration as measured: ``8.3 ms``, ``1.25 s``."""
    if value is None:
        return UNKNOWN
    if value < 0.001:
        return f"{value * 1e6:.0f} µs"
    if value < 1:
        return f"{value * 1000:.3g} ms"
    return f"{value:.3g} s" if value < 120 else span(value)


def span(value: float | None) -> str:
    """Return a length of time in its largest unit: ``42 s``, ``5 min``, ``3 h``, ``12 d``."""
    if value is None:
        return UNKNOWN
    value = max(0.0, value)
    for limit, size_, unit in ((90, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if value < limit:
            return f"{value / size_:.0f} {unit}"
    return f"{value / 86_400:.0f} d"


def short_id(uuid: str) -> str:
    """Return enough of a GPU's UUID to tell it from its neighbours: ``GPU-1f2e3d4c``."""
    return "-".join(uuid.split("-")[:2]) if uuid.startswith(("GPU-", "MIG-")) else uuid[:12]


def short_model(model: str) -> str:
    """Return a product name without its vendor."""
    return model.removeprefix("NVIDIA ")


def clock(time: float) -> str:
    """Return the time of day in UTC; the page's script adds the reader's own."""
    return datetime.fromtimestamp(time, UTC).strftime("%H:%M:%S")


def moment(time: float) -> str:
    """Return a point in time as RFC 3339 in UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
