"""`warpwatch config`: check and document the configuration."""

import argparse
import json
import os

from agent.commands.configuration import WRONG_CONFIGURATION, configured, refuse
from agent.config.document import default_yaml, json_schema


def check(options: argparse.Namespace) -> int:
    """Read the configuration as `run` would, and say what it comes to."""
    config = configured(options)
    if config is None:
        return WRONG_CONFIGURATION
    from agent.app import gpu_driver, make_collectors, node_name  # noqa: PLC0415 - loads the whole agent
    from agent.protection import both, protection  # noqa: PLC0415 - as above
    from agent.pushing import make_otlp, otlp_settings  # noqa: PLC0415 - as above

    try:
        make_collectors(config, gpu_driver(config))
        settings, _ = both(
            lambda: otlp_settings(config, os.environ, node_name(config, os.environ)),
            lambda: protection(config.web),
        )
        receivers = make_otlp(settings)
    except ValueError as error:
        return refuse(error)
    print(
        f"The configuration is good: listen on {config.listen}, node {node_name(config, os.environ)},"
    )
    print(
        f"{len(config.servers)} model servers, {'a' if config.dcgm else 'no'} dcgm-exporter, "
        f"{len(receivers)} OTLP receivers."
    )
    return 0


def default(options: argparse.Namespace) -> int:
    """Print a commented configuration file."""
    del options
    print(default_yaml(), end="")
    return 0


def schema(options: argparse.Namespace) -> int:
    """Print the JSON schema of the configuration file."""
    del options
    print(json.dumps(json_schema(), indent=2))
    return 0
