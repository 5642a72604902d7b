"""Puts the agent together: configuration in, collectors, sampler and exporters out.

The explicit list of collectors is here, and so is the order in which they win where two give the same
series: NVML before dcgm-exporter.
"""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from agent.collector import Collector
from agent.collectors.nvml.collector import RELEASE_SECONDS, NvmlCollector
from agent.collectors.nvml.driver import GpuDriver
from agent.collectors.scrape import Connections
from agent.collectors.xid.collector import XidCollector
from agent.config import Config
from agent.sampler import Sampler
from agent.snapshot import ExporterState
from agent.worker import Worker
from agent.xid.ledger import XidLedger
from agent.xid.policy import Policy
from exporters.prometheus import Exposition
from exporters.release import ReleaseEndpoint
from exporters.web import HEALTH_LIMIT, make_app, serve

if TYPE_CHECKING:
    from exporters.otlp.exporter import OtlpExporter
    from exporters.otlp.settings import Settings

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
    config: Config, driver: GpuDriver, connections: Connections | None = None
) -> list[Collector]:
    """Return the collectors that the configuration asks for, those that win first.

    The kernel log stands directly before what tells of XIDs, so that a line is told in the same turn.
    What is scraped is scraped by ``connections``. Raises `ValueError` for a judgement of XIDs that cannot
    be.
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

        collectors += configured(config, connections)
    if any(each.probe for each in config.servers):
        from agent.probes import make_probes  # noqa: PLC0415 - only where configured

        collectors += make_probes(config.servers, connections)
    return collectors


def otlp_settings(
    config: Config, environment: Mapping[str, str], node: str
) -> "tuple[Settings, ...]":
    """Return the settings of each OTLP receiver, configured or named by the environment.

    Raises `ValueError` with all that is wrong with the OTEL_* variables and the files they name.
    """
    from exporters.otlp import settings as otlp  # noqa: PLC0415 - knows the variables, loads no SDK

    settings = otlp.otlp_settings(
        [(each.endpoint, each.protocol, each.headers_file, each.interval) for each in config.otlp],
        environment,
        node=node,
        cluster=config.cluster or "",
    )
    if unusable := [problem for each in settings for problem in otlp.unusable_files(each)]:
        raise otlp.SettingsError(unusable)
    return settings


def make_otlp(settings: "Iterable[Settings]") -> "tuple[OtlpExporter, ...]":
    """Return an exporter for each. Loads OpenTelemetry; raises `ValueError` where one cannot work."""
    from exporters.otlp.exporter import OtlpExporter  # noqa: PLC0415 - only where there is a receiver

    return tuple(OtlpExporter(each) for each in settings)


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
    settings = otlp_settings(config, environment, node)
    otlp: list[OtlpExporter] = []

    idle = tuple(
        ExporterState(target.name, target.signal) for each in settings for target in each.targets
    )

    def exporter_states() -> tuple[ExporterState, ...]:
        return tuple(state for each in otlp for state in each.states()) if otlp else idle

    connections = Connections()
    collectors = make_collectors(config, gpu_driver(config), connections)
    sampler = Sampler(
        collectors,
        interval=config.interval,
        window=config.window,
        distributions=config.distributions,
        exporters=exporter_states,
    )
    gpus = [each for each in collectors if isinstance(each, NvmlCollector)]
    web = make_app(
        sampler,
        Exposition(node, config.cluster or ""),
        health_limit=max(HEALTH_LIMIT, 3 * config.interval),
        release=_release_endpoint(config.release_from, gpus),
    )
    runner, port = await serve(web, config.listen.host, config.listen.port)
    host = f"[{config.listen.host}]" if ":" in config.listen.host else config.listen.host
    ready(f"http://{host}:{port}")
    try:
        await _until_told(
            [
                sampler.run(),
                _push(settings, otlp, sampler),
                *_adopt_others(config, environment, node, sampler, connections),
            ],
            gpus,
        )
    except* _Refused as refusals:
        raise ValueError(str(refusals.exceptions[0])) from refusals
    finally:
        for each in otlp:
            await each.close()
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
) -> Iterator[Coroutine[None, None, None]]:
    """Let the sampler run what needs it: the search for servers, and what is computed from the others.

    Gives what must run beside the sampler.
    """
    found = None
    if config.discovery is not None:
        from agent.model_servers import search  # noqa: PLC0415 - only where configured

        found = search(config, environment, node, lambda: _gpu_holders(sampler), connections)
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


class _Refused(Exception):  # noqa: N818 - tells a wrong setting from a fault of ours
    """A setting turned out to be unusable after the start."""


async def _push(
    settings: "Sequence[Settings]", otlp: "list[OtlpExporter]", sampler: Sampler
) -> None:
    """Push to each receiver. OpenTelemetry is loaded after the first readings, which would wait for it."""
    if not settings:
        return
    await sampler.next(0)
    loader = Worker("load OpenTelemetry")
    await loader.call(lambda: import_module("exporters.otlp.exporter"))
    loader.close()
    try:
        otlp += make_otlp(settings)
    except ValueError as error:
        raise _Refused(str(error)) from error
    async with asyncio.TaskGroup() as tasks:
        for each in otlp:
            tasks.create_task(each.run(sampler))


async def _until_told(
    parts: Sequence[Coroutine[None, None, None]], releasing: Sequence[NvmlCollector]
) -> None:
    """Run ``parts`` side by side until a signal asks for the end; an error in one ends them all.

    SIGUSR1 asks those in ``releasing`` to let go of their driver.
    """
    loop = asyncio.get_running_loop()
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(part) for part in parts]

        def release() -> None:
            _log.info("SIGUSR1: the driver is let go of for %g s", RELEASE_SECONDS)
            running.extend(tasks.create_task(each.release()) for each in releasing)

        loop.add_signal_handler(signal.SIGUSR1, release)
        await told.wait()
        for task in running:
            task.cancel()
