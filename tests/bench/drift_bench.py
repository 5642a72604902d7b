"""What the drift process costs: nanoseconds a value, memory of 1,000 features, requests on one core.

Run it with ``python -m tests.bench.drift_bench``. A value's cost is CPU time of counting batches of 1,024
rows, as lists of Python numbers, the least of several rounds; memory is the proportional set size over that
after the imports; requests are single rows of 20 features over HTTP, by the process's own CPU time.
"""

import asyncio
import json
import random
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Final

from agent.drift.gathering import BATCH
from agent.drift.models import Models
from agent.drift.rows import Rows
from agent.drift.schema import Declared
from agent.drift.selection import Selection
from agent.drift.traffic import Learning
from tests.bench.agent_process import Agent, installed_environment
from tests.real_parts.programs import Programs, free_port

FEATURES: Final = 1_000
ROUNDS: Final = 15
REQUESTS: Final = 20_000
CONNECTIONS: Final = 16
_RANDOM: Final = random.Random(1)


def batch(kind: str, features: int, size: int = BATCH) -> Rows:
    """Return rows; numbers, or words of a dozen kinds."""
    columns: dict[str, list[object]]
    if kind == "numbers":
        columns = {
            f"f{n}": [_RANDOM.lognormvariate(3, 1) for _ in range(size)] for n in range(features)
        }
    else:
        columns = {
            f"f{n}": list[object](_RANDOM.choices("abcdefghijkl", k=size)) for n in range(features)
        }
    return Rows("bench", "1", columns, 0.0)


def declaration(kind: str, features: int) -> Selection:
    """Return what `batch` sends, declared with all that a declaration can hold against a value."""
    names = [f"f{n}" for n in range(features)]
    if kind == "numbers":
        each = [
            Declared(name=name, kind="numeric", low=0, high=1e9, required=True) for name in names
        ]
    else:
        values = tuple("abcdefghijkl")
        each = [Declared(name=name, kind="categorical", values=values) for name in names]
    return Selection(declared=tuple(each))


def value_cost(kind: str, features: int = 20, *, declared: bool = False) -> float:
    """Return nanoseconds of CPU that counting one value takes, at best; judging it too, if ``declared``."""
    models = Models(
        clock=lambda: 0.0,
        learning=Learning(rows=BATCH, seconds=0),
        selections=[declaration(kind, features)] if declared else (),
    )
    rows = batch(kind, features)
    models.add(rows)  # learns from the first batch
    taken = []
    for _ in range(ROUNDS):
        began = time.process_time()
        models.add(rows)
        taken.append((time.process_time() - began) / (features * BATCH) * 1e9)
    return min(taken)


def memory() -> float:
    """Return MiB that 1,000 features take beyond what is there after the imports."""
    few = 64  # rows at once, so that the rows themselves take little
    before = _pss()
    models = Models(
        clock=lambda: 0.0, learning=Learning(rows=4 * BATCH, seconds=0), most_features=FEATURES
    )
    for _ in range(6 * BATCH // few):
        models.add(batch("numbers", FEATURES, few))
        models.count()
    return _pss() - before


def _pss() -> float:
    for line in Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise OSError("the kernel tells no Pss")


async def _send(port: int, count: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(count):
        row = {f"f{n}": _RANDOM.random() for n in range(20)}
        body = json.dumps({"model": "bench", "rows": [row]}).encode()
        head = f"POST /v1/rows HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()


async def _load(port: int) -> None:
    each = REQUESTS // CONNECTIONS
    await asyncio.gather(*(_send(port, each) for _ in range(CONNECTIONS)))


def requests_a_core() -> float:
    """Return the requests a second that one core can take, by the process's own CPU time."""
    port = free_port()
    with tempfile.TemporaryDirectory() as scratch:
        programs = Programs(Path(scratch))
        try:
            program = programs.start(
                "drift",
                [
                    sys.executable,
                    "-m",
                    "agent.cli",
                    "drift",
                    "run",
                    "--listen",
                    f"127.0.0.1:{port}",
                ],
                url=f"http://127.0.0.1:{port}",
                ready="/readyz",
                env=installed_environment(),
            )
            process = Agent(program, port, 0.0)
            found = []
            for _ in range(3):
                before = process.cpu_seconds()
                asyncio.run(_load(port))
                found.append(REQUESTS / (process.cpu_seconds() - before))
        finally:
            for started in programs.started:
                started.stop(grace=10)
    return median(found)


def main() -> int:
    """Print what was measured, beside its budget."""
    rows = (
        ("a number, in batches", value_cost("numbers"), "ns", "<= 50"),
        ("a word, in batches", value_cost("words"), "ns", "<= 50"),
        ("a declared number, in batches", value_cost("numbers", declared=True), "ns", "<= 50"),
        ("a declared word, in batches", value_cost("words", declared=True), "ns", "<= 50"),
        (f"{FEATURES} features, over the imports", memory(), "MiB PSS", "<= 40"),
        ("requests of 20 features on one core", requests_a_core(), "a second", ">= 5000"),
    )
    for name, value, unit, budget in rows:
        sys.stdout.write(f"{name:40} {value:9.1f} {unit:9} {budget}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
