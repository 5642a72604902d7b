"""The real parts answer: what the other tests rely on is tried once by itself."""

import json
from pathlib import Path

import pytest

from tests.real_parts import install
from tests.real_parts.command import CommandError, run
from tests.real_parts.programs import NotReadyError, Programs, eventually, http_get
from tests.real_parts.servers import scrape_config, start_alertmanager, start_prometheus

pytestmark = pytest.mark.e2e


def test_prometheus_scrapes_itself(programs: Programs, prometheus: Path, tmp_path: Path) -> None:
    """A started Prometheus answers queries about a target that it scrapes."""
    assert prometheus.exists()
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps(scrape_config("nobody", "127.0.0.1:1")))

    server = start_prometheus(programs, config)

    down = eventually("a first scrape", lambda: server.query("up == 0"))
    assert down[0][0]["job"] == "nobody"


def test_alertmanager_finds_its_templates(
    programs: Programs, alertmanager: Path, tmp_path: Path
) -> None:
    """A started Alertmanager is ready, which it is only with its default templates in reach."""
    assert alertmanager.exists()
    config = tmp_path / "alertmanager.yml"
    config.write_text(json.dumps({"route": {"receiver": "none"}, "receivers": [{"name": "none"}]}))

    server = start_alertmanager(programs, config)

    status = json.loads(http_get(f"{server.url}/api/v2/status"))
    assert "receiver: none" in status["config"]["original"]


def test_early_end_is_reported_with_what_was_said(programs: Programs) -> None:
    """A program that ends before it is ready fails the wait with its own last words."""
    argv = ["sh", "-c", "echo no such option; exit 3"]

    with pytest.raises(NotReadyError, match=r"ended with 3:\nno such option"):
        programs.start("broken", argv, url="http://127.0.0.1:1", ready="/")


def test_failed_command_carries_its_output() -> None:
    """A command that fails raises an error with its exit code and what it printed."""
    with pytest.raises(CommandError, match=r"ended with 4: why not"):
        run("sh", "-c", "echo why not; exit 4")


@pytest.mark.parametrize("name", ["promtool", "amtool", "helm3", "helm4"])
def test_tool_is_the_one_it_should_be(name: str) -> None:
    """Each tool says that it is itself."""
    part = install.PARTS[name]

    said = run(install.path_of(name), part.version)

    assert part.expected in said


def test_unknown_part_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Asking the installer for a part that it does not know is an error that lists those it knows."""
    code = install.main(["grafana"])

    assert code == 2
    assert "no such part: grafana; there are prometheus" in capsys.readouterr().err
