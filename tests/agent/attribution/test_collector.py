"""The join as a whole, with processes that are really there."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.attribution import collector as join
from agent.attribution.collector import JoinCollector, Known
from agent.attribution.lookup import Lookup
from agent.catalogue import Metric, gpu, serving, serving_gpu
from agent.discovery.target import PodIdentity
from agent.snapshot import Batch, Holder, Reading
from agent.vetting import vet
from tests.agent.attribution.machine import Machine

NOW = 1_700_000_000.0
SERVER = """
import socket, subprocess, sys, time
listening = socket.create_server(("127.0.0.1", 0))
sleep = "import time; time.sleep(600)"
children = [subprocess.Popen([sys.executable, "-c", sleep]) for _ in range(int(sys.argv[1]))]
print(listening.getsockname()[1], *(child.pid for child in children), flush=True)
sys.stdin.read()
for child in children:
    child.kill()
    child.wait()
"""


class Running(NamedTuple):
    """A process that listens, and its children, which do not."""

    url: str
    pid: int
    workers: tuple[int, ...]


@pytest.fixture
def start() -> Iterator[Callable[[int], Running]]:
    """Return a function that starts a server with so many workers."""
    started: list[subprocess.Popen[str]] = []

    def begin(workers: int) -> Running:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-c", SERVER, str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout is not None
        port, *pids = map(int, process.stdout.readline().split())
        return Running(f"http://127.0.0.1:{port}/metrics", process.pid, tuple(pids))

    yield begin
    for process in started:
        process.communicate()


@pytest.fixture(autouse=True)
def _host_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look as from the host's PID namespace, wherever the tests run."""
    monkeypatch.setattr(join, "sees_every_process", lambda _: True)


def gpus(*holders: Holder, count: int = 4) -> Batch:
    """Return what NVML tells of GPUs g0, g1, ... of 80 GiB."""
    readings = [
        reading
        for at in range(count)
        for reading in (
            Reading(gpu.INFO, (f"g{at}", str(at), "NVIDIA H100 80GB HBM3", *[""] * 7), 1),
            Reading(gpu.MEMORY_LIMIT, (f"g{at}",), 80 * 1024**3),
        )
    ]
    return Batch(NOW, tuple(readings), holders=holders)


def served(name: str, *models: str, up: float = 1, provider: str = "vllm") -> Batch:
    """Return what a server tells."""
    return Batch(
        NOW,
        (
            Reading(serving.SERVER_UP, (name, provider), up),
            *(Reading(serving.REQUESTS_RUNNING, (name, provider, m, "", "0"), 1) for m in models),
        ),
    )


def labels(batch: Batch, metric: Metric) -> list[dict[str, str]]:
    """Return the attributes that each reading of a metric has."""
    return [
        {
            name.label: value
            for name, value in zip(metric.attributes, attributes, strict=True)
            if value
        }
        for reading, attributes, _ in batch.readings
        if reading is metric
    ]


async def joined(
    batches: dict[str, Batch], *servers: Known, proc: Path | None = Path("/proc")
) -> Batch:
    """Run the collector once, and demand that nothing of it would be refused."""
    collector = JoinCollector(
        lambda: batches, lambda: servers, prices={"nvidia h100*": 2.5}, proc=proc, clock=lambda: NOW
    )
    batch = await collector.collect()
    await collector.close()
    assert vet(batch)[0] is batch
    return batch


async def test_a_server_over_four_gpus_has_them_all(start: Callable[[int], Running]) -> None:
    """Four workers, children of the process that listens, each on a GPU of its own."""
    server = start(4)
    holders = [Holder(f"g{at}", pid, "python", 1000) for at, pid in enumerate(server.workers)]
    batches = {"nvml": gpus(*holders, count=5), "serving/chat": served("chat", "llama")}

    batch = await joined(batches, Known("chat", server.url))

    assert labels(batch, serving_gpu.GPU_INFO) == [
        {
            "hw_id": f"g{at}",
            "inference_server_name": "chat",
            "gen_ai_provider_name": "vllm",
            "gen_ai_request_model": "llama",
            "warpwatch_attribution": "exclusive",
        }
        for at in range(4)
    ]
    assert {each.value for each in batch.readings if each.metric is serving_gpu.GPU_SHARE} == {1.0}
    assert len(labels(batch, serving_gpu.GPU_PRICE)) == 5
    assert batch.problems == ()


async def test_two_servers_on_one_gpu_share_it(start: Callable[[int], Running]) -> None:
    """By the memory that their processes hold; each is found by the port of its own."""
    one, two = start(1), start(1)
    holders = (
        Holder("g0", one.workers[0], "python", 3000),
        Holder("g0", two.workers[0], "python", 1000),
    )
    batches = {
        "nvml": gpus(*holders),
        "serving/a": served("a", "llama", "qwen"),
        "serving/b": served("b", provider="triton"),
    }

    batch = await joined(batches, Known("a", one.url), Known("b", two.url))

    infos = labels(batch, serving_gpu.GPU_INFO)
    assert [
        (each["inference_server_name"], each.get("gen_ai_request_model")) for each in infos
    ] == [
        ("a", "llama"),
        ("a", "qwen"),
        ("b", None),
    ]
    assert {each["warpwatch_attribution"] for each in infos} == {"apportioned"}
    assert {
        each.attributes[1]: each.value
        for each in batch.readings
        if each.metric is serving_gpu.GPU_SHARE
    } == {"a": 0.75, "b": 0.25}


