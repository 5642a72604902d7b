"""A running agent tells which GPUs model servers hold, from the driver's library and /proc alone."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from agent.collectors.nvml.container import sees_every_process
from tests.e2e.conftest import start_agent
from tests.real_parts.payloads import FIXTURES
from tests.real_parts.programs import Programs, eventually, http_get
from tests.simulated_nvml.build import CannotBuildError, build

pytestmark = pytest.mark.e2e
GIB: Final = 1024**3
PAGE: Final = FIXTURES / "vllm/vllm_0.33.0_dp1_t0.txt"
SERVER: Final = """
import http.server, pathlib, subprocess, sys, threading
page = pathlib.Path(sys.argv[1]).read_bytes()
class Metrics(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(page)
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Metrics)
threading.Thread(target=server.serve_forever, daemon=True).start()
sleep = [sys.executable, "-c", "import time; time.sleep(600)"]
workers = [subprocess.Popen(sleep) for _ in range(int(sys.argv[2]))]
print(server.server_port, *(worker.pid for worker in workers), flush=True)
sys.stdin.read()
for worker in workers:
    worker.kill()
    worker.wait()
"""


class Server(NamedTuple):
    """A process that serves metrics, and its workers."""

    url: str
    workers: tuple[int, ...]


@pytest.fixture
def serve() -> Iterator[Callable[[int], Server]]:
    """Return a function that starts a server with so many workers."""
    started: list[subprocess.Popen[str]] = []

    def begin(workers: int) -> Server:
        command = [sys.executable, "-c", SERVER, str(PAGE), str(workers)]
        process = subprocess.Popen(  # noqa: S603 - our own program
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        port, *pids = process.stdout.readline().split()
        return Server(f"http://127.0.0.1:{port}", tuple(map(int, pids)))

    yield begin
    for process in started:
        process.communicate()


def driver(folder: Path, *held: tuple[int, int, int]) -> Mapping[str, str]:
    """Return an environment whose driver says who holds how much: GPU, process, bytes."""
    control = folder / "gpus"
    lines = (f"process {gpu} compute {pid} {size} /usr/bin/python3" for gpu, pid, size in held)
    control.write_text("\n".join(["devices 4", *lines, ""]))
    (folder / "library").mkdir()
    try:
        library = build(folder / "library")
    except CannotBuildError as error:
        pytest.skip(f"the simulated NVML library cannot be built: {error}")
    return {
        **os.environ,
        "LD_LIBRARY_PATH": str(library.parent),
        "SIMULATED_NVML": str(control),
    }


def shares(url: str) -> dict[tuple[str, str], float] | None:
    """Return the share of each GPU by server and GPU; None while there is none."""
    text = http_get(f"{url}/metrics").decode()
    lines = re.findall(r"^inference_gpu_share_ratio\{(.*)\} (\S+)$", text, re.MULTILINE)
    labels = [(dict(re.findall(r'(\w+)="([^"]*)"', each)), float(number)) for each, number in lines]
    return {(one["inference_server_name"], one["hw_id"]): share for one, share in labels} or None


def hidden(url: str) -> bool:
    """Return whether the agent says that processes are hidden from it."""
    return b'warpwatch_problem="process_hidden"' in http_get(f"{url}/metrics")


def test_servers_of_a_real_agent_are_joined(
    serve: Callable[[int], Server], programs: Programs, tmp_path: Path
) -> None:
    """One server on three GPUs, another on a quarter of the third: three parts in all, and no more."""
    big, small = serve(3), serve(1)
    environment = driver(
        tmp_path,
        *((gpu, pid, 30 * GIB) for gpu, pid in enumerate(big.workers)),
        (2, small.workers[0], 10 * GIB),
    )
    servers = [
        {"name": name, "url": one.url, "interval": 1}
        for name, one in (("big", big), ("small", small))
    ]

    agent = start_agent(programs, tmp_path, env=environment, servers=servers, kernel_log=False)
    if not sees_every_process():  # the tests run in a container: then the agent says just that
        assert eventually("a problem", lambda: hidden(agent.url), timeout=40, step=0.5)
        return
    found = eventually("shares", lambda: shares(agent.url), timeout=40, step=0.5)

    boards = sorted({board for _, board in found})
    assert len(boards) == 3
    assert sorted(share for (name, _), share in found.items() if name == "big") == [0.75, 1.0, 1.0]
    assert [share for (name, _), share in found.items() if name == "small"] == [0.25]
    text = http_get(f"{agent.url}/metrics").decode()
    infos = re.findall(r"^inference_gpu_info\{(.*)\} 1$", text, re.MULTILINE)
    assert len(infos) == 4
    assert sum('warpwatch_attribution="apportioned"' in each for each in infos) == 2
    assert all('gen_ai_request_model="meta-llama/Llama-3.1-8B-Instruct"' in each for each in infos)
