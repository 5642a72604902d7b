"""Rotel, an OTLP receiver that shares no code with ours: it takes what we push and hands it on."""

import importlib.util
import shutil
import socket
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.otlp_sink import HttpSink
from tests.real_parts.programs import Programs, eventually, free_port


class Rotel(NamedTuple):
    """Where a running Rotel listens."""

    grpc: str
    http: str


def start_rotel(programs: Programs, sink: HttpSink, folder: Path) -> Rotel:
    """Start Rotel between us and ``sink``; skip the test where there is no wheel for this machine."""
    ports = (free_port(), free_port())
    program = programs.start(
        "rotel",
        [
            _agent(folder),
            "start",
            *("--exporter", "otlp", "--otlp-exporter-endpoint", sink.url),
            *("--otlp-exporter-protocol", "http", "--batch-timeout", "100ms"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{ports[0]}"),
            *("--otlp-http-endpoint", f"127.0.0.1:{ports[1]}"),
        ],
    )

    def listens() -> bool:
        assert program.process.poll() is None, program.said()
        for port in ports:
            socket.create_connection(("127.0.0.1", port), 1).close()
        return True

    eventually("rotel listens", listens)
    return Rotel(*(f"http://127.0.0.1:{port}" for port in ports))


def _agent(folder: Path) -> Path:
    """Return the program within the wheel, which some installers leave without its execute bit."""
    found = importlib.util.find_spec("rotel")
    if found is None or found.origin is None:
        pytest.skip("rotel has no wheel for this machine")
    agent = Path(found.origin).with_name("rotel-agent")
    if not agent.stat().st_mode & 0o100:
        agent = Path(shutil.copy(agent, folder / "rotel-agent"))
        agent.chmod(0o700)
    return agent
