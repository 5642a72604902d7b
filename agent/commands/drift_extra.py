"""What drift commands say where the libraries that they need are not installed."""

import argparse
from collections.abc import Callable
from functools import wraps

from agent.commands.configuration import refuse

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
