"""Writes down what a driver answers."""

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

from agent import __version__
from agent.collector import Unavailable
from agent.collectors.nvml.driver import DeviceError, DriverGone, GpuDriver
from agent.recording.line import (
    END,
    MARK,
    OF_A_GPU,
    SINCE_LAST_TIME,
    VERSION,
    Line,
    encoded,
)
from agent.recording.pseudonyms import Pseudonyms


def create(path: Path) -> TextIO:
    """Open a new file for a recording, compressed by its suffix.

    Raises `FileExistsError`, since a recording cannot be made again, and any other `OSError`.
    """
    if path.suffix == ".gz":
        return gzip.open(path, "xt", encoding="utf-8")
    return path.open("x", encoding="utf-8")


class Recorder:
    """Asks a driver all there is to ask, once a `round`, and writes the answers.

    ``interval``: seconds between two rounds, which are the caller's to keep. ``clock`` gives seconds.
    ``raw``: keep UUIDs, serial numbers and ids of containers.
    """

    def __init__(
        self,
        driver: GpuDriver,
        out: TextIO,
        *,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
        raw: bool = False,
    ) -> None:
        self._driver = driver
        self._out = out
        self._clock = clock
        self._interval = interval
        self._pseudonyms = None if raw else Pseudonyms()
        self._began: float | None = None
        self._at = 0.0
        self._last: dict[tuple[str, int | None], Any] = {}
        self.rounds = 0
        self.gpus = 0
        """How many were listed in the last round."""
        self._dump(
            {
                MARK: VERSION,
                "agent": __version__,
                "interval": interval,
                "pseudonymised": not raw,
            }
        )

    def round(self) -> None:
        """Ask everything once. Whatever the driver raises is an answer; only writing can fail."""
        now = self._clock()
        self._began = now if self._began is None else self._began
        self._at = now - self._began
        try:
            self._write("open", None, self._driver.open())
            self._ask_all()
        except (Unavailable, DriverGone) as error:
            self._write("open", None, error)
            self._last.clear()  # whoever answers next may be another driver
            self._driver.close()
        self.rounds += 1
        self._out.flush()

    def finish(self) -> None:
        """Write that nothing is missing, and leave the driver."""
        if self._began is not None:
            self._at = max(self._clock() - self._began, self._at + self._interval)
        self._dump(encoded(Line(self._at, END, None, None)))
        self._driver.close()

    def _ask_all(self) -> None:
        count = self.gpus = self._driver.device_count()
        self._write("device_count", None, count)
        for index in range(count):
            for ask in OF_A_GPU:
                self._write(ask, index, self._answer(ask, index))
        self._write("xid_events", None, self._answer("xid_events"))

    def _answer(self, ask: str, *index: int) -> Any:
        try:
            return getattr(self._driver, ask)(*index)
        except DeviceError as error:
            return error

    def _write(self, ask: str, gpu: int | None, answer: Any) -> None:
        """Write an answer, unless it is known already or says nothing."""
        plain = encoded(Line(self._at, ask, gpu, answer))
        said = {key: plain[key] for key in ("ok", "error") if key in plain}
        if ask in SINCE_LAST_TIME:
            if said in ({"ok": []}, {"ok": {}}):
                return
        elif self._last.get((ask, gpu)) == said:
            return
        self._last[ask, gpu] = said
        self._dump(plain)

    def _dump(self, plain: dict[str, Any]) -> None:
        if self._pseudonyms:
            plain = self._pseudonyms.replace(plain)
        json.dump(plain, self._out, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        self._out.write("\n")
