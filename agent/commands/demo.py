"""`warpwatch demo`: the agent on a simulated node with model servers, for people without a GPU."""

import argparse
from dataclasses import replace

from agent import app
from agent.commands.configuration import WRONG_CONFIGURATION, configured
from agent.commands.run import announce, run_until_told
from agent.config import Config, Server


def run(options: argparse.Namespace) -> int:
    """Run the agent and what it watches. Exit codes as those of `run`."""
    config = configured(options)
    if config is None:
        return WRONG_CONFIGURATION
    return run_until_told(_run(config), options.log_level)


async def _run(config: Config) -> None:
    from agent.simulation.servers import simulated_servers  # noqa: PLC0415 - only a demo has them

    async with simulated_servers(config.simulate or "") as servers:
        simulated = tuple(
            Server(
                name=each.name,
                profile=each.profile,
                url=each.url,
                interval=1.0,
                gpus=each.gpus,
            )
            for each in servers
        )
        await app.run(replace(config, servers=(*config.servers, *simulated)), ready=announce)
