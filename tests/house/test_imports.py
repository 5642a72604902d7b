"""What importing costs, and that nothing is imported which the agent must not carry."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

FORBIDDEN = (
    "numpy",
    "pandas",
    "evidently",
    "grafana_foundation_sdk",
    "opentelemetry",
    "jinja2",
    "rich",
    "requests",
    "pynvml",
    "prometheus_client",
    "bcrypt",
    "exporters.access",
    "agent.simulation",
    "dashboards",
    "alerts",
)
"""What `agent.app` must not load: what only some configurations or other programs need."""
BUDGET_MIB = 42

_PROGRAM = """
import json, sys
def resident_kib():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))
before = resident_kib()
import {module}
print(json.dumps({{"kib": resident_kib() - before, "modules": sorted(sys.modules)}}))
"""


def _import(module: str) -> dict[str, Any]:
    """Import a module in a fresh interpreter; return the memory it took and all that was loaded."""
    plain = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE_")}
    done = subprocess.run(  # noqa: S603 - our own interpreter and words
        [sys.executable, "-c", _PROGRAM.format(module=module)],
        env=plain,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def app() -> dict[str, Any]:
    """Return what importing `agent.app` takes."""
    return _import("agent.app")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_the_agent_does_not_load(package: str, app: dict[str, Any]) -> None:
    """The agent's composition root loads no package that it may never need."""
    loaded = [name for name in app["modules"] if name == package or name.startswith(f"{package}.")]

    assert loaded == []


def test_the_agent_fits_its_memory_budget(app: dict[str, Any]) -> None:
    """Importing `agent.app` takes no more memory than the design grants it."""
    assert app["kib"] <= BUDGET_MIB * 1024


def test_the_command_line_loads_no_command() -> None:
    """`agent.cli` is cheap: no command, no agent, no HTTP before one is asked for."""
    modules = set(_import("agent.cli")["modules"])

    assert {"aiohttp", "asyncio", "yaml", "rich", "agent.app"}.isdisjoint(modules)


@pytest.mark.parametrize("room", ["agent.catalogue", "agent.catalogue.promql"])
def test_the_catalogue_needs_the_standard_library_alone(room: str) -> None:
    """The build-time rooms get the catalogue without anything else of ours or others'."""
    modules = _import(room)["modules"]

    foreign = {name.split(".")[0] for name in modules} - sys.stdlib_module_names - {"__main__"}
    ours = [name for name in modules if name.startswith("agent.") and "catalogue" not in name]
    assert {name for name in foreign if not name.startswith("_")} == {"agent"}
    assert ours == []
