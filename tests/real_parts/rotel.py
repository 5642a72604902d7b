"""Rotel, an OTLP receiver that shares no code with ours: it takes what we push and hands it on.

Its program lies in a wheel and wants the shared library of Python, which many interpreters do not have.
"""

import os
import socket
import sys
import sysconfig
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.real_parts.command import CommandError, run
from tests.real_parts.install import TOOLS, MissingPartError, unpacked
from tests.real_parts.programs import (
    NotReadyError,
    Program,
    Programs,
    eventually,
    free_port,
    plain_environment,
)

_PYTHON: Final = f"libpython{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True)
class Rotel:
    """A running Rotel, and where it takes OTLP."""

    program: Program
    http: str
    grpc: str


def start_rotel(
    programs: Programs, folder: Path, forward_to: str, *, ports: tuple[int, int] | None = None
) -> Rotel:
    """Start Rotel, forwarding each request as it came by OTLP/HTTP; ``ports`` are HTTP's and gRPC's.

    Raises `MissingPartError` where its program does not run on this machine.
    """
    executable, environment = _executable()
    http, grpc = ports or (free_port(), free_port())
    program = programs.start(
        "rotel",
        [
            *(executable, "start"),
            *("--otlp-http-endpoint", f"127.0.0.1:{http}"),
            *("--otlp-grpc-endpoint", f"127.0.0.1:{grpc}"),
            *("--exporter", "otlp", "--otlp-exporter-protocol", "http"),
            *("--otlp-exporter-endpoint", forward_to),
            *("--disable-batching", "--pid-file", folder / f"rotel-{http}.pid"),
            *("--log-file", folder / f"rotel-{http}.log"),
        ],
        env=environment,
    )

    def listens() -> bool:
        if (code := program.process.poll()) is not None:
            raise NotReadyError(f"rotel ended with {code}:\n{program.said()}")
        for port in (http, grpc):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True

    eventually("rotel listens", listens)
    return Rotel(program, f"http://127.0.0.1:{http}", f"http://127.0.0.1:{grpc}")


def _executable() -> tuple[Path, dict[str, str]]:
    """Return the program, and an environment in which it finds Python's library: ours, or Debian's."""
    found = find_spec("rotel")
    if found is None or found.origin is None:
        raise MissingPartError("rotel has no wheel for this interpreter and machine")
    executable = Path(found.origin).with_name("rotel-agent")
    if not os.access(executable, os.X_OK):
        executable.chmod(0o755)  # some installers leave the bit away
    try:
        return executable, _tried(executable, Path(str(sysconfig.get_config_var("LIBDIR"))))
    except CommandError:
        library = next(unpacked(_PYTHON, TOOLS / _PYTHON).rglob(f"{_PYTHON}.so.*")).parent
    try:
        return executable, _tried(executable, library)
    except CommandError as error:
        raise MissingPartError(f"rotel does not run here: {error}") from error


def _tried(executable: Path, library: Path) -> dict[str, str]:
    environment = {**plain_environment(), "LD_LIBRARY_PATH": str(library)}
    run(executable, "--version", env=environment)
    return environment
