"""Installs the real model servers that the tests watch, each into an environment of its own.

They come from PyPI and run on a CPU; their requirements contradict each other and ours, so none shares an
environment. Everything lands in ``.tools/servers/NAME``. Run ``python -m tests.real_servers.install`` to
fetch all of them, or with names to fetch some.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from tests.real_parts.command import run
from tests.real_parts.install import TOOLS, MissingPartError, filled

LOCKS: Final = Path(__file__).with_name("locks")
NAMES: Final = ("bentoml", "dynamo", "kserve", "mlserver", "ray_serve", "triton")
_LOCK: Final = "installed.txt"
"""A copy of the lock in the environment: another one asks for another environment."""


def environment_of(name: str) -> Path:
    """Return the folder of a server's environment, made first if need be. Safe from many processes.

    Raises `MissingPartError` where this machine cannot have it.
    """
    lock = LOCKS / f"{name}.txt"

    def current(folder: Path) -> bool:
        copy = folder / _LOCK
        return copy.exists() and copy.read_bytes() == lock.read_bytes()

    def fetch(folder: Path) -> None:
        # Relocatable: it is filled under another name and then renamed, whole or not at all.
        run(uv(), "venv", "--quiet", "--relocatable", "--clear", "--python", sys.executable, folder)
        run(
            *(uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes"),
            *("--python", folder / "bin/python", "--requirements", lock),
        )
        shutil.copy(lock, folder / _LOCK)

    return filled(f"servers/{name}", TOOLS / "servers" / name, fetch, current)


def uv() -> Path:
    """Return the installer, which makes an environment in a few seconds. Raises `MissingPartError`."""
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("uv")
    if not found:
        raise MissingPartError("the model servers are installed with uv: pip install uv")
    return Path(found)


def main(names: list[str]) -> int:
    """Fetch these servers, or all; say where each one is; 1 if one cannot be had."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        sys.stderr.write(f"no such server: {', '.join(unknown)}; there are {', '.join(NAMES)}\n")
        return 2
    missing = 0
    for name in names or NAMES:
        try:
            sys.stdout.write(f"{name:13} {environment_of(name)}\n")
        except MissingPartError as error:
            missing = 1
            sys.stdout.write(f"{name:13} missing: {error}\n")
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
