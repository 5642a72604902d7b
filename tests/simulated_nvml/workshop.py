"""Drivers of the simulated library for whole processes, and an account of what they did for each.

The library counts its calls and the processor time between the entry and the return of each, in a file that
it shares with us, and how often it is open. So what is left of a process's CPU time is what it does itself,
the binding included, and nothing has to be guessed of what the driver would have cost. Counting costs a call
some 0.3 us beyond what is counted; that is charged to the process.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.simulated_nvml.build import build

_LAYOUT: Final = struct.Struct("=4Q")


@dataclass(frozen=True)
class Account:
    """What the library did for a process so far."""

    calls: int
    cpu_seconds: float
    wall_seconds: float
    users: int
    """How often the process has the library open now."""

    def __sub__(self, other: "Account") -> "Account":
        """Return what it did since ``other``."""
        return Account(
            self.calls - other.calls,
            self.cpu_seconds - other.cpu_seconds,
            self.wall_seconds - other.wall_seconds,
            self.users,
        )


@dataclass(frozen=True)
class SimulatedNode:
    """A node's driver: where the library is and what it is told. One process a node."""

    library: Path
    control: Path

    def environment(self) -> dict[str, str]:
        """Return what makes a process find this driver."""
        return {
            "LD_LIBRARY_PATH": str(self.library.parent),
            "SIMULATED_NVML": str(self.control),
        }

    def tell(self, directives: str) -> None:
        """Replace what the driver is told; see control.h."""
        fresh = self.control.with_name(f"{self.control.name}.new")
        fresh.write_text(f"elapsed clock\nsampling 10\n{directives}\n", encoding="ascii")
        fresh.replace(self.control)

    def account(self) -> Account:
        """Return what the library has done for the process that uses this node."""
        data = self.control.with_name(f"{self.control.name}.account").read_bytes()
        calls, cpu, wall, users = _LAYOUT.unpack_from(data)
        return Account(calls, cpu / 1e9, wall / 1e9, users)


class Workshop:
    """Builds the library once, and makes nodes of it in ``folder``. Raises `CannotBuildError`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._library = build(folder)

    def node(self, name: str, directives: str, mig: str = "") -> SimulatedNode:
        """Make a node whose counters, power and heat move, and which samples ten times a second."""
        control = self._folder / name
        node = SimulatedNode(self._library, control)
        node.tell(directives)
        control.with_name(f"{name}.account").write_bytes(bytes(_LAYOUT.size))
        if mig:
            control.with_name(f"{name}.mig").write_text(mig, encoding="ascii")
        return node
