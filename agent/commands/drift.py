"""`warpwatch drift run`: the process that takes payloads and tells what they look like."""

import argparse
from dataclasses import replace

from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse
from agent.commands.drift_extra import needs_drift
from agent.commands.run import announce, run_until_told
from agent.config import Config
from agent.config.drift import Drift
from agent.config.values import address


@needs_drift
def run(options: argparse.Namespace) -> int:
    """Run the process. Exit codes: 0 told to stop, 1 cannot listen, 2 wrong configuration."""
    listen, options.listen = options.listen, None  # of this process, not of the agent
    config = configured(options)
    if config is None:
        return WRONG_CONFIGURATION
    try:
        config = _listening(config, listen)
    except ValueError as error:
        return refuse(f"--listen {error}")
    from agent import drift_app  # noqa: PLC0415 - loads numpy, which other commands do without

    return run_until_told(drift_app.run(config, ready=announce), options.log_level)


def _listening(config: Config, listen: str | None) -> Config:
    if listen is None:
        return config
    return replace(config, drift=replace(config.drift or Drift(), listen=address(listen)))
