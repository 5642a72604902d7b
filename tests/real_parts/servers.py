"""Prometheus and Alertmanager as a test wants them: on free ports, their data in a scratch folder."""

import json
import os
import shutil
import signal
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.real_parts.command import CommandError, run
from tests.real_parts.install import MissingPartError, path_of
from tests.real_parts.programs import Program, Programs, free_port, http_get

_TEMPLATES: Final = Path("/usr/share/prometheus/alertmanager")
"""Debian's Alertmanager reads its default templates from here and from nowhere else."""


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus."""

    program: Program

    def ask(self, path: str, **parameters: str) -> Any:
        """Return the ``data`` of an API answer: ``ask("query", query="up")``."""
        query = urllib.parse.urlencode(parameters)
        body = json.loads(http_get(f"{self.program.url}/api/v1/{path}?{query}"))
        return body["data"]

    def query(self, expression: str, at: float | None = None) -> list[tuple[dict[str, str], float]]:
        """Return the instant vector of ``expression``, now or ``at`` a time: labels and values."""
        moment = {} if at is None else {"time": str(at)}
        found = self.ask("query", query=expression, **moment)["result"]
        return [(series["metric"], float(series["value"][1])) for series in found]

    def reload(self) -> None:
        """Make it read its configuration and its rules anew."""
        self.program.process.send_signal(signal.SIGHUP)


def start_prometheus(
    programs: Programs,
    config: Path,
    *options: str,
    storage: Path | None = None,
    binary: Path | None = None,
) -> Prometheus:
    """Start Prometheus with ``config`` and wait until it is ready; ``storage`` may hold blocks already.

    ``binary`` is one of another version.
    """
    port = free_port()
    kept = storage or config.parent / f"prometheus-{port}"
    program = programs.start(
        "prometheus",
        [
            binary or path_of("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={kept}",
            f"--web.listen-address=127.0.0.1:{port}",
            *options,
        ],
        url=f"http://127.0.0.1:{port}",
        ready="/-/ready",
    )
    return Prometheus(program)


def start_alertmanager(programs: Programs, config: Path) -> Program:
    """Start Alertmanager with ``config`` and wait until it is ready."""
    program, port = path_of("alertmanager"), free_port()
    argv = [
        str(program),
        f"--config.file={config}",
        f"--storage.path={config.parent / f'alertmanager-{port}'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=",
    ]
    return programs.start(
        "alertmanager",
        _with_templates(argv, program.parents[2]),
        url=f"http://127.0.0.1:{port}",
        ready="/-/ready",
    )


def _with_templates(argv: list[str], unpacked: Path) -> list[str]:
    """Return how to start Alertmanager so that it finds its templates.

    They are there where the package is installed; else in a mount namespace of its own; else, as root
    where namespaces are forbidden, through a link into the unpacked package.
    """
    if _TEMPLATES.is_dir() or "usr/bin" not in argv[0]:
        return argv
    ours = unpacked / "usr/share"
    inside = ["unshare", "-rm", "sh", "-c", 'mount --bind "$0" /usr/share && exec "$@"', str(ours)]
    if shutil.which("unshare"):
        try:
            run(*inside, "true")
        except CommandError:
            pass
        else:
            return [*inside, *argv]
    if os.geteuid() != 0:
        raise MissingPartError(f"Alertmanager needs {_TEMPLATES}: install prometheus-alertmanager")
    _TEMPLATES.parent.mkdir(parents=True, exist_ok=True)
    if _TEMPLATES.is_symlink():
        _TEMPLATES.unlink()
    _TEMPLATES.symlink_to(ours / "prometheus/alertmanager")
    return argv


def scrape_config(job: str, target: str, **settings: Any) -> Mapping[str, Any]:
    """Return a Prometheus configuration that scrapes ``target`` each second; JSON is YAML."""
    return {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "scrape_configs": [{"job_name": job, "static_configs": [{"targets": [target]}]}],
        **settings,
    }
