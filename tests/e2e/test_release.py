"""An agent on the simulated library lets go of the driver when it is asked, and takes it again."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalogue import gpu
from exporters.release import PATH
from tests.real_parts.programs import (
    Program,
    Programs,
    eventually,
    free_port,
    http_get,
    plain_environment,
)
from tests.simulated_nvml.build import CannotBuildError
from tests.simulated_nvml.workshop import SimulatedNode, Workshop

pytestmark = pytest.mark.e2e
SERIES = f"{gpu.MEMORY_LIMIT.family}{{".encode()


@pytest.fixture
def node(tmp_path: Path) -> SimulatedNode:
    """Return a node with 8 GPUs."""
    try:
        return Workshop(tmp_path).node("control", "")
    except CannotBuildError as error:
        pytest.skip(f"the simulated NVML library cannot be built: {error}")


@pytest.fixture
def agent(tmp_path: Path, node: SimulatedNode) -> Iterator[Program]:
    """Return an agent that sees the GPUs of the node."""
    programs, port = Programs(tmp_path), free_port()
    command = [sys.executable, "-m", "agent.cli", "run", "--listen", f"127.0.0.1:{port}"]
    environment = plain_environment() | node.environment() | {"WARPWATCH_INTERVAL": "200ms"}
    url = f"http://127.0.0.1:{port}"
    program = programs.start("agent", command, url=url, ready="/readyz", env=environment)
    eventually("GPUs are read", lambda: has_gpus(program))
    yield program
    programs.stop()


def has_gpus(agent: Program) -> bool:
    """Return whether the page has readings of GPUs."""
    return SERIES in http_get(f"{agent.url}/metrics")


def test_by_request(agent: Program, node: SimulatedNode) -> None:
    """When the answer comes the library is shut down; when the time is over it is opened again."""
    before = node.account().users

    request = urllib.request.Request(f"{agent.url}{PATH}?seconds=2", method="POST")  # noqa: S310 - loopback
    with urllib.request.urlopen(request) as response:  # noqa: S310 - loopback
        told = json.load(response)
    released = node.account()
    eventually("the readings are gone", lambda: not has_gpus(agent))
    untouched = node.account()

    assert (before, released.users) == (1, 0)
    assert told["released"] is True
    assert untouched.calls == released.calls
    eventually("the driver is taken again", lambda: node.account().users == 1, timeout=10)
    eventually("the readings are back", lambda: has_gpus(agent), timeout=10)


def test_by_signal(agent: Program, node: SimulatedNode) -> None:
    """SIGUSR1 shuts the library down as well, and the page says why there are no readings."""
    os.kill(agent.process.pid, signal.SIGUSR1)

    eventually("the library is shut down", lambda: node.account().users == 0, timeout=10)
    eventually("the readings are gone", lambda: not has_gpus(agent))
    state = json.loads(http_get(f"{agent.url}/api/v1/status"))
    assert "released on request" in json.dumps(state)


def test_by_curl(agent: Program, node: SimulatedNode) -> None:
    """What the documents say to type works."""
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("no curl on this machine")

    words = [curl, "-fsS", "-X", "POST", f"{agent.url}{PATH}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)  # noqa: S603 - our own words

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["seconds"] == 60
    assert node.account().users == 0
