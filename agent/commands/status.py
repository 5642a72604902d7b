"""`warpwatch status`: what a running agent sees, in the terminal."""

import argparse
import json
import sys
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse

_TIMEOUT_SECONDS = 5.0


def show(options: argparse.Namespace) -> int:
    """Ask the agent and print its answer. Exit codes: 0 shown, 1 no agent answers there."""
    url = options.url
    if url is None:
        config = configured(options)
        if config is None:
            return WRONG_CONFIGURATION
        url = f"http://{config.listen}"
    try:
        status = _ask(f"{url.rstrip('/')}/api/v1/status")
    except (URLError, TimeoutError, ValueError, OSError) as error:
        reason = getattr(error, "reason", error)
        hint = "is the agent running? Start it with `warpwatch run`, or name it with --url"
        return refuse(RuntimeError(f"no agent answers at {url}: {reason}; {hint}"), 1)
    if options.json:
        json.dump(status, sys.stdout, indent=2)
        print()
    else:
        from rich.console import Console  # noqa: PLC0415 - the agent never loads it

        from exporters.table import print_status  # noqa: PLC0415

        print_status(status, Console())
    return 0


def _ask(url: str) -> dict[str, Any]:
    if not url.startswith(("http://", "https://")):
        raise ValueError("the URL must begin with http:// or https://")
    with urlopen(url, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 - http and https only
        status: dict[str, Any] = json.load(answer)
    return status
