"""Rules about the source that no linter has: layers, broad handlers, names of packages."""

import ast
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agent", "exporters", "dashboards", "alerts")
BROAD = {
    "agent/worker.py": 1,
    "agent/collectors/nvml/visit.py": 1,
    "exporters/otlp/exporter.py": 1,
}
"""Where a handler may catch everything, and how often: the worker carries any error to its caller; one GPU's
error must not hide the others (docs/adr/0020-one-gpu-never-hides-another.md); the encoder of OTLP raises
bare exceptions, and one bad value must not end the agent."""


def test_layers_hold() -> None:
    """Every import keeps to the direction that pyproject.toml lays down."""
    done = subprocess.run(  # noqa: S603 - our own tool
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def _broad_handlers(path: Path) -> int:
    """Count the handlers that catch every exception and do not raise it on."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    return sum(_catches_all(handler.type) and not _raises_on(handler) for handler in handlers)


def _catches_all(caught: ast.expr | None) -> bool:
    names = {
        node.id for node in ast.walk(caught or ast.Name("Exception")) if isinstance(node, ast.Name)
    }
    return not names.isdisjoint({"Exception", "BaseException"})


def _raises_on(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def test_nothing_catches_every_error() -> None:
    """No handler swallows what it does not know, but for the places that are listed here."""
    found = {
        path.relative_to(ROOT).as_posix(): count
        for room in ROOMS
        for path in (ROOT / room).rglob("*.py")
        if (count := _broad_handlers(path))
    }

    assert found == BROAD


@pytest.mark.parametrize("room", ROOMS)
def test_package_names_are_ours_alone(room: str) -> None:
    """No other distribution brings a package of this name, and importing it finds this checkout."""
    spec = find_spec(room)

    assert set(packages_distributions().get(room, ["warpwatch"])) == {"warpwatch"}
    assert spec is not None
    assert spec.origin == str(ROOT / room / "__init__.py")


def test_console_script_is_the_command_line() -> None:
    """`warpwatch` is installed as a command, and it runs."""
    scripts = distribution("warpwatch").entry_points.select(group="console_scripts")
    (script,) = (script for script in scripts if script.name == "warpwatch")
    command = Path(sys.executable).with_name("warpwatch")

    said = subprocess.run(  # noqa: S603 - our own command
        [command, "--version"], capture_output=True, text=True, timeout=60, check=True
    )

    assert script.value == "agent.cli:main"
    assert said.stdout.strip() == f"warpwatch {distribution('warpwatch').version}"


def test_no_package_below_tests() -> None:
    """There is no `__init__.py` below tests/: one would hide the installed package of its name."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []
