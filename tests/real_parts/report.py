"""The environment of `warpwatch drift report`: Evidently and pandas, 1 GB that no other test needs.

It is made of the project's own extras, pinned in ``report.txt``, and has no copy of the project in it: the
checkout is found by ``PYTHONPATH``. ``python -m tests.real_parts.report`` makes it; with ``--lock`` its pins
are resolved anew. River is in it for the evaluation.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.real_parts.command import run
from tests.real_parts.install import ROOT, TOOLS, MissingPartError, filled

LOCK: Final = Path(__file__).with_name("report.txt")
WANTED: Final = Path(__file__).with_name("report.in")
_COPY: Final = "installed.txt"
"""A copy of the lock in the environment: another one asks for another environment."""
_COVERAGE: Final = "import coverage; coverage.process_startup()\n"
"""Measures what runs in the environment, where the process that started it is measured."""


def environment() -> Path:
    """Return the folder of the environment, made first if need be. Safe from many processes.

    Raises `MissingPartError` where this machine cannot have it.
    """

    def current(folder: Path) -> bool:
        copy = folder / _COPY
        return copy.exists() and copy.read_bytes() == LOCK.read_bytes()

    def fetch(folder: Path) -> None:
        # Relocatable: it is filled under another name and then renamed, whole or not at all.
        run(uv(), "venv", "--quiet", "--relocatable", "--clear", "--python", sys.executable, folder)
        run(
            *(uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
            *("--python", folder / "bin/python", "--requirements", LOCK),
        )
        packages = next(folder.glob("lib/python*/site-packages"))
        (packages / "measured.pth").write_text(_COVERAGE)
        shutil.copy(LOCK, folder / _COPY)

    return filled("report", TOOLS / "report", fetch, current)


def python() -> Path:
    """Return the environment's Python."""
    return environment() / "bin/python"


def variables() -> Mapping[str, str]:
    """Return what its Python needs to find this checkout."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def uv() -> Path:
    """Return the installer. Raises `MissingPartError`."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if not found:
        raise MissingPartError("the report's environment is made with uv: pip install uv")
    return Path(found)


def lock() -> None:
    """Resolve the pins anew."""
    run(
        *(uv(), "pip", "compile", ROOT / "pyproject.toml", WANTED, "--extra", "drift"),
        *("--extra", "report", "--universal", "--python-version", "3.11", "--generate-hashes"),
        *("--no-annotate", "--no-header", "--no-emit-index-url", "--no-emit-find-links"),
        *("--upgrade", "--quiet", "--output-file", LOCK),
    )


if __name__ == "__main__":
    if "--lock" in sys.argv[1:]:
        lock()
    sys.stdout.write(f"{environment()}\n")
