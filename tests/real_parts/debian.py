"""Programs from Debian's archive, unpacked beside the system instead of installed into it."""

import shutil
from pathlib import Path

from tests.real_parts.command import CommandError, run

_PATIENCE = ("-o", "Acquire::Retries=3", "-o", "Acquire::http::Timeout=60")


def unpack(package: str, folder: Path, state: Path) -> None:
    """Download ``package`` and unpack it into ``folder``, as any user.

    With the machine's own package lists first; where those are missing, old or unreadable, with fresh
    ones in ``state``, so that the system stays as it is.
    """
    if not shutil.which("apt-get"):
        raise CommandError(f"{package} comes from Debian's archive, and there is no apt-get here")
    try:
        _download(package, folder)
    except CommandError:
        private = _private_lists(state)
        run("apt-get", *_PATIENCE, *private, "update")
        _download(package, folder, *private)
    for archive in folder.glob("*.deb"):
        run("dpkg", "-x", archive, folder)
        archive.unlink()


def install(*packages: str) -> None:
    """Install packages into the system; needs root."""
    words = ("apt-get", *_PATIENCE, "install", "-y", "--no-install-recommends", *packages)
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        run(*words, env=quiet)
    except CommandError:
        run("apt-get", *_PATIENCE, "update")
        run(*words, env=quiet)


def _download(package: str, folder: Path, *options: str) -> None:
    run("apt-get", *_PATIENCE, *options, "download", package, cwd=folder)


def _private_lists(state: Path) -> tuple[str, ...]:
    """Return the options that make apt keep its lists and cache in ``state``."""
    for name in ("lists/partial", "archives/partial"):
        (state / name).mkdir(parents=True, exist_ok=True)
    return (
        *("-o", f"Dir::State::lists={state}/lists"),
        *("-o", f"Dir::Cache={state}"),
        *("-o", "Debug::NoLocking=1"),
        *("-o", "APT::Sandbox::User="),
    )
