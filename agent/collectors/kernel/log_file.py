"""A kernel log that a syslog daemon writes to a file, for hosts that give nothing else.

The file may be rotated (renamed, and a new one made), truncated in place, or be absent for a while. Only
whole lines are read; a line that never ends is cut.
"""

import os
import zlib
from collections.abc import Callable
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final, NamedTuple

from agent.collector import Unavailable
from agent.collectors.kernel.lines import worth_reading
from agent.collectors.kernel.log import Portion, Record
from agent.collectors.kernel.syslog_time import age
from agent.snapshot import Problem

_AT_ONCE: Final = 1 << 20
"""Bytes a portion."""
_LONGEST_LINE: Final = 16384
_MARK: Final = 256
"""Bytes at the beginning of a file that tell it from another one with the same inode."""


class _Mark(NamedTuple):
    """What a file is known by."""

    inode: int
    length: int
    checksum: int


class LogFile:
    """`KernelLog` over a file; ``clock`` gives Unix seconds."""

    def __init__(self, path: Path, *, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._file: FileIO | None = None
        self._mark: _Mark | None = None
        self._rest = b""
        self._cutting = False

    def open(self, position: object) -> None:
        """Open the file behind ``position``, which may be in the file that it was before a rotation."""
        self.close()
        try:
            file = self._path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise Unavailable(
                f"{self._path} does not exist: name the file that the kernel log is written to, or read "
                "/dev/kmsg"
            ) from error
        except PermissionError as error:
            raise Unavailable(
                f"{self._path} cannot be read: let the agent's user or group read it"
            ) from error
        match position:
            case {
                "inode": int(inode),
                "length": int(length),
                "checksum": int(sum_),
                "offset": int(at),
            }:
                file = self._resume(file, _Mark(inode, length, sum_), at)
            case _:
                file.seek(0, os.SEEK_END)
        self._file = file
        self._mark = _mark(file)

    def read(self) -> Portion:
        """Return the lines since the last call that are worth reading."""
        if self._file is None:
            raise OSError("the kernel log is not open")
        problems: list[Problem] = []
        self._notice_truncation(self._file, problems)
        data = self._file.read(_AT_ONCE)
        if not data and self._follow_rotation(self._file, problems):
            return Portion((), tuple(problems), more=True)
        if self._mark is None or self._mark.length < _MARK:
            self._mark = _mark(self._file)
        records = self._lines(data, problems)
        return Portion(tuple(records), tuple(problems), more=bool(data))

    def position(self) -> object:
        """Return which file it is, and up to which whole line it was read."""
        if self._file is None or self._mark is None:
            return None
        inode, length, checksum = self._mark
        offset = self._file.tell() - len(self._rest)
        return {"inode": inode, "length": length, "checksum": checksum, "offset": offset}

    def descriptor(self) -> int | None:
        """Return nothing: a file is readable at its end as well."""
        return None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest, self._cutting = None, b"", False

    def _resume(self, file: FileIO, known: _Mark, offset: int) -> FileIO:
        """Return the file to go on in: this one, the one that it was rotated to, or this one anew."""
        if _is(file, known):
            file.seek(offset if offset <= os.fstat(file.fileno()).st_size else 0)
            return file
        with suppress(OSError):
            before = self._path.with_name(f"{self._path.name}.1").open("rb", buffering=0)
            if _is(before, known):
                file.close()
                before.seek(offset)
                return before
            before.close()
        file.seek(0)
        return file

    def _notice_truncation(self, file: FileIO, problems: list[Problem]) -> None:
        if os.fstat(file.fileno()).st_size >= file.tell():
            return
        file.seek(0)
        self._rest, self._mark = b"", None
        seen = "it became shorter: lines may have gone before they were read"
        problems.append(Problem("kernel_log_truncated", str(self._path), seen))

    def _follow_rotation(self, file: FileIO, problems: list[Problem]) -> bool:
        """Go on in the file that has the name now, where that is another one; return whether it is."""
        try:
            named = self._path.stat()
            ours = os.fstat(file.fileno())
            if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino):
                return False
            successor = self._path.open("rb", buffering=0)
        except OSError:
            return False  # between the rename and the new file
        if self._rest:
            problems.append(self._cut(self._rest))
        self.close()
        self._file, self._mark = successor, _mark(successor)
        return True

    def _lines(self, data: bytes, problems: list[Problem]) -> list[Record]:
        *whole, self._rest = (self._rest + data).split(b"\n")
        if whole and self._cutting:
            del whole[0]
            self._cutting = False
        if len(self._rest) > _LONGEST_LINE:
            if not self._cutting:
                problems.append(self._cut(self._rest))
            self._rest, self._cutting = b"", True
        now = self._clock()
        return [
            Record(line[:_LONGEST_LINE], age(line, now)) for line in whole if worth_reading(line)
        ]

    def _cut(self, line: bytes) -> Problem:
        return Problem("kernel_record_malformed", str(self._path), f"no end: {line[:80]!r}")


def _mark(file: FileIO) -> _Mark:
    head = os.pread(file.fileno(), _MARK, 0)
    return _Mark(os.fstat(file.fileno()).st_ino, len(head), zlib.crc32(head))


def _is(file: FileIO, known: _Mark) -> bool:
    if os.fstat(file.fileno()).st_ino != known.inode:
        return False
    head = os.pread(file.fileno(), min(_MARK, max(0, known.length)), 0)
    return len(head) == known.length and zlib.crc32(head) == known.checksum
