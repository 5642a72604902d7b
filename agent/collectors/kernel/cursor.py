"""Keeps where the kernel log was read up to, so that a restarted agent reports each line once.

It is written before the lines are reported: an agent killed in between loses them, and one that is not
never reports a line twice. The file is replaced in one step, so a kill leaves the old one or the new one.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.snapshot import Problem

_NAME: Final = "kernel-log.json"
_LARGEST: Final = 4096


class Cursor:
    """The position in a file of its own in ``directory``; in memory only where that is `None`."""

    def __init__(self, directory: Path | None) -> None:
        self._path = directory / _NAME if directory else None
        self._kept: object = None

    def load(self, log: str) -> object:
        """Return the position in ``log``, `None` where there is none or it cannot be read."""
        if self._path is not None and self._kept is None:
            try:
                with self._path.open("rb") as file:
                    self._kept = json.loads(file.read(_LARGEST))
            except (OSError, ValueError, RecursionError):
                self._kept = None
        match self._kept:
            case {"log": str(known), "position": position} if known == log:
                return position
        return None

    def save(self, log: str, position: object) -> Problem | None:
        """Keep the position; return what went wrong, where it then holds in memory only."""
        kept = {"log": log, "position": position}
        if kept == self._kept:
            return None
        self._kept = kept
        if self._path is None:
            return None
        draft = self._path.with_name(f"{_NAME}.new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with draft.open("w", encoding="ascii") as file:
                json.dump(kept, file)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            return Problem("cursor_not_kept", str(self._path), f"{type(error).__name__}: {error}")
        return None
