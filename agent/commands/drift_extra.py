"""What drift commands say where the libraries that they need are not installed."""

import argparse
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from agent.commands.configuration import refuse
from agent.config.values import url

_NEEDED = frozenset({"numpy", "datasketches"})
_Command = Callable[[argparse.Namespace], int]


def needs_drift(command: _Command) -> _Command:
    """Return the command with words and exit code 1 in the place of a library that is not there."""

    @wraps(command)
    def told(options: argparse.Namespace) -> int:
        try:
            return command(options)
        except ModuleNotFoundError as error:
            if error.name not in _NEEDED:
                raise
            return refuse(
                "drift needs numpy and datasketches, which are not installed; "
                "run `pip install 'warpwatch[drift]'`",
                1,
            )

    return told


def token(path: Path) -> str:
    """Return the token in a file. Raises OSError with the file's name, also for what is none."""
    try:
        found = path.read_text(encoding="ascii").strip()
    except UnicodeDecodeError as error:
        raise OSError(f"{path}: no token, it is not plain text") from error
    if not found or not found.isprintable() or " " in found:
        raise OSError(f"{path}: no token: it must hold one word in one line")
    return found


def checked_url(flag: str, given: str) -> str:
    """Return the URL that a flag has. Raises `ValueError` with the flag's name for what is none."""
    try:
        return url(given)
    except ValueError as error:
        raise ValueError(f"{flag} {error}") from None