async def test_a_server_that_nobody_listens_for_is_a_problem() -> None:
    """No series, and a sentence that says what to do."""
    batches = {"nvml": gpus(Holder("g0", 1, "x", 1)), "serving/chat": served("chat")}

    batch = await joined(batches, Known("chat", "http://192.0.2.1:9/metrics"))

    assert labels(batch, serving_gpu.GPU_INFO) == []
    assert [(each.reason, each.subject) for each in batch.problems] == [("process_unknown", "chat")]
    assert "servers[].gpus" in batch.problems[0].detail


async def test_a_server_that_is_down_is_not_looked_for_in_vain() -> None:
    """That it is down is said already."""
    batches = {"nvml": gpus(Holder("g0", 1, "x", 1)), "serving/chat": served("chat", up=0)}

    assert (await joined(batches, Known("chat", "http://192.0.2.1:9"))).problems == ()


async def test_a_server_without_a_gpu_is_no_problem(start: Callable[[int], Running]) -> None:
    """It is found, and holds nothing: a model on the processor."""
    server = start(0)
    batches = {"nvml": gpus(Holder("g0", 1, "x", 1)), "serving/cpu": served("cpu")}

    batch = await joined(batches, Known("cpu", server.url))

    assert labels(batch, serving_gpu.GPU_INFO) == []
    assert batch.problems == ()


async def test_configured_gpus_need_no_process() -> None:
    """By index and by UUID; a name that no GPU has is a problem beside what is known."""
    batches = {"nvml": gpus(), "serving/chat": served("chat", "llama")}

    batch = await joined(batches, Known("chat", "http://a:1", gpus=("1", "g3", "9")), proc=None)

    assert [each["hw_id"] for each in labels(batch, serving_gpu.GPU_INFO)] == ["g1", "g3"]
    assert [(each.reason, each.subject) for each in batch.problems] == [("unknown_gpu", "chat")]


async def test_a_pod_is_joined_by_its_containers(tmp_path: Path) -> None:
    """Kubernetes tells the containers; the labels say pod and container."""
    machine = Machine(tmp_path)
    machine.add(70, 1, network="pod", group=f"/kubepods/cri-containerd-{'c' * 64}.scope")
    pod = PodIdentity("models", "chat-0", "uid", "server", ("c" * 64,))
    batches = {"nvml": gpus(Holder("g2", 70, "python", 5)), "serving/chat": served("chat", "llama")}

    batch = await joined(batches, Known("chat", "http://10.1.0.5:8000", pod), proc=machine.proc)

    (info,) = labels(batch, serving_gpu.GPU_INFO)
    assert info["hw_id"] == "g2"
    assert (info["k8s_namespace_name"], info["k8s_pod_name"]) == ("models", "chat-0")
    assert info["k8s_container_name"] == "server"


async def test_processes_of_other_namespaces_are_said_to_be_hidden(
    monkeypatch: pytest.MonkeyPatch, start: Callable[[int], Running]
) -> None:
    """The driver's numbers would be those of other processes: none of them is looked up."""
    monkeypatch.setattr(join, "sees_every_process", lambda _: False)
    server = start(1)
    batches = {"nvml": gpus(Holder("g0", server.workers[0], "x", 1)), "serving/s": served("s")}

    batch = await joined(batches, Known("s", server.url))

    assert labels(batch, serving_gpu.GPU_INFO) == []
    assert [each.reason for each in batch.problems] == ["process_hidden"]


async def test_proc_is_read_when_something_changed(
    monkeypatch: pytest.MonkeyPatch, start: Callable[[int], Running]
) -> None:
    """A run with the same processes and servers is arithmetic; memory that moves moves the shares."""
    looks: list[float] = []
    clock = [NOW]

    class Counted(Lookup):
        def __init__(self, proc: Path) -> None:
            looks.append(clock[0])
            super().__init__(proc)

    monkeypatch.setattr(join, "Lookup", Counted)
    server = start(2)
    one, two = server.workers
    batches = {"nvml": gpus(Holder("g0", one, "x", 1)), "serving/s": served("s")}
    collector = JoinCollector(
        lambda: batches, lambda: (Known("s", server.url),), clock=lambda: clock[0]
    )

    for seconds, holders in (
        (0, (one,)),
        (5, (one,)),
        (10, (one, two)),
        (15, (one, two)),
        (80, (one,)),
    ):
        clock[0] = NOW + seconds
        batches["nvml"] = gpus(*(Holder("g0", pid, "x", 1 + seconds) for pid in holders))
        await collector.collect()
    await collector.close()

    assert [at - NOW for at in looks] == [0, 10, 80]
