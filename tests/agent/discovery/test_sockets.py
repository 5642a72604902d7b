"""Servers by the ports on which the processes that hold a GPU listen, on this machine's own /proc."""

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from agent.discovery.processes import Process, family
from agent.discovery.sockets import SocketsSource, _disjoint
from agent.discovery.target import HERE, PodIdentity

PARENT = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", 0))
os.set_inheritable(listening.fileno(), False)
child = os.fork()
if child == 0:
    listening.close()
    sys.stdin.read()
    os._exit(0)
print(listening.getsockname()[1], child, flush=True)
sys.stdin.read()
"""
"""A server that listens, and a child that would hold the GPU; both end with their standard input."""


@pytest.fixture
def server() -> Iterator[tuple[int, int, int, Callable[[], None]]]:
    """Run a server with an engine; give its port, its pid, the engine's pid, and how to end it."""
    process = subprocess.Popen(  # noqa: S603 - our own few lines
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdin is not None
    port, child = map(int, process.stdout.readline().split())

    def end() -> None:
        with suppress(BrokenPipeError):
            process.stdin.close()  # type: ignore[union-attr]
        process.wait(10)

    yield port, process.pid, child, end
    end()
    process.stdout.close()


@asynccontextmanager
async def looking(
    holders: Sequence[int],
    *,
    pod_of: Callable[[str], tuple[PodIdentity, str] | None] = lambda _: None,
    proc: Path = Path("/proc"),
) -> AsyncIterator[tuple[SocketsSource, asyncio.Event]]:
    """Run a source that looks as often as it can."""
    changed = asyncio.Event()
    source = SocketsSource(
        lambda: holders, pod_of=pod_of, proc=proc, sleep=lambda _: asyncio.sleep(0.01)
    )
    task = asyncio.create_task(source.run(changed.set))
    try:
        yield source, changed
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await source.close()


async def until(true: Callable[[], bool]) -> None:
    """Wait for something to become true."""
    async with asyncio.timeout(10):
        while not true():  # noqa: ASYNC110 - the machine gives no event
            await asyncio.sleep(0.01)


async def test_the_parent_of_who_holds_the_gpu_is_found_and_forgotten(
    server: tuple[int, int, int, Callable[[], None]],
) -> None:
    """The engine holds the GPU, its parent listens; with the process, the target is gone."""
    port, parent, engine, end = server

    async with looking([engine]) as (source, _):
        await until(lambda: bool(source.targets))
        found = {target.place.port: target for target in source.targets}
        assert found[port].place.host == HERE
        assert found[port].urls[0] == f"http://127.0.0.1:{port}/metrics"
        assert found[port].pids == {parent}
        assert source.problems == ()

        end()
        await until(lambda: port not in {target.place.port for target in source.targets})


async def test_processes_that_cannot_be_seen_are_told_of() -> None:
    """Of another PID namespace, say: what to turn on is in the problem."""
    async with looking([2**22 - 1]) as (source, _):
        await until(lambda: bool(source.problems))

        (problem,) = source.problems
        assert problem.reason == "process_hidden"
        assert "hostPID: true" in problem.detail
        assert source.targets == ()


async def test_without_proc_it_is_said(tmp_path: Path) -> None:
    """What to mount is named."""
    async with looking([1], proc=tmp_path / "none") as (source, _):
        await until(lambda: bool(source.problems))

        assert source.problems[0].reason == "proc_unreadable"


async def test_without_gpus_nothing_is_looked_at() -> None:
    """No process holds a GPU: no target, no problem."""
    async with looking([]) as (source, _):
        await asyncio.sleep(0.1)

        assert (source.targets, source.problems) == ((), ())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up what is missing here")
def test_a_lack_of_privilege_is_a_problem(
    server: tuple[int, int, int, Callable[[], None]],
) -> None:
    """As another user, who holds the GPU can be seen and its sockets cannot."""
    code = (
        "from agent.discovery.sockets import SocketsSource\n"
        "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        f"source = SocketsSource(lambda: ()); source._seen = [{server[2]}]\n"
        "targets, problems = source._look()\n"
        "print(len(targets), sorted({each.reason for each in problems}), problems[0].detail)"
    )

    said = subprocess.run(  # noqa: S603 - our own few lines
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    ).stdout

    assert said.startswith("0 ['no_privilege']")
    assert "CAP_SYS_PTRACE" in said


def fake_proc(folder: Path, *, network: str, cgroup: str, address: str) -> Path:
    """Write a /proc with one process, 7, that listens on port 8000 in another network namespace."""
    own, other = folder / "self" / "ns", folder / "7" / "ns"
    for each in (own, other, folder / "7" / "fd", folder / "7" / "net"):
        each.mkdir(parents=True)
    (folder / "here").write_text("")
    (folder / "there").write_text("")
    (own / "net").symlink_to(folder / "here")
    (other / "net").symlink_to(folder / network)
    (folder / "7" / "fd" / "3").symlink_to("socket:[4711]")
    (folder / "7" / "stat").write_text(f"7 (vllm) serve) S 1 {' '.join(map(str, range(5, 60)))}")
    (folder / "7" / "cgroup").write_text(f"0::{cgroup}\n")
    row = f"0: {address}:1F40 00000000:0000 0A 0:0 00:0 0 0 0 4711 1"
    (folder / "7" / "net" / "tcp").write_text(f"sl local\n{row}\n")
    return folder


POD_CGROUP = f"/kubepods.slice/kubepods-pod1.slice/cri-containerd-{'a' * 64}.scope"
POD = PodIdentity("models", "chat-0", "uid", "server", ("a" * 64,))


async def test_another_network_is_a_problem_without_a_pod(tmp_path: Path) -> None:
    """Its loopback is not ours: nothing is asked at our own port 8000 by mistake."""
    proc = fake_proc(tmp_path, network="there", cgroup="/docker/x", address="00000000")

    async with looking([7], proc=proc) as (source, _):
        await until(lambda: bool(source.problems))

        (problem,) = source.problems
        assert (problem.reason, source.targets) == ("other_network", ())


async def test_another_network_is_reached_by_the_address_of_its_pod(tmp_path: Path) -> None:
    """Where the container's pod is known, so is its address."""
    proc = fake_proc(tmp_path, network="there", cgroup=POD_CGROUP, address="00000000")

    async with looking(
        [7], proc=proc, pod_of=lambda found: (POD, "10.0.0.5") if found == "a" * 64 else None
    ) as (source, _):
        await until(lambda: bool(source.targets))

        (target,) = source.targets
        assert target.urls[0] == "http://10.0.0.5:8000/metrics"
        assert target.place == ("10.0.0.5", 8000)
        assert target.pod == POD
        assert source.problems == ()


async def test_the_same_network_needs_no_pod(tmp_path: Path) -> None:
    """A process of the host's network is asked at our loopback."""
    proc = fake_proc(tmp_path, network="here", cgroup=POD_CGROUP, address="00000000")

    async with looking([7], proc=proc) as (source, _):
        await until(lambda: bool(source.targets))

        assert source.targets[0].place == (HERE, 8000)
        assert not source.targets[0].spare


def test_families() -> None:
    """In a container everybody; elsewhere ancestors and descendants of the same control group."""
    rows = [
        (1, 0, "/"), (10, 1, "/session"), (11, 10, "/session"), (12, 11, "/session"),
        (13, 12, "/session"), (20, 10, "/session"), (30, 12, "/other"),
        (40, 1, POD_CGROUP), (41, 40, POD_CGROUP), (42, 1, POD_CGROUP),
    ]  # fmt: skip
    processes = {pid: Process(pid, parent, 0, cgroup) for pid, parent, cgroup in rows}

    def of(pid: int) -> set[int]:
        found = family(
            pid, processes, lambda above: [p.pid for p in processes.values() if p.parent == above]
        )
        return set(found)

    assert of(12) == {10, 11, 12, 13}
    assert of(41) == {40, 41, 42}
    assert of(99) == set()
    assert set(_disjoint([frozenset({1, 2}), frozenset({5}), frozenset({2, 3})])) == {
        frozenset({1, 2, 3}), frozenset({5}),
    }  # fmt: skip


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs util-linux")
async def test_a_real_network_namespace_of_its_own(tmp_path: Path) -> None:
    """A process that was put into a network of its own is recognised as out of reach."""
    ready = tmp_path / "ready"
    code = (
        "import socket, sys, pathlib; s = socket.create_server(('0.0.0.0', 8000)); "
        f"pathlib.Path({str(ready)!r}).touch(); sys.stdin.read()"
    )
    process = subprocess.Popen(  # noqa: S603, ASYNC220 - our own few lines, which start at once
        ["unshare", "--net", sys.executable, "-c", code],  # noqa: S607 - the system's
        stdin=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        await until(lambda: ready.exists() or process.poll() is not None)
        if process.poll() is not None:
            pytest.skip("no network namespaces here")
        async with looking([process.pid]) as (source, _):
            await until(lambda: bool(source.problems))
            reasons = [problem.reason for problem in source.problems]
            ports = [target.place.port for target in source.targets]
    finally:
        process.communicate(b"", timeout=10)

    assert "other_network" in reasons
    assert 8000 not in ports
