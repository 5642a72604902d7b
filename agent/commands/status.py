"""`warpwatch status`: what a running agent sees, in the terminal."""

import argparse
import json
import sys

from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse
from agent.config import Config

_HINT = "is the agent running? Start it with `warpwatch run`, or name it with --url"


def show(options: argparse.Namespace) -> int:
    """Ask the agent and print its answer. Exit codes: 0 shown, 1 no agent answers there."""
    from agent.commands.asking import (  # noqa: PLC0415 - loads aiohttp
        NotLetInError,
        UnansweredError,
        asked,
        way_to,
    )

    config = configured(options) if options.url is None else Config()
    if config is None:
        return WRONG_CONFIGURATION
    try:
        way = way_to(options, config.listen, config.web)
    except ValueError as error:
        return refuse(error)
    try:
        answer = asked(way, "/api/v1/status")
        status = json.loads(answer.text)
    except NotLetInError as error:
        return refuse(f"the agent at {way.url} does not let us in: {error}", 1)
    except UnansweredError as error:
        return refuse(f"no agent answers at {way.url}: {error}; {_HINT}", 1)
    except ValueError:
        return refuse(f"no agent answers at {way.url}: HTTP {answer.status}, no JSON; {_HINT}", 1)
    if options.json:
        json.dump(status, sys.stdout, indent=2)
        print()
    else:
        from rich.console import Console  # noqa: PLC0415 - the agent never loads it

        from exporters.table import print_status  # noqa: PLC0415

        print_status(status, Console())
    return 0
