"""Puts the agent together: configuration in, collectors, sampler and exporters out.

The explicit list of collectors is here, and so is the order in which they win where two give the same
series: NVML before dcgm-exporter.
"""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import agent.aiohttp_import  # noqa: F401 - before anything imports aiohttp
from agent.collector import Collector
from agent.collectors.nvml.collector import RELEASE_SECONDS, NvmlCollector
from agent.collectors.nvml.driver import GpuDriver
from agent.collectors.scrape import Connections
from agent.collectors.serving.budget import SeriesBudget
from agent.collectors.xid.collector import XidCollector
from agent.config import Config
from agent.lifecycle import Part, until_told
from agent.protection import base_url, both, protection, warn_if_exposed
from agent.pushing import Push, UnusableSettingError, otlp_settings
from agent.sampler import Sampler
from agent.xid.ledger import XidLedger
from agent.xid.policy import Policy
from exporters.prometheus import Exposition
from exporters.release import ReleaseEndpoint
from exporters.web import HEALTH_LIMIT, make_app, serve

_log = logging.getLogger(__name__)


def node_name(config: Config, environment: Mapping[str, str]) -> str:
    """Return this node's name: configured, or NODE_NAME as the chart sets it, or the host's name."""
    return config.node or environment.get("NODE_NAME") or socket.gethostname()


def gpu_driver(config: Config) -> GpuDriver:
    """Return what knows the GPUs: the machine's NVML, a simulation, or a recording.

    Raises `ValueError` for a simulation that does not exist, or a recording that cannot be played.
    """
    if config.simulate and config.replay:
        raise ValueError("simulate and replay are both set; leave one of them out")
    if config.simulate:
        from agent.simulation.gpus import SimulatedGpus  # noqa: PLC0415 - never loaded on a real node
        from agent.simulation.spec import parse_spec  # noqa: PLC0415

        return SimulatedGpus(parse_spec(config.simulate), nvlink_links=config.nvlink_links)
    if config.replay:
        from agent.recording.replay import ReplayedGpus  # noqa: PLC0415 - never loaded on a real node

        return ReplayedGpus(Path(config.replay), loop=config.replay_end == "loop")
    from agent.collectors.nvml.library import NvmlLibrary  # noqa: PLC0415

    return NvmlLibrary(nvlink_links=config.nvlink_links)


def make_collectors(
    config: Config,
    driver: GpuDriver,
    connections: Connections | None = None,
    series: SeriesBudget | None = None,
) -> list[Collector]:
    """Return the collectors that the configuration asks for, those that win first.

    The kernel log stands directly before what tells of XIDs, so that a line is told in the same turn.
    What is scraped is scraped by ``connections``, and servers share ``series``. Raises `ValueError` for a
    judgement of XIDs that cannot be.
    """
    connections = connections or Connections()
    ledger = XidLedger(Policy(config.xid_policy, config.xid_overrides))
    collectors: list[Collector] = [NvmlCollector(driver, interval=config.interval, ledger=ledger)]
    if config.kernel_log != "off" and not (config.simulate or config.replay):
        from agent.collectors.kernel.collector import KernelCollector  # noqa: PLC0415 - of real nodes

        state = Path(config.state_dir) if config.state_dir else None
        log = Path(config.kernel_log)
        collectors.append(KernelCollector(ledger, path=log, state_dir=state))
    collectors.append(XidCollector(ledger))
    if config.dcgm:
        from agent.collectors.dcgm import DcgmCollector  # noqa: PLC0415 - only where configured

        collectors.append(
            DcgmCollector(config.dcgm.url, interval=config.dcgm.interval, connections=connections)
        )
    if config.servers:
        from agent.model_servers import configured  # noqa: PLC0415 - only where configured

        collectors += configured(config, connections, series or SeriesBudget(config.server_series))
    if any(each.probe for each in config.servers):
        from agent.probes import make_probes  # noqa: PLC0415 - only where configured

        collectors += make_probes(config.servers, connections)
    return collectors


async def run(
    config: Config,
    environment: Mapping[str, str] = os.environ,
    *,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Run the agent until SIGTERM or SIGINT.

    SIGUSR1 makes it let go of the GPUs' driver for a minute, as does a POST to `exporters.release.PATH`.
    ``ready`` is told the URL once it listens. Raises `OSError` where the address cannot be had and
    `ValueError` for a simulation or a variable that makes no sense.
    """
    node = node_name(config, environment)
    settings, access = both(
        lambda: otlp_settings(config, environment, node), lambda: protection(config.web)
    )
    push = Push(settings)
    connections, series = Connections(), SeriesBudget(config.server_series)
    collectors = make_collectors(config, gpu_driver(config), connections, series)
    sampler = Sampler(
        collectors,
        interval=config.interval,
        window=config.window,
        distributions=config.distributions,
        exporters=push.states,
    )
    if access is not None:
        from agent.collectors.web import WebCollector  # noqa: PLC0415 - only where configured

        sampler.adopt(WebCollector(access))
    gpus = [each for each in collectors if isinstance(each, NvmlCollector)]
    web = make_app(
        sampler,
        Exposition(node, config.cluster or ""),
        health_limit=max(HEALTH_LIMIT, 3 * config.interval),
        release=_release_endpoint(config.release_from, gpus),
        access=access,
    )
    runner, port = await serve(web, config.listen.host, config.listen.port, access=access)
    warn_if_exposed("listen", config.listen, config.web)

    def release() -> list[Part]:
        _log.info("SIGUSR1: the driver is let go of for %g s", RELEASE_SECONDS)
        return [each.release() for each in gpus]

    ready(base_url(replace(config.listen, port=port), config.web))
    try:
        await until_told(
            [
                sampler.run(),
                push.run(sampler),
                *_adopt_others(config, environment, node, sampler, connections, series),
            ],
            on_user_signal=release,
        )
    except* UnusableSettingError as refusals:
        raise ValueError(str(refusals.exceptions[0])) from refusals
    finally:
        await push.close()
        await runner.cleanup()


def _release_endpoint(who: str, gpus: Sequence[NvmlCollector]) -> ReleaseEndpoint | None:
    """Return what takes requests to let go of the driver, from those who may ask."""

    async def release(seconds: float) -> None:
        _log.info("asked by HTTP: the driver is let go of for %g s", seconds)
        for each in gpus:
            await each.release(seconds)

    return None if who == "nobody" else ReleaseEndpoint(release, anywhere=who == "anywhere")


def _adopt_others(
    config: Config,
    environment: Mapping[str, str],
    node: str,
    sampler: Sampler,
    connections: Connections,
    series: SeriesBudget,
) -> Iterator[Part]:
    """Let the sampler run what needs it: the search for servers, and what is computed from the others.

    Gives what must run beside the sampler.
    """
    found = None
    if config.discovery is not None:
        from agent.model_servers import search  # noqa: PLC0415 - only where configured

        holders = partial(_gpu_holders, sampler)
        found = search(config, environment, node, holders, connections, series)
    if found is not None:
        sampler.adopt(found)
        yield found.run(sampler)
    if config.servers or config.slos or config.gpu_hour_price or found:
        from agent.derived import derived  # noqa: PLC0415 - only where configured

        for each in derived(config, sampler, found):
            sampler.adopt(each)


def _gpu_holders(sampler: Sampler) -> set[int]:
    """Return the processes that hold a GPU, as NVML last told."""
    batches = sampler.snapshot.batches.values() if sampler.snapshot else ()
    return {holder.pid for batch in batches for holder in batch.holders}
