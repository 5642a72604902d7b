"""Weeks of history for a Prometheus that has just been started."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from tests.real_parts.command import run
from tests.real_parts.install import path_of
from tests.real_parts.programs import Programs
from tests.real_parts.servers import Prometheus, start_prometheus

Series = tuple[str, Mapping[str, str], Iterable[tuple[float, float]]]
"""A name, labels, and points: Unix seconds and values, ascending."""
_RETENTION: Final = "--storage.tsdb.retention.time=400d"


def start_with_history(
    programs: Programs, folder: Path, series: Iterable[Series], config: str = "{}"
) -> Prometheus:
    """Start a Prometheus that has these series; ``config`` is the text of its configuration."""
    text, storage, path = (folder / name for name in ("history.om", "history", "prometheus.yaml"))
    with text.open("w", encoding="utf-8") as file:
        for name, labels, points in series:
            pairs = ",".join(f'{key}="{value}"' for key, value in labels.items())
            file.writelines(f"{name}{{{pairs}}} {value!r} {time:.3f}\n" for time, value in points)
        file.write("# EOF\n")
    promtool = path_of("promtool")
    # Blocks as long as the history: by default there would be one for each two hours of it.
    make = (promtool, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=9600h")
    run(*make, text, storage)
    path.write_text(config, encoding="utf-8")
    return start_prometheus(programs, path, _RETENTION, storage=storage)
