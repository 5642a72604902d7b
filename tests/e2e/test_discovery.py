"""The agent finds model servers by itself: among the pods of its node, and by the sockets of processes."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.agent.discovery.fake_api import NODE, container, fake_api, pod
from tests.e2e import vllm_program
from tests.e2e.conftest import start_agent
from tests.real_parts.programs import (
    Program,
    Programs,
    eventually,
    free_port,
    http_get,
    plain_environment,
)
from tests.simulated_nvml.build import CannotBuildError, build

pytestmark = pytest.mark.e2e


def start_vllm(programs: Programs) -> tuple[Program, int]:
    """Start a model server on a port of its own."""
    port = free_port()
    program = programs.start(
        "vllm",
        [sys.executable, vllm_program.__file__, str(port)],
        url=f"http://127.0.0.1:{port}",
        ready="/metrics",
    )
    return program, port


def series(agent: Program, word: str) -> list[str]:
    """Return the lines of the agent's page that hold a word."""
    page = http_get(f"{agent.url}/metrics").decode()
    return [line for line in page.splitlines() if word in line and not line.startswith("#")]


def up(agent: Program, server: str) -> bool:
    """Tell whether the agent has fresh metrics of a server."""
    found = series(agent, f'inference_server_name="{server}"')
    return any(line.startswith("inference_server_up{") and line.endswith(" 1") for line in found)


async def within(what: str, probe: Callable[[], Any]) -> Any:
    """Wait beside the event loop, in which the API server runs."""
    return await asyncio.to_thread(eventually, what, probe)


async def test_pods_are_found_and_forgotten(programs: Programs, tmp_path: Path) -> None:
    """A pod's server is found, its series vanish when the pod ends; the API may be away meanwhile."""
    server, port = await asyncio.to_thread(start_vllm, programs)
    declared = container(ports=[{"containerPort": port, "name": "http"}])
    async with fake_api() as api:
        api.put(pod("web", "127.0.0.3", containers=[{"name": "web", "image": "nginx"}]))
        start = partial(
            start_agent, programs, tmp_path, "--simulate", "1xL4",
            node=NODE, discovery={"kubernetes": True, "api_server": api.url},
        )  # fmt: skip
        agent = await asyncio.to_thread(start)
        name = f"models/chat-0:{port}"

        api.put(pod("chat-0", "127.0.0.1", containers=[declared]))
        await within("the server is found", lambda: up(agent, name))
        api.status = 503
        api.say(None)
        await within("it is said", lambda: series(agent, 'warpwatch_problem="api_error"'))
        kept = up(agent, name)
        api.status = 200
        api.remove("uid-chat-0")
        await within("it is forgotten", lambda: not series(agent, f'"{name}"'))
        for kind, times in (("found", 1), ("lost", 1), ("down", 0)):
            told = partial(series, agent, f'event_name="inference.server.{kind}"')
            await within(f"{kind} {times} times", lambda: told()[0].endswith(f" {times}"))  # noqa: B023 - awaited here

    assert kept
    assert server.process.poll() is None


async def test_a_pod_that_is_found_is_asked_for_an_answer(
    programs: Programs, tmp_path: Path
) -> None:
    """Where the configuration says so: the whole agent probes it, marked as such, until its pod ends."""
    _, port = await asyncio.to_thread(start_vllm, programs)
    declared = container(ports=[{"containerPort": port, "name": "http"}])
    async with fake_api() as api:
        found = {"kubernetes": True, "api_server": api.url, "probe": {"interval": "1s"}}
        start = partial(
            start_agent, programs, tmp_path, "--simulate", "1xL4", node=NODE, discovery=found
        )
        agent = await asyncio.to_thread(start)
        success = partial(series, agent, "inference_probe_success{")

        api.put(pod("chat-0", "127.0.0.1", containers=[declared]))
        told = await within("it answers", success)
        asked = await asyncio.to_thread(http_get, f"http://127.0.0.1:{port}/probed")
        api.remove("uid-chat-0")
        await within("it is forgotten", lambda: not success())

    assert f'inference_server_name="models/chat-0:{port}"' in told[0]
    assert told[0].endswith(" 1")
    assert set(json.loads(asked)) == {"1"}


def gpu_environment(folder: Path, pid: int) -> Mapping[str, str]:
    """Return an environment in which the driver's library says that a process holds GPU 0."""
    try:
        library = build(folder)
    except CannotBuildError as error:
        pytest.skip(f"the simulated NVML library cannot be built: {error}")
    control = folder / "control"
    control.write_text(f"devices 1\nprocess 0 compute {pid} {2**30} vllm\n")
    return {
        **plain_environment(),
        "LD_LIBRARY_PATH": str(library.parent),
        "SIMULATED_NVML": str(control),
    }


def test_processes_that_hold_a_gpu_are_found_by_their_sockets(
    programs: Programs, tmp_path: Path
) -> None:
    """NVML names the process, /proc its port, the page what it is; with the process all of it is gone."""
    server, port = start_vllm(programs)
    agent = start_agent(
        programs,
        tmp_path,
        env=gpu_environment(tmp_path, server.process.pid),
        kernel_log=False,
        discovery={"sockets": True},
    )
    name = f"127.0.0.1:{port}"

    eventually("the server is found", lambda: up(agent, name))
    told = series(agent, f'"{name}"')
    server.stop()
    eventually("it is forgotten", lambda: not series(agent, f'"{name}"'))

    assert any(line.startswith("inference_tokens_generated") for line in told)
    lost = partial(series, agent, 'event_name="inference.server.lost"')
    eventually("it is told of", lambda: lost()[0].endswith(" 1"))
    assert agent.process.poll() is None


def test_a_configured_server_is_not_collected_from_twice(
    programs: Programs, tmp_path: Path
) -> None:
    """Named and found, it is one server, under its configured name."""
    server, port = start_vllm(programs)
    agent = start_agent(
        programs,
        tmp_path,
        env=gpu_environment(tmp_path, server.process.pid),
        kernel_log=False,
        servers=[{"url": f"http://localhost:{port}", "name": "chat", "interval": 0.5}],
        discovery={"sockets": True},
    )

    eventually("the server is up", lambda: up(agent, "chat"))
    eventually("sockets were looked at", lambda: series(agent, "warpwatch_discovery_targets"))

    assert not series(agent, f'"127.0.0.1:{port}"')
