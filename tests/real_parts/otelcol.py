"""A real OpenTelemetry Collector, built by its own builder from the Go module proxy: minutes, once.

Nothing needs it by default: no registry that everybody has carries its program.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Final

from tests.real_parts.command import CommandError, run
from tests.real_parts.programs import Program, Programs, free_port

VERSION: Final = "v0.159.0"
_BUILDER: Final = f"go.opentelemetry.io/collector/cmd/builder@{VERSION}"
_MANIFEST: Final = {
    "dist": {"name": "otelcol", "output_path": "./build", "version": "0.0.1"},
    "receivers": [{"gomod": f"go.opentelemetry.io/collector/receiver/otlpreceiver {VERSION}"}],
    "exporters": [
        {
            "gomod": "github.com/open-telemetry/opentelemetry-collector-contrib/exporter/"
            f"prometheusexporter {VERSION}"
        }
    ],
}


def build(folder: Path) -> None:
    """Build a Collector with an OTLP receiver and a Prometheus exporter into ``folder``."""
    if not shutil.which("go"):
        raise CommandError("the Collector is built with Go, and there is no Go toolchain here")
    go = {**os.environ, "GOBIN": str(folder), "GOTOOLCHAIN": "local"}
    run("go", "install", _BUILDER, env=go, timeout=1800)
    (folder / "manifest.yaml").write_text(json.dumps(_MANIFEST), encoding="utf-8")
    run(folder / "builder", "--config", "manifest.yaml", cwd=folder, env=go, timeout=3600)


def start_collector(programs: Programs, program: Path, folder: Path) -> tuple[Program, str]:
    """Start it; return it, with the URL where Prometheus scrapes it, and the URL for OTLP/HTTP."""
    otlp, prometheus = free_port(), free_port()
    config = {
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {"prometheus": {"endpoint": f"127.0.0.1:{prometheus}"}},
        "service": {
            "telemetry": {"metrics": {"level": "none"}},
            "pipelines": {"metrics": {"receivers": ["otlp"], "exporters": ["prometheus"]}},
        },
    }
    path = folder / "collector.yaml"
    path.write_text(json.dumps(config), encoding="utf-8")
    running = programs.start(
        "otelcol",
        [program, "--config", path],
        url=f"http://127.0.0.1:{prometheus}",
        ready="/metrics",
    )
    return running, f"http://127.0.0.1:{otlp}"
