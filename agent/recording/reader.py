"""Reads a recording line by line, and keeps count of what cannot be understood.

A file can be long, cut off, or damaged anywhere: it is never read as a whole, no line of it is held
longer than needed, and what is wrong with it is told and left out.
"""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TextIO

from agent.recording.line import END, LONGEST_LINE, DamagedLineError, Line, header, parsed

_DAMAGE: Final = (OSError, EOFError, zlib.error)
"""What reading raises where a file is cut off or is not what its name says."""
_UNKNOWN_TOLD: Final = 50
"""Different fields that are told of; a file may hold any number."""


_FAULTS_KEPT: Final = 1000
"""Faults that wait to be told of; a file may be nothing but faults."""
NOTHING: Final = ""
"""The question of a line that could not be understood."""


class RecordingError(ValueError):
    """The file cannot be played at all; the message says why and what to do."""


class Reader:
    """The lines of a recording, from the beginning each time `lines` is called.

    ``faults`` takes in a reason (one word) and a sentence for each thing that was left out. Raises
    `RecordingError` where the file cannot be read or is of another version.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._unknown: set[str] = set()
        self.faults: list[tuple[str, str]] = []
        try:
            with self._open() as file:
                self.interval = header(file.readline(LONGEST_LINE))
        except FileNotFoundError as error:
            raise RecordingError(f"recording {path}: there is no such file") from error
        except (DamagedLineError, *_DAMAGE) as error:
            raise RecordingError(f"recording {path}: {error}") from error

    def lines(self) -> Iterator[Line]:
        """Yield the lines in the order of time, up to the end."""
        ended, at = False, 0.0
        for number, text in self._texts():
            line = self._parsed(number, text, at)
            at, ended = line.at, line.ask == END
            yield line
            if ended:
                return
        if not ended:
            self._fault("truncated_recording", None, "it has no last line")

    def _parsed(self, number: int, text: str, at: float) -> Line:
        """Read a line; in place of one that cannot be understood return one that says nothing."""
        try:
            line = parsed(text)
        except DamagedLineError as error:
            self._fault("damaged_recording", number, str(error))
            return Line(at, NOTHING, None, None)
        if line.at < at:
            said = f"at is {line.at:g}, before the line above it ({at:g})"
            self._fault("damaged_recording", number, said)
            return Line(at, NOTHING, None, None)
        self._note_unknown(number, line)
        return line

    def _texts(self) -> Iterator[tuple[int, str]]:
        """Yield the lines behind the header with their numbers; a file that breaks off ends there."""
        try:
            with self._open() as file:
                file.readline(LONGEST_LINE)
                number = 1
                while text := file.readline(LONGEST_LINE):
                    number += 1
                    if len(text) == LONGEST_LINE and not text.endswith("\n"):
                        self._fault("damaged_recording", number, "is too long")
                        _skip_line(file)
                    elif text.strip():
                        yield number, text
        except _DAMAGE as error:
            self._fault("damaged_recording", None, str(error))

    def _open(self) -> TextIO:
        if self._path.suffix == ".gz":
            return gzip.open(self._path, "rt", encoding="utf-8", errors="replace")
        return self._path.open(encoding="utf-8", errors="replace")

    def _note_unknown(self, number: int, line: Line) -> None:
        for name in line.unknown - self._unknown:
            if len(self._unknown) < _UNKNOWN_TOLD:
                self._unknown.add(name)
                self._fault("unknown_field", number, f"{name[:60]!r} is not known to this agent")

    def _fault(self, reason: str, number: int | None, said: str) -> None:
        where = "" if number is None else f" line {number}"
        if len(self.faults) < _FAULTS_KEPT:
            self.faults.append((reason, f"{self._path.name}{where}: {said[:200]}"))


def _skip_line(file: TextIO) -> None:
    while (rest := file.readline(LONGEST_LINE)) and not rest.endswith("\n"):
        pass
