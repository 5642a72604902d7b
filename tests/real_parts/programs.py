"""Starts real programs for a test, waits until they answer, and ends them by their process id.

What a program says goes to a file; when the test is over its end is printed, so that pytest shows it with
a failure and hides it otherwise.
"""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

_STEP: Final = 0.05


class NotReadyError(AssertionError):
    """Something did not come to pass in time; the message says what, and what the program said."""


def free_port() -> int:
    """Return a TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def eventually(
    what: str, probe: Callable[[], T | None], timeout: float = 30.0, step: float = _STEP
) -> T:
    """Call ``probe`` until it gives something true and return that; connection errors count as not yet."""
    give_up = time.monotonic() + timeout
    last: object = None
    while time.monotonic() < give_up:
        try:
            if found := probe():
                return found
        except OSError as error:
            last = error
        time.sleep(step)
    raise NotReadyError(f"{what}: not within {timeout:g} s ({last})")


def http_get(url: str, timeout: float = 5.0, headers: Mapping[str, str] | None = None) -> bytes:
    """Return the body of ``url``; any status but success is an `OSError` (`HTTPError` is one)."""
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 - loopback
    with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310 - loopback
        body: bytes = response.read()
    return body


def plain_environment() -> dict[str, str]:
    """Return this environment without what would configure the agent: a test says itself what it wants."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("WARPWATCH_", "OTEL_")) and key != "NODE_NAME"
    }


@dataclass(frozen=True)
class Program:
    """A program that runs. ``url`` is where it listens, where it does."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    url: str = ""

    def said(self) -> str:
        """Return all that it wrote so far, output and errors together."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def wait_until_ready(self, path: str, timeout: float = 30.0) -> None:
        """Wait until ``url`` + ``path`` answers with success; an early end is a failure at once."""

        def answers() -> bool:
            if (code := self.process.poll()) is not None:
                raise NotReadyError(f"{self.name} ended with {code}:\n{self.said()[-4000:]}")
            http_get(self.url + path)
            return True

        eventually(f"{self.name} answers at {path}", answers, timeout)

    def stop(self, grace: float = 5.0) -> int:
        """End it politely, then by force; return its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.wait()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()
        self.process.wait()


class Programs:
    """The programs of one test. ``folder`` takes their logs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.started: Final[list[Program]] = []

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        url: str = "",
        ready: str = "",
        env: Mapping[str, str] | None = None,
    ) -> Program:
        """Start a program; with ``ready``, wait until that path of ``url`` answers.

        ``env`` replaces the environment, which is `plain_environment` otherwise.
        """
        log = self._folder / f"{len(self.started)}-{name}.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(  # noqa: S603 - a list of words, no shell, from the tests
                [str(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env=plain_environment() if env is None else env,
            )
        program = Program(name, process, log, url)
        self.started.append(program)
        if ready:
            program.wait_until_ready(ready)
        return program

    def stop(self) -> None:
        """End them all, the last one first, and print the end of what each one said."""
        for program in reversed(self.started):
            code = program.stop()
            sys.stdout.write(f"--- {program.name} (exit {code})\n{program.said()[-4000:]}\n")
