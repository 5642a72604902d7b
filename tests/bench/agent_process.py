"""The agent as a process that is watched from outside: its CPU time and memory, as the kernel counts them."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

from tests.real_parts.programs import Program, Programs, free_port, plain_environment

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_ROOT: Final = Path(__file__).resolve().parents[2]
HANGING: Final = Path(__file__).with_name("hanging_driver.py")


def installed_environment() -> dict[str, str]:
    """Return an environment in which bytecode is kept, as it is where the agent is installed."""
    environment = plain_environment()
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


class Process(Protocol):
    """What can be watched from outside."""

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used, user and system."""
        ...


@dataclass(frozen=True)
class Bare:
    """A running process that serves nothing."""

    pid: int

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used, user and system."""
        return _cpu_seconds(self.pid)


@dataclass(frozen=True)
class Watched:
    """A running program and the port where it serves."""

    program: Program
    port: int

    def cpu_seconds(self) -> float:
        """Return the CPU time that it has used, user and system."""
        return _cpu_seconds(self.program.process.pid)

    def pss_mib(self) -> float:
        """Return its proportional set size: pages shared with others count in part."""
        rollup = Path(f"/proc/{self.program.process.pid}/smaps_rollup").read_text(encoding="ascii")
        kib = next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
        return kib / 1024


@dataclass(frozen=True)
class Agent(Watched):
    """A running agent."""

    first_metric_after: float
    """Seconds from its start, interpreter included, until /readyz said yes."""


@contextmanager
def running_agent(
    folder: Path,
    settings: dict[str, Any],
    entry: Sequence[str] = ("-m", "agent.cli"),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[Agent]:
    """Run an agent with these settings on a free port while the context lasts.

    ``environment`` is added to what an installed agent has.
    """
    port = free_port()
    config = folder / f"agent-{port}.yaml"
    config.write_text(json.dumps({"listen": f"127.0.0.1:{port}", **settings}), encoding="utf-8")
    programs = Programs(folder)
    began = time.monotonic()
    try:
        program = programs.start(
            "agent",
            [sys.executable, *entry, "run", "--config", config, "--log-level", "warning"],
            url=f"http://127.0.0.1:{port}",
            ready="/readyz",
            env=installed_environment() | dict(environment),
        )
        yield Agent(program, port, time.monotonic() - began)
    finally:
        for started in programs.started:
            started.stop(grace=10)


def _cpu_seconds(pid: int) -> float:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


@contextmanager
def running_bare_calls(environment: Mapping[str, str]) -> Iterator[Bare]:
    """Make the agent's calls, and no more, while the context lasts. Raises `RuntimeError`."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.bare_calls"],
        env=installed_environment() | dict(environment),
        cwd=_ROOT,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            if not process.stdout or not process.stdout.readline():
                raise RuntimeError("the bare calls do not begin: see what they say above")
            yield Bare(process.pid)
        finally:
            process.kill()


def import_cost(module: str, runs: int) -> tuple[list[float], list[float]]:
    """Return milliseconds and MiB that importing ``module`` takes, in fresh interpreters.

    One run goes before them, to write what bytecode there is not yet.
    """
    program = (
        "import time\n"
        "def rss():\n"
        "    with open('/proc/self/status') as f:\n"
        "        return next(int(x.split()[1]) for x in f if x.startswith('VmRSS:'))\n"
        f"r, t = rss(), time.perf_counter()\nimport {module}\n"
        "print((time.perf_counter() - t) * 1000, (rss() - r) / 1024)"
    )
    told = []
    for _ in range(runs + 1):
        done = subprocess.run(  # noqa: S603 - our own interpreter and words
            [sys.executable, "-c", program],
            env=installed_environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        told.append([float(word) for word in done.stdout.split()])
    return [row[0] for row in told[1:]], [row[1] for row in told[1:]]
