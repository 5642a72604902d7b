"""What every command that takes the configuration does with it."""

import argparse
import os
import sys
from typing import Final

from agent.config import Config, ConfigError, load

WRONG_CONFIGURATION: Final = 2
"""Exit code, as for wrong usage of the command line."""

_FLAGS: Final = ("listen", "simulate", "replay", "replay_end")
"""Keys of the configuration that have a flag of their own."""


def configured(options: argparse.Namespace) -> Config | None:
    """Return the configuration, or None after all that is wrong with it went to stderr."""
    flags = {name: getattr(options, name, None) for name in _FLAGS}
    try:
        return load(options.config, os.environ, flags)
    except ConfigError as error:
        many = "problem" if len(error.problems) == 1 else "problems"
        print(f"warpwatch: {len(error.problems)} {many} in the configuration:", file=sys.stderr)
        for problem in error.problems:
            print(f"  {problem}", file=sys.stderr)
        return None


def warn(said: object) -> None:
    """Say what should be known of something that was done all the same."""
    print(f"warpwatch: {said}", file=sys.stderr)


def refuse(error: object, code: int = WRONG_CONFIGURATION) -> int:
    """Say why the command cannot go on; return its exit code."""
    warn(error)
    return code
