"""One real model server under test: started, asked, killed, started again on the same ports."""

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.real_parts.programs import NotReadyError, Program, eventually, http_get
from tests.real_servers import processes
from tests.real_servers.processes import Command


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What is known of a kind of server before it runs.

    ``metrics`` is the URL of its metrics, ``api`` the base of its API, ``ready`` the URL that answers
    200 once it serves. ``inference`` gives path and body of a request that takes so many seconds; the
    server refuses a negative number. ``patience`` are the seconds in which it must be ready: most take 3
    to 5, on a machine that is busy more. ``settling`` are those after which its metrics have what it
    answered: some count late, Ray's processes report what they counted twice a second.
    """

    name: str
    commands: tuple[Command, ...]
    metrics: str
    api: str
    ready: str
    model: str
    inference: Callable[[float], tuple[str, object]]
    state: Path | None = None
    """What a killed server leaves behind and a new one would believe."""
    patience: float = 90.0
    settling: float = 0.3


class ModelServer:
    """A server of one test, with its logs in ``folder``."""

    def __init__(self, spec: Spec, folder: Path) -> None:
        self.spec = spec
        self._folder = folder
        self.programs: dict[str, Program] = {}

    def start(self) -> None:
        """Start it, or start it again, and wait until it serves."""
        if self.spec.state:
            shutil.rmtree(self.spec.state, ignore_errors=True)
        for command in self.spec.commands:
            log = self._folder / f"{self.spec.name}-{command.name}.log"
            self.programs[command.name] = processes.start(command, log, self.spec.api)
        eventually(f"{self.spec.name} is ready", self._serves, self.spec.patience)

    def ask(self, path: str, body: object = None, timeout: float = 10.0) -> tuple[int, bytes]:
        """Return status and body of a GET, or of a POST where there is a body."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.spec.api}{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - loopback
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def infer(self, seconds: float, timeout: float = 10.0) -> int:
        """Send one inference request, which takes so long; return the status."""
        path, body = self.spec.inference(seconds)
        return self.ask(path, body, timeout)[0]

    def load(self, *, good: int, bad: int, seconds: float = 0.01) -> None:
        """Send so many requests that succeed and so many that fail, and be sure that they did."""
        said = [self.infer(seconds) for _ in range(good)] + [self.infer(-1) for _ in range(bad)]
        if [code < 400 for code in said] != [True] * good + [False] * bad:
            raise NotReadyError(f"{self.spec.name} answers {said}")

    def kill(self) -> None:
        """End it as a power cut would."""
        for program in self.programs.values():
            processes.end(program)

    def stop(self) -> None:
        """End it, and print the end of what it said, which pytest shows with a failure."""
        for program in self.programs.values():
            with suppress(OSError):
                processes.thaw(program)
            processes.end(program, gently=True)
            sys.stdout.write(f"--- {self.spec.name} {program.name}\n{program.said()[-4000:]}\n")
        if self.spec.state:
            shutil.rmtree(self.spec.state, ignore_errors=True)

    def _serves(self) -> bool:
        for program in self.programs.values():
            if (code := program.process.poll()) is not None:
                raise NotReadyError(f"{program.name} ended with {code}:\n{program.said()[-4000:]}")
        return bool(http_get(self.spec.ready) is not None)
