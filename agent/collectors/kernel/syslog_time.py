"""When a line of a syslog file was written, by the time at its beginning."""

import re
from datetime import datetime
from typing import Final

_ISO: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:?\d\d)?")
_TRADITIONAL: Final = re.compile(
    rb"(?P<month>[A-Z][a-z]{2}) {1,2}(?P<day>\d{1,2}) (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d) "
)
_MONTHS: Final = (
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
)  # fmt: skip
_OLDEST: Final = 366 * 86400.0


def age(line: bytes, now: float) -> float | None:
    """Return how many seconds before ``now`` (Unix seconds) a line was written.

    `None` where it has no time, or one of another locale; never negative. The traditional form has neither
    year nor zone: the latest past date in the local zone is meant.
    """
    moment = _iso(line) or _traditional(line, now)
    if moment is None or now - moment > _OLDEST:
        return None
    return max(0.0, now - moment)


def _iso(line: bytes) -> float | None:
    found = _ISO.match(line)
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found[0].decode("ascii")).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def _traditional(line: bytes, now: float) -> float | None:
    found = _TRADITIONAL.match(line)
    if found is None or (name := found["month"].decode("ascii")) not in _MONTHS:
        return None
    month = _MONTHS.index(name) + 1
    day, hour, minute, second = (int(found[part]) for part in ("day", "hour", "minute", "second"))
    year = datetime.fromtimestamp(now).astimezone().year
    for candidate in (year, year - 1):
        try:
            local = datetime(candidate, month, day, hour, minute, second).astimezone()
        except (ValueError, OverflowError):
            continue  # 29 February of a common year
        if local.timestamp() <= now + 86400:
            return local.timestamp()
    return None
