"""The report's own process: what Evidently costs, it costs here, within limits that the kernel keeps.

``python -m agent.drift.report_job`` reads a job from its standard input. Before the libraries are loaded the
process gives up memory, processor time and the network; none of the three can be taken back. Time on the wall
is kept by whoever started it: a library without memory can spin instead of failing.
"""

import json
import os
import resource
import sys
from dataclasses import asdict, dataclass, field
from typing import Any, Final

ENVIRONMENT: Final = {
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
}
"""Of the process: no telemetry, and one thread in each library."""
BEYOND_MEMORY: Final = 3
"""Exit code: the limit of memory was reached."""
UNUSABLE: Final = 4
"""Exit code: what was given cannot be made a report of; the last line of standard error says why."""
_NICE: Final = 15
_MIB: Final = 2**20
_REACHES_OUT: Final = frozenset(
    {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "socket.sendto"}
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a report may cost. Measured: 20 columns of 2,000 rows take 330 MiB, 6 s of CPU."""

    memory: int = 1_536
    """MiB of address space; below 600 the libraries cannot even be loaded."""
    cpu: int = 60
    """Seconds of processor time."""
    wall: float = 120.0
    """Seconds on the clock."""
    rows: int = 5_000
    """Rows a side; of more, a uniform sample."""
    columns: int = 50
    """Columns; of more, those that differ most."""


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of the comparison: a file of rows, or a reference, or counts of the reference's bins."""

    origin: str
    """Where it comes from, in words, for the reader of the report."""
    file: str = ""
    reference: str = ""
    """A reference as its file has it (JSON)."""
    counts: dict[str, list[int]] = field(default_factory=dict)

    @property
    def is_rebuilt(self) -> bool:
        """Whether rows have to be made of counts."""
        return not self.file


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to compare, and where to write ``drift-report.html`` and ``drift-report.json``."""

    reference: Side
    current: Side
    output: str
    model: str = ""
    model_version: str = ""
    identity: str = ""
    """The id of the reference as the series carry it, if it is not the reference's own."""
    threshold: float = 0.25
    limits: Limits = field(default_factory=Limits)

    def to_json(self) -> str:
        """Return it as the process reads it."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Return the job that `to_json` wrote."""
        told: dict[str, Any] = json.loads(text)
        reference, current = Side(**told.pop("reference")), Side(**told.pop("current"))
        limits = Limits(**told.pop("limits"))
        return cls(reference=reference, current=current, limits=limits, **told)


class UnusableInputError(ValueError):
    """What was given cannot be made a report of; the sentence says which part and why."""


def confine(limits: Limits) -> None:
    """Give up memory, processor time and the network, for good."""
    memory = limits.memory * _MIB
    for kind, soft, hard in (
        (resource.RLIMIT_AS, memory, memory),
        (resource.RLIMIT_CPU, limits.cpu, limits.cpu + 1),  # SIGXCPU, which says why, then SIGKILL
        (resource.RLIMIT_CORE, 0, 0),
    ):
        _, allowed = resource.getrlimit(kind)
        most = hard if allowed == resource.RLIM_INFINITY else min(hard, allowed)
        resource.setrlimit(kind, (min(soft, most), most))
    os.nice(_NICE)
    sys.addaudithook(_refuse_network)


def _refuse_network(event: str, _: tuple[object, ...]) -> None:
    if event in _REACHES_OUT:
        raise PermissionError(f"a report needs no network, and something tried {event}")


def main() -> int:
    """Do the job on standard input."""
    job = Job.from_json(sys.stdin.read())
    confine(job.limits)
    try:
        from agent.drift import report  # noqa: PLC0415 - within the limits

        report.write(job)
    except MemoryError:
        return BEYOND_MEMORY
    except (UnusableInputError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return UNUSABLE
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"evidently", "pandas", "pyarrow"}:
            raise
        sys.stderr.write(
            f"reports need {error.name}, which is not installed; run `pip install 'warpwatch[report]'`\n"
        )
        return UNUSABLE
    return 0


if __name__ == "__main__":
    sys.exit(main())
