"""PyPI's nvitop-exporter beside ours, on the same simulated library; set up in an environment of its own."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.bench.agent_process import Watched
from tests.real_parts.programs import Programs, free_port, plain_environment
from tests.simulated_nvml.workshop import SimulatedNode

NAME: Final = "nvitop-exporter"
PINNED: Final = "nvitop-exporter==1.7.0"
_HOME: Final = Path(__file__).resolve().parents[2] / ".tools" / "nvitop-exporter"
_SETUP_SECONDS: Final = 180


class NoRivalError(Exception):
    """It cannot be installed here; the message says what the installer said."""


def executable() -> Path:
    """Return the program, installed under .tools/ at the first call. Raises `NoRivalError`."""
    program = _HOME / "bin" / NAME
    if not program.exists():
        _command(sys.executable, "-m", "venv", str(_HOME))
        _command(str(_HOME / "bin/python"), "-m", "pip", "--quiet", "install", PINNED)
    if not program.exists():
        raise NoRivalError(f"{PINNED} is installed and brought no program {program}")
    return program


def _command(*words: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed words
            words, capture_output=True, text=True, timeout=_SETUP_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoRivalError(f"{' '.join(words)}: {error}") from error
    if done.returncode:
        raise NoRivalError(f"{' '.join(words)}: {done.stderr[-300:]}")


@contextmanager
def running_rival(folder: Path, node: SimulatedNode) -> Iterator[Watched]:
    """Run it with its documented flag for sampling each second, as ours samples."""
    program, port = executable(), free_port()
    programs = Programs(folder)
    try:
        started = programs.start(
            NAME,
            [program, "--interval", "1", "--bind-address", "127.0.0.1", "--port", str(port)],
            url=f"http://127.0.0.1:{port}",
            ready="/metrics",
            env=plain_environment() | node.environment(),
        )
        yield Watched(started, port)
    finally:
        for each in programs.started:
            each.stop(grace=5)
