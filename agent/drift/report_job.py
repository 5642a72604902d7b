"""What a report is to be made of, and what it may cost: passed to its own process as JSON."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

ENVIRONMENT: Final = {
    "DO_NOT_TRACK": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MPLBACKEND": "Agg",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "ARROW_IO_THREADS": "1",
    "MALLOC_ARENA_MAX": "2",
}
"""Of the process: no telemetry, one thread in each library, and no gigabyte of addresses set aside."""
DEFAULT_THRESHOLD: Final = 0.25
"""PSI of a day above which the alerts take for drift what was not calibrated."""
BEYOND_MEMORY: Final = 3
"""Exit code: the limit of memory was reached."""
UNUSABLE: Final = 4
"""Exit code: what was given cannot be made a report of; the last line of standard error says why."""


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
    threshold: float = DEFAULT_THRESHOLD
    """PSI above which a column has drifted that has no bound of its own."""
    bounds: dict[str, float] = field(default_factory=dict)
    """By column, the PSI of a day that calibration learned, as the alerts have it."""
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
