"""Writes the dashboards as JSON: ``python -m dashboards.build``, and ``--check`` to see whether it is stale.

The same input gives the same bytes. The chart ships a copy, because Helm reads no file outside its folder:
without line breaks, since `kubectl apply` keeps all of a ConfigMap in an annotation of at most 256 KiB.
"""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from dashboards import (
    drift,
    gpu_fleet,
    gpu_health,
    gpu_mig,
    gpu_node,
    inference,
    inference_server,
)

ROOT: Final = Path(__file__).resolve().parent.parent
FOLDER: Final = ROOT / "dashboards" / "generated"
CHART: Final = ROOT / "helm" / "warpwatch" / "files" / "dashboards"
DASHBOARDS: Final[Mapping[str, Callable[[], model.Dashboard]]] = {
    "gpu-fleet": gpu_fleet.build,
    "gpu-node": gpu_node.build,
    "gpu-health": gpu_health.build,
    "gpu-mig": gpu_mig.build,
    "inference": inference.build,
    "inference-server": inference_server.build,
    "drift": drift.build,
}


def render(dashboard: model.Dashboard) -> str:
    """Return the dashboard as JSON, with the SDK's empty fields left out.

    Grafana reads an absent option as its default and a null one, in some panels, as a mistake.
    """
    plain = json.loads(json.dumps(dashboard, cls=JSONEncoder))
    return json.dumps(_without_nulls(plain), indent=2, ensure_ascii=False) + "\n"


def files() -> dict[Path, str]:
    """Return the text of every file that belongs to the dashboards, by path."""
    texts = {f"{name}.json": render(build()) for name, build in DASHBOARDS.items()}
    readable = {FOLDER / name: text for name, text in texts.items()}
    return readable | {CHART / name: _compact(text) for name, text in texts.items()}


def _compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"), ensure_ascii=False) + "\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Write what is stale; with ``--check`` write nothing, name it, and return 1 if there is any."""
    parser = argparse.ArgumentParser(prog="python -m dashboards.build", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if stale")
    check = parser.parse_args(argv).check
    stale = {path: text for path, text in files().items() if _current(path) != text}
    for path, text in stale.items():
        sys.stdout.write(f"{'stale' if check else 'wrote'}: {path.relative_to(ROOT)}\n")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


def _current(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _without_nulls(value: Any) -> Any:
    """Drop nulls everywhere but in the first step of a threshold, where null is minus infinity."""
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    if not isinstance(value, dict):
        return value
    is_step = value.keys() == {"value", "color"}
    return {
        key: _without_nulls(item)
        for key, item in value.items()
        if item is not None or (is_step and key == "value")
    }


if __name__ == "__main__":
    sys.exit(main())
