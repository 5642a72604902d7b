"""The report's own process: what Evidently costs, it costs here, within limits that the kernel keeps.

``python -m agent.drift.report_process`` reads a job from its standard input. Before the libraries are loaded
the process gives up memory, processor time and the network; none of the three can be taken back. Time on the
wall is kept by whoever started it: a library without memory can spin instead of failing.
"""

import os
import resource
import sys
from typing import Final

from agent.drift.report_job import BEYOND_MEMORY, UNUSABLE, Job, Limits, UnusableInputError

_NICE: Final = 15
_MIB: Final = 2**20
_REACHES_OUT: Final = frozenset(
    {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.bind", "socket.sendto"}
)


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
