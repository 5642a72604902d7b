# ruff: noqa: INP001 - a script beside the chart; helm/ is no package
"""Writes what of the chart follows from elsewhere: ``python helm/build.py``.

``--check`` writes nothing and fails if a file is stale. The schema of the values takes the agent's own schema
for `config`, so that a mistake in the configuration is refused by `helm install` and not by pods that do not
start; the README's table comes from values.yaml, comments and all.
"""

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from agent.config.document import json_schema

HERE: Final = Path(__file__).resolve().parent
CHART: Final = HERE / "warpwatch"
_MARK: Final = "<!-- values -->"
_KEY: Final = re.compile(r"^( *)([A-Za-z]\w*):")
_SET_BY_THE_CHART: Final = ("node",)
"""Each pod takes its node's name; one in the configuration would give all nodes the same."""


def values_schema() -> str:
    """Return values.schema.json: the hand-kept base with the agent's configuration in it."""
    schema = json.loads((HERE / "values.schema.base.json").read_text(encoding="utf-8"))
    config: dict[str, Any] = json_schema()
    for key in ("$schema", "title"):
        config.pop(key)
    schema["$defs"] = config.pop("$defs")  # references are from the root of the whole schema
    for key in _SET_BY_THE_CHART:
        config["properties"].pop(key)
    schema["properties"]["config"] = config | {"required": ["listen"]}
    schema["properties"]["drift"]["properties"]["config"] = config
    return json.dumps(schema, indent=2) + "\n"


def readme() -> str:
    """Return the chart's README: what stands above the mark, and the table of values below it."""
    path = CHART / "README.md"
    head = path.read_text(encoding="utf-8").partition(_MARK)[0]
    lines = ["| Value | Default | What it is |", "|---|---|---|"]
    lines += (f"| `{key}` | {default} | {text} |" for key, default, text in _values())
    return head + _MARK + "\n" + "\n".join(lines) + "\n"


def _values() -> Iterator[tuple[str, str, str]]:
    """Give each documented value: its path, its default, and the comment above it."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    defaults = yaml.safe_load(text)
    path: list[str] = []
    comment: list[str] = []
    for line in text.splitlines():
        found = _KEY.match(line)
        stripped = line.strip()
        if stripped.startswith("# "):
            comment.append(stripped[2:])
        elif found and len(found[1]) <= 2:
            path[len(found[1]) // 2 :] = [found[2]]
            if comment:
                yield ".".join(path), _shown(defaults, path), " ".join(comment).replace("|", "\\|")
            comment = []
        else:
            comment = []


def _shown(defaults: Any, path: Sequence[str]) -> str:
    for key in path:
        defaults = defaults[key]
    text = json.dumps(defaults)
    return "see values.yaml" if len(text) > 40 else f"`{text}`"


def main(argv: Sequence[str] | None = None) -> int:
    """Write what is stale; with ``--check`` write nothing, name it, and return 1 if there is any."""
    parser = argparse.ArgumentParser(prog="python helm/build.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if stale")
    check = parser.parse_args(argv).check
    texts = {CHART / "values.schema.json": values_schema(), CHART / "README.md": readme()}
    stale = {path: text for path, text in texts.items() if _current(path) != text}
    for path, text in stale.items():
        sys.stdout.write(f"{'stale' if check else 'wrote'}: {path.relative_to(HERE.parent)}\n")
        if not check:
            path.write_text(text, encoding="utf-8")
    return 1 if check and stale else 0


def _current(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


if __name__ == "__main__":
    sys.exit(main())
