"""One agent that watches and probes three real model servers, and a real Prometheus that scrapes it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import quick_rules, start_agent
from tests.real_parts.programs import Program, Programs
from tests.real_parts.servers import Prometheus, scrape_config, start_prometheus
from tests.real_servers.server import ModelServer
from tests.real_servers.specs import MODEL, SPECS

PROBES = {
    "dynamo": {"kind": "openai", "model": MODEL},
    "triton": {"kind": "triton", "model": MODEL},
}
OFTEN = {"interval": 1, "timeout": 1, "requests_per_minute": 120}


@dataclass(frozen=True)
class Watched:
    """What runs."""

    servers: dict[str, ModelServer]
    agent: Program
    prometheus: Prometheus


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Run Dynamo, MLServer and Triton, the agent as `warpwatch run`, and Prometheus with our rules."""
    folder = tmp_path_factory.mktemp("serving")
    programs = Programs(folder)
    with ExitStack() as stack:
        servers = {name: _start(name, folder, stack) for name in ("dynamo", "mlserver", "triton")}
        stack.callback(programs.stop)
        agent = start_agent(
            programs,
            folder,
            *("--simulate", "1xH100"),
            servers=[_configured(server) for server in servers.values()],
        )
        config = folder / "prometheus.yml"
        rules = quick_rules(folder, **{"for": "2s"})
        target = agent.url.removeprefix("http://")
        scraping = scrape_config("warpwatch", target, rule_files=[str(rules)])
        config.write_text(json.dumps(scraping), encoding="utf-8")
        yield Watched(servers, agent, start_prometheus(programs, config))


def _start(name: str, folder: Path, stack: ExitStack) -> ModelServer:
    own = folder / name
    own.mkdir()
    server = ModelServer(SPECS[name](own), own)
    stack.callback(server.stop)
    server.start()
    return server


def _configured(server: ModelServer) -> dict[str, Any]:
    """Return the server's entry in the configuration: no profile, so that its page must tell."""
    spec = server.spec
    entry: dict[str, Any] = {"name": spec.name, "url": spec.metrics, "interval": 0.5}
    if spec.name in PROBES:
        entry["probe"] = {**PROBES[spec.name], **OFTEN, "url": spec.api}
    return entry
