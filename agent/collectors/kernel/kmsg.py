r"""The kernel's own log, /dev/kmsg: one record a read, each with a sequence number that never repeats.

Format: Documentation/ABI/testing/dev-kmsg of the Linux kernel. Every reader sees every record, so reading
takes nothing from anybody. A record is ``priority,sequence,microseconds,flags[,more];message`` and may go on
with lines of properties, which begin with a space; bytes beyond ASCII are escaped as ``\xNN``.
"""

import errno
import os
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from agent.collector import Unavailable
from agent.collectors.kernel.lines import worth_reading
from agent.collectors.kernel.log import Portion, Record
from agent.snapshot import Problem

PATH: Final = Path("/dev/kmsg")
BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_RECORD_BYTES: Final = 16384
"""More than the kernel's longest record (8 KiB with escapes): a shorter buffer makes the read fail."""
_AT_ONCE: Final = 4096
"""Records a portion: about 10 ms."""
_ESCAPE: Final = re.compile(rb"\\x([0-9a-fA-F]{2})")
_MISSING: Final = (
    "there is no /dev/kmsg: in a container, mount the host's (chart: `kernelLog.enabled`), or name a file "
    "that the kernel log is written to"
)
_FORBIDDEN: Final = (
    "/dev/kmsg cannot be read: give the agent the capability SYSLOG (chart: `kernelLog.enabled`), or set "
    "kernel.dmesg_restrict=0 and let its user read the device"
)


class _Stamp(NamedTuple):
    sequence: int
    seconds: float
    """Since the kernel started, suspension not counted."""


class Kmsg:
    """`KernelLog` over /dev/kmsg. ``uptime`` gives the seconds that the kernel stamps records with."""

    def __init__(
        self,
        path: Path = PATH,
        *,
        boot_id: Path = BOOT_ID,
        uptime: Callable[[], float] = time.monotonic,
        read: Callable[[int, int], bytes] = os.read,
    ) -> None:
        self._path = path
        self._boot_file = boot_id
        self._uptime = uptime
        self._read = read
        self._descriptor: int | None = None
        self._boot = ""
        self._last: int | None = None
        self._contiguous = False
        """Whether the record after ``_last`` should be the next one."""

    def open(self, position: object) -> None:
        """Open the device. A position of an earlier boot means: all of this boot is news."""
        self.close()
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise Unavailable(_MISSING) from error
        except PermissionError as error:
            raise Unavailable(_FORBIDDEN) from error
        boot = self._boot_now()
        self._boot, self._last, self._contiguous = boot, None, False
        match position:
            case {"boot": str(known), "sequence": int(sequence)} if boot:
                if known == boot:
                    self._last, self._contiguous = sequence, True
            case _:
                self._skip()

    def read(self) -> Portion:
        """Return the records since the last call that are worth reading."""
        records: list[Record] = []
        problems: list[Problem] = []
        now = self._uptime()
        for _ in range(_AT_ONCE):
            try:
                raw = self._read(self._open(), _RECORD_BYTES)
            except BlockingIOError:
                return Portion(tuple(records), tuple(problems))
            except OSError as error:
                problem = _survivable(error)
                if problem is None:
                    raise
                problems.append(problem)
                self._contiguous = False
                continue
            if not raw:
                return Portion(tuple(records), tuple(problems))
            self._take(raw, now, records, problems)
        return Portion(tuple(records), tuple(problems), more=True)

    def position(self) -> object:
        """Return the boot and the number of the last record that was read."""
        return {"boot": self._boot, "sequence": -1 if self._last is None else self._last}

    def descriptor(self) -> int | None:
        """Return the open device."""
        return self._descriptor

    def close(self) -> None:
        """Close the device."""
        if self._descriptor is not None:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = None

    def _skip(self) -> None:
        """Go to the end, reading: the number of the last record cannot be had otherwise."""
        while self.read().more:
            pass

    def _open(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the kernel log is not open")
        return self._descriptor

    def _take(self, raw: bytes, now: float, records: list[Record], problems: list[Problem]) -> None:
        header, found, rest = raw.partition(b";")
        stamp = _stamp(header)
        if not found or stamp is None:
            problems.append(Problem("kernel_record_malformed", str(self._path), repr(raw[:80])))
            return
        if self._last is not None and stamp.sequence <= self._last:
            return
        if self._contiguous and self._last is not None and stamp.sequence > self._last + 1:
            missed = stamp.sequence - self._last - 1
            problems.append(_overrun(f"{missed} records were overwritten before they were read"))
        self._last, self._contiguous = stamp.sequence, True
        message = rest.split(b"\n", 1)[0]
        if worth_reading(message):
            records.append(Record(_plain(message), max(0.0, now - stamp.seconds)))

    def _boot_now(self) -> str:
        try:
            return self._boot_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""  # then no position is this boot's, and none is kept


def _stamp(header: bytes) -> _Stamp | None:
    parts = header.split(b",", 3)
    try:
        return _Stamp(int(parts[1]), int(parts[2]) / 1e6)
    except (IndexError, ValueError):
        return None


def _plain(message: bytes) -> bytes:
    return _ESCAPE.sub(lambda found: bytes([int(found[1], 16)]), message)


def _survivable(error: OSError) -> Problem | None:
    """Return what an error of one read means, where the next read goes on behind it."""
    if error.errno == errno.EPIPE:
        return _overrun("records were overwritten before they were read")
    if error.errno == errno.EINVAL:
        return Problem("kernel_record_malformed", str(PATH), "a record does not fit any buffer")
    return None


def _overrun(detail: str) -> Problem:
    return Problem("kernel_log_overrun", str(PATH), detail)
