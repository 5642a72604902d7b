"""`warpwatch run`: the agent, until it is told to stop."""

import argparse
import asyncio
import gc
import logging
import sys
from collections.abc import Coroutine
from typing import Final

from agent import __version__, app
from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse

_FORMAT: Final = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def run(options: argparse.Namespace) -> int:
    """Run the agent. Exit codes: 0 told to stop, 1 cannot listen, 2 wrong configuration."""
    config = configured(options)
    if config is None:
        return WRONG_CONFIGURATION
    return run_until_told(app.run(config, ready=announce), options.log_level)


def run_until_told(agent: Coroutine[None, None, None], log_level: str) -> int:
    """Run ``agent`` to its end and return the exit code that says how it ended."""
    # What is loaded by now stays for good, and snapshots form no cycles: look for garbage rarely.
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)
    logging.basicConfig(level=log_level.upper(), format=_FORMAT, stream=sys.stderr)
    try:
        asyncio.run(agent)
    except ValueError as error:
        return refuse(error)
    except OSError as error:
        return refuse(error.strerror or error, 1)
    return 0


def announce(url: str) -> None:
    """Tell whoever started the agent where it is."""
    logging.getLogger("agent").info("warpwatch %s serves %s/ and %s/metrics", __version__, url, url)
