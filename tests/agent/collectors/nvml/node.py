"""An agent's collector in a process that finds the simulated library, and words to ask it with."""

import os
import pickle
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.catalogue import Metric, gpu
from agent.snapshot import Batch
from tests.simulated_nvml import agent_side


class Node:
    """A process that reads GPUs; `tell` says what the simulated driver is to be from now on."""

    def __init__(self, folder: Path, library: Path | None, modules: Path | None = None) -> None:
        self.control = folder / "control"
        self.now = 1_000.0
        self.tell("")
        environment = {**os.environ, "SIMULATED_NVML": str(self.control)}
        environment["LD_LIBRARY_PATH"] = str(library.parent) if library else str(folder)
        if modules:
            environment["PYTHONPATH"] = str(modules)
        self.process = subprocess.Popen(  # noqa: S603 - this interpreter, our own program
            [sys.executable, agent_side.__file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )

    def tell(self, directives: str) -> None:
        """Replace the control file; see tests/simulated_nvml/control.h."""
        fresh = self.control.with_suffix(".new")
        fresh.write_text("\n".join(line.strip() for line in directives.splitlines()))
        fresh.replace(self.control)

    def renew(self) -> None:
        """Make it 8 healthy GPUs and an agent that has just begun."""
        self.tell("")
        self.ask("renew")

    def try_(self, name: str, *arguments: Any) -> tuple[str, Any]:
        """Ask, and return ``ok`` and the answer, or the name of the error and its message."""
        assert self.process.stdin
        assert self.process.stdout
        pickle.dump((name, arguments), self.process.stdin)
        self.process.stdin.flush()
        answer: tuple[str, Any] = pickle.load(self.process.stdout)  # noqa: S301 - our own child
        return answer

    def ask(self, name: str, *arguments: Any) -> Any:
        """Ask, and return the answer."""
        how, answer = self.try_(name, *arguments)
        assert how == "ok", f"{how}: {answer}"
        return answer

    def collect(self, seconds: float = 1.0) -> Batch:
        """Run the collector once, ``seconds`` after the last time."""
        self.now += seconds
        batch: Batch = self.ask("collect", self.now)
        return batch

    def close(self) -> int:
        """End the process and return its exit status."""
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait(10)
        finally:
            self.process.stdout.close()


def uuid(index: int) -> str:
    """Return the UUID of a simulated GPU."""
    return f"GPU-00000000-0000-0000-0000-{index:012d}"


def value(batch: Batch, metric: Metric, *attributes: str) -> Any:
    """Return the value of a series, or `None` where there is no such series."""
    found = [reading.value for reading in batch.readings if reading[:2] == (metric, attributes)]
    assert len(found) <= 1
    return found[0] if found else None


def problems(batch: Batch) -> set[tuple[str, str, str]]:
    """Return reason, subject and field of each problem of a batch, none of them twice."""
    found = [(one.reason, one.subject, one.detail.partition(":")[0]) for one in batch.problems]
    assert len(found) == len(set(found))
    return set(found)


def info(batch: Batch, index: int) -> tuple[str, ...]:
    """Return the attributes of a GPU's info series."""
    (found,) = (
        one.attributes
        for one in batch.readings
        if one.metric == gpu.INFO and one.attributes[0] == uuid(index)
    )
    return found
