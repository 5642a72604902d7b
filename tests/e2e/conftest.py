"""One watched node for the tests that only look: the agent, what it reads, and both roads out of it."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bcrypt
import pytest
import yaml

from tests.e2e.elsewhere import OTHER_NODES, PROTECTED
from tests.e2e.shipped import RULES
from tests.otlp_sink import HttpSink
from tests.real_parts.payloads import serving_captures
from tests.real_parts.programs import Program, Programs, free_port
from tests.real_parts.rotel import Rotel, start_rotel
from tests.real_parts.servers import (
    Prometheus,
    scrape_config,
    start_prometheus,
)

JOB = "warpwatch"
OTHERS = "others"
NODE = "gpu-node-07"
CLUSTER = "test"


@dataclass(frozen=True)
class Node:
    """Everything that runs for one node. Its Prometheus scrapes the nodes of `OTHER_NODES` as well."""

    agent: Program
    prometheus: Prometheus
    rotel: Rotel
    sink: HttpSink


def agent_config(folder: Path, **settings: Any) -> tuple[Path, str]:
    """Write a configuration that listens on a free port; return its path and the agent's address."""
    address = f"127.0.0.1:{free_port()}"
    path = folder / f"agent-{address.rpartition(':')[2]}.yaml"
    named = {"listen": address, "node": NODE, "cluster": CLUSTER}
    path.write_text(json.dumps({**named, **settings}), encoding="utf-8")
    return path, address


def start_agent(
    programs: Programs,
    folder: Path,
    *arguments: str,
    entry: tuple[str | Path, ...] = (),
    env: Mapping[str, str] | None = None,
    **settings: Any,
) -> Program:
    """Start `warpwatch run` with these settings and wait for its first snapshot."""
    config, address = agent_config(folder, **settings)
    command = entry or (Path(sys.executable).with_name("warpwatch"),)
    return programs.start(
        "agent",
        [*command, "run", "--config", config, *arguments],
        url=f"http://{address}",
        ready="/readyz",
        env=env,
    )


def quick_rules(folder: Path, **changes: str) -> Path:
    """Write a copy of the generated rules that is evaluated each second; ``changes`` go into each rule."""
    generated = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    for group in generated["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            rule.update(changes if "alert" in rule else {})
    path = folder / "quick.rules.yaml"
    path.write_text(yaml.safe_dump(generated), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """Run a node of 8 simulated H100 with vLLM, Triton and dcgm-exporter, watched on both roads."""
    folder = tmp_path_factory.mktemp("node")
    programs = Programs(folder)
    with ExitStack() as stack:
        stack.callback(programs.stop)
        captures = stack.enter_context(serving_captures())
        sink = stack.enter_context(HttpSink())
        yield _start_node(programs, folder, captures, sink)


def _start_node(programs: Programs, folder: Path, captures: str, sink: HttpSink) -> Node:
    rotel = start_rotel(programs, folder, sink.url)
    agent = start_agent(
        programs,
        folder,
        "--simulate",
        "8xH100",
        otlp=[{"endpoint": rotel.http, "interval": 1}],
        servers=[
            {
                "name": name,
                "url": f"{captures}/{name}/metrics",
                "profile": name,
                "interval": 1,
                "gpus": gpus,
            }
            for name, gpus in (("vllm", [0, 1]), ("triton", [2]))
        ],
        slos=[
            {
                "name": "first-token",
                "model": "*",
                "signal": "time_to_first_token",
                "threshold": "1s",
                "objective": "99%",
            },
            {"name": "up", "model": "*", "signal": "availability", "objective": 0.999},
        ],
        gpu_hour_price={"NVIDIA H100*": 2.5},
        dcgm={"url": f"{captures}/dcgm/metrics", "interval": 1},
    )
    config = folder / "prometheus.yml"
    settings = scrape_config(JOB, _address(agent), rule_files=[str(quick_rules(folder))])
    web = _protection(folder)
    others = [
        start_agent(
            programs,
            folder,
            "--simulate",
            spec,
            node=name,
            web=web if name == PROTECTED else {},
            **own,
        )
        for name, (spec, own) in OTHER_NODES.items()
    ]
    settings["scrape_configs"].append(
        {
            "job_name": OTHERS,
            "authorization": {"credentials_file": web["bearer_token_file"]},
            "static_configs": [{"targets": [_address(one) for one in others]}],
        }
    )
    # A file that goes bad under a running agent: what it said is still believed, and it is a problem.
    Path(web["basic_auth_users_file"]).write_text("nobody", encoding="utf-8")
    config.write_text(json.dumps(settings), encoding="utf-8")
    return Node(agent, start_prometheus(programs, config), rotel, sink)


def _protection(folder: Path) -> dict[str, str]:
    """Write a token and a user; return the settings that ask for one of them."""
    hashed = bcrypt.hashpw(b"wonder", bcrypt.gensalt(4)).decode()
    contents = {"bearer_token_file": "s3cret", "basic_auth_users_file": f"alice:{hashed}"}
    for name, content in contents.items():
        (folder / name).write_text(content, encoding="utf-8")
    return {name: str(folder / name) for name in contents}


def _address(agent: Program) -> str:
    return agent.url.removeprefix("http://")


@pytest.fixture
def start(programs: Programs, tmp_path: Path) -> Callable[..., Program]:
    """Return a function that starts an agent for this test alone: `start_agent`."""
    return lambda *arguments, **settings: start_agent(programs, tmp_path, *arguments, **settings)
