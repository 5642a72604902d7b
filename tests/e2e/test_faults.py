"""What goes wrong around the agent: receivers that die, ports that are taken, configurations that lie."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.e2e.conftest import agent_config
from tests.e2e.roads import pushed
from tests.otlp_sink import HttpSink
from tests.real_parts.programs import (
    Program,
    Programs,
    eventually,
    http_get,
    plain_environment,
)
from tests.real_parts.rotel import start_rotel

pytestmark = pytest.mark.e2e
WARPWATCH = Path(sys.executable).with_name("warpwatch")
PROMPT = 3.0
"""Seconds within which the agent has to end: well below the 5 s that a pod's last seconds often are."""


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run `warpwatch` to its end."""
    return subprocess.run(  # noqa: S603 - our own command
        [WARPWATCH, *arguments],
        env=plain_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def _value(agent: Program, family: str, **labels: str) -> float:
    """Return the value of the one series of the family that has these labels."""
    wanted = [f'{label}="{value}"' for label, value in labels.items()]
    lines = http_get(f"{agent.url}/metrics").decode().splitlines()
    (found,) = (
        line
        for line in lines
        if line.startswith(f"{family}{{") and all(label in line for label in wanted)
    )
    return float(found.rpartition(" ")[2])


def test_a_receiver_that_dies_and_comes_back(
    start: Callable[..., Program], programs: Programs, tmp_path: Path
) -> None:
    """While its receiver is dead the agent serves on and counts failures; then pushes go on by themselves."""
    with HttpSink() as sink:
        rotel = start_rotel(programs, tmp_path, sink.url)
        agent = start("--simulate", "1xT4", otlp=[{"endpoint": rotel.http, "interval": 0.5}])
        failed = partial(_value, agent, "warpwatch_export_failed_total", warpwatch_signal="metrics")

        eventually("a first push", lambda: sink.metrics)
        rotel.program.kill()
        eventually("a failed push", lambda: failed() > 0)
        alive = _value(agent, "hw_power_watts")
        before = len(sink.metrics)
        ports = (int(rotel.http.rpartition(":")[2]), int(rotel.grpc.rpartition(":")[2]))
        start_rotel(programs, tmp_path, sink.url, ports=ports)
        eventually("pushes again", lambda: len(sink.metrics) > before + 1, timeout=60)

    assert alive > 0
    newest = pushed(sink.metrics[-1:])[0]
    assert any(name == "hw_power_watts" for name, _ in newest)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_agent_ends_when_told(start: Callable[..., Program], number: signal.Signals) -> None:
    """SIGTERM and SIGINT end the agent promptly, with success and without a stack trace."""
    agent = start("--simulate", "8xH100")
    began = time.monotonic()

    agent.process.send_signal(number)
    code = agent.process.wait(30)

    assert code == 0
    assert time.monotonic() - began < PROMPT
    assert "Traceback" not in agent.said()


def test_the_agent_ends_although_its_receiver_hangs(start: Callable[..., Program]) -> None:
    """A receiver that accepts connections and never answers does not hold up the end."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        agent = start("--simulate", "1xT4", otlp=[{"endpoint": url, "interval": 0.5}])
        silent.settimeout(30)
        connection, _ = silent.accept()
        began = time.monotonic()

        agent.process.terminate()
        code = agent.process.wait(60)
        connection.close()

    assert code == 0
    assert time.monotonic() - began < 2 * PROMPT
    assert "Traceback" not in agent.said()


def test_a_busy_port_is_named(tmp_path: Path) -> None:
    """An address that is taken ends the agent with code 1 and one message that names it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config, _ = agent_config(tmp_path, listen=f"127.0.0.1:{port}")
        done = _run("run", "--config", config, "--simulate", "1xT4")

    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_wrong_configuration_is_refused_whole(tmp_path: Path) -> None:
    """Every mistake is listed with its key before anything starts, and the code is 2."""
    config, address = agent_config(tmp_path, intervall=1, servers=[{"name": "no url"}])

    done = _run("run", "--config", config)

    assert done.returncode == 2
    assert "intervall" in done.stderr
    assert "interval" in done.stderr.replace("intervall", "")
    assert "servers[0].url" in done.stderr
    with pytest.raises(OSError, match="refused"):
        http_get(f"http://{address}/healthz")


def test_an_unknown_simulation_is_refused() -> None:
    """A node that cannot be simulated is a wrong configuration, said in one line with the fix."""
    done = _run("run", "--simulate", "eight of them!", "--listen", "127.0.0.1:0")

    assert done.returncode == 2
    assert "8xH100" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_machine_without_a_gpu_is_healthy(start: Callable[..., Program]) -> None:
    """Without driver or GPU the agent runs, says so once, and its probes are content."""
    agent = start()

    assert http_get(f"{agent.url}/healthz") == b"ok\n"
    state = {"warpwatch_collector": "nvml", "warpwatch_collector_status": "unavailable"}
    assert _value(agent, "warpwatch_collector_status", **state) == 1
    assert agent.said().count("nvml is unavailable") == 1
