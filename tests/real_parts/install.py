"""Installs the real programs that the tests run against: Prometheus, VictoriaMetrics, helm, a browser.

No mock where the real thing can be had. Everything lands in ``.tools/`` (or the folder that
``REAL_PARTS_FOLDER`` names, so that several checkouts can share one), nothing needs root but the browser.
Run ``python -m tests.real_parts.install`` to fetch what the tests need, or with names to fetch some.
"""

import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.real_parts import debian, layer, otelcol
from tests.real_parts.command import CommandError, run

ROOT: Final = Path(__file__).resolve().parents[2]
TOOLS: Final = Path(os.environ.get("REAL_PARTS_FOLDER") or ROOT / ".tools")


class MissingPartError(RuntimeError):
    """This machine cannot have the part; the message says why, and what would help."""


@dataclass(frozen=True)
class Part:
    """One program: how to get it, where it lies then, and how its answer proves that it is the one.

    ``fetch`` fills an empty folder; parts of one ``folder`` come together. ``version`` is the argument
    that makes the program print its version, ``expected`` what that must contain.
    """

    folder: str
    fetch: Callable[[Path], None]
    program: str
    version: str
    expected: str


def _debian(package: str) -> Callable[[Path], None]:
    return lambda folder: debian.unpack(package, folder, TOOLS / "apt")


PARTS: Final[Mapping[str, Part]] = {
    "prometheus": Part(
        "prometheus",
        _debian("prometheus"),
        "usr/bin/prometheus",
        "--version",
        "prometheus, version",
    ),
    "promtool": Part(
        "prometheus", _debian("prometheus"), "usr/bin/promtool", "--version", "promtool, version"
    ),
    "alertmanager": Part(
        "alertmanager",
        _debian("prometheus-alertmanager"),
        "usr/bin/prometheus-alertmanager",
        "--version",
        "alertmanager, version",
    ),
    "amtool": Part(
        "alertmanager",
        _debian("prometheus-alertmanager"),
        "usr/bin/amtool",
        "--version",
        "amtool, version",
    ),
    # Neither of the two says its version: Debian builds them without.
    "victoria-metrics": Part(
        "victoria-metrics",
        _debian("victoria-metrics"),
        "usr/bin/victoria-metrics",
        "-help",
        "victoria-metrics is a time series database",
    ),
    "vmalert": Part(
        "victoria-metrics",
        _debian("victoria-metrics"),
        "usr/bin/vmalert",
        "-help",
        "vmalert processes alerts and recording rules",
    ),
    "helm3": Part("helm3", layer.HELM_3.unpack, "helm", "version", 'Version:"v3.'),
    "helm4": Part("helm4", layer.HELM_4.unpack, "helm", "version", 'Version:"v4.'),
    "otelcol": Part("otelcol", otelcol.build, "build/otelcol", "--version", "otelcol version"),
}
CHROMIUM: Final = "chromium"
NAMES: Final = (*PARTS, CHROMIUM)
DEFAULT: Final = tuple(name for name in NAMES if name != "otelcol")
"""What the tests need by default; the Collector takes minutes and a Go toolchain."""


def path_of(name: str) -> Path:
    """Return the path of a program, fetching it first if need be. Safe to call from many processes.

    Raises `MissingPartError` where this machine cannot have it.
    """
    if name == CHROMIUM:
        return _chromium()
    part = PARTS[name]
    folder = TOOLS / part.folder
    program = folder / part.program
    with _one_at_a_time(part.folder):
        if not program.exists():
            _fetch(name, part, folder)
    return program


def unpacked(package: str, folder: Path) -> Path:
    """Return ``folder`` with Debian's ``package`` in it. Raises `MissingPartError` where it cannot be had."""
    with _one_at_a_time(folder.name):
        if not folder.exists():
            _fill(package, folder, _debian(package))
    return folder


def filled(
    name: str, folder: Path, fetch: Callable[[Path], None], current: Callable[[Path], bool]
) -> Path:
    """Return ``folder``, filled by ``fetch`` where it is not ``current``. Safe from many processes.

    Raises `MissingPartError` where it cannot be filled.
    """
    with _one_at_a_time(folder.name):
        if not current(folder):
            _fill(name, folder, fetch)
    return folder


def _fetch(name: str, part: Part, folder: Path) -> None:
    """Fetch a part and try its program once."""

    def fetch(fresh: Path) -> None:
        part.fetch(fresh)
        said = run(fresh / part.program, part.version)
        if part.expected not in said:
            raise CommandError(f"it answers {said[:200]!r}, expected {part.expected!r}")

    _fill(name, folder, fetch)


def _fill(name: str, folder: Path, fetch: Callable[[Path], None]) -> None:
    """Fill ``folder`` whole or not at all."""
    fresh = folder.with_name(f"{folder.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.mkdir(parents=True)
    try:
        fetch(fresh)
    except (CommandError, OSError) as error:
        raise MissingPartError(f"cannot fetch {name}: {error}") from error
    fresh.rename(folder)


def _chromium() -> Path:
    """Return the browser of the machine; as root on Debian, install it."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    with _one_at_a_time(CHROMIUM):
        found = next(filter(None, map(shutil.which, names)), None)
        if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
            try:
                debian.install(CHROMIUM, "fonts-dejavu-core")
            except CommandError as error:
                raise MissingPartError(f"cannot install chromium: {error}") from error
            found = shutil.which(CHROMIUM)
    if found is None:
        raise MissingPartError(
            "no Chromium on this machine, and only root on Debian can install it"
        )
    return Path(found)


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    TOOLS.mkdir(parents=True, exist_ok=True)
    with (TOOLS / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(names: list[str]) -> int:
    """Fetch these parts, or the default ones; say where each one is; 1 if one cannot be had."""
    unknown = sorted(set(names) - set(NAMES))
    if unknown:
        sys.stderr.write(f"no such part: {', '.join(unknown)}; there are {', '.join(NAMES)}\n")
        return 2
    missing = 0
    for name in names or DEFAULT:
        try:
            sys.stdout.write(f"{name:13} {path_of(name)}\n")
        except MissingPartError as error:
            missing = 1
            sys.stdout.write(f"{name:13} missing: {error}\n")
    return missing


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
