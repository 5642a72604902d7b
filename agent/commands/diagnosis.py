"""The checks of `warpwatch doctor`: what is there, and what to do where something is not.

Each check uses the agent's own collectors and drivers, so that what works here works there.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Final

from agent.app import gpu_driver, make_collectors, node_name
from agent.catalogue import serving
from agent.collector import Collector, Unavailable
from agent.collectors.nvml.driver import DeviceError, DriverGone, GpuDriver
from agent.collectors.nvml.library import WrongBinding
from agent.config import Config
from agent.config.web import exposure
from agent.protection import protection
from agent.pushing import make_otlp, otlp_settings
from agent.snapshot import Batch

_NO_SOURCE_OF_THEIR_OWN: Final = frozenset({"nvml", "xid"})
"""Collectors that `doctor` does not ask: GPUs are asked one by one, and `xid` tells what others saw."""
_CALL_DEADLINE_SECONDS: Final = 10.0
_CONTAINER_HINT: Final = (
    "In a container: set runtimeClassName nvidia (or the runtime's equivalent), "
    "NVIDIA_VISIBLE_DEVICES=all and NVIDIA_DRIVER_CAPABILITIES=utility"
)


class Verdict(Enum):
    """How a check went."""

    OK = "ok"
    ABSENT = "absent"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it (empty where there is nothing to do)."""

    subject: str
    verdict: Verdict
    found: str
    action: str = ""


async def diagnose(config: Config, environment: Mapping[str, str]) -> AsyncIterator[Finding]:
    """Yield the findings, one after the other, as they are made."""
    yield Finding(
        "node", Verdict.OK, f"{node_name(config, environment)}, cluster {config.cluster or '-'}"
    )
    yield _listen(config)
    yield _protection(config)
    driver = gpu_driver(config)
    for finding in await _within_deadline(driver):
        yield finding
    # Without the state directory: the place where a running agent is in the kernel log is its own.
    for collector in make_collectors(replace(config, state_dir=None), driver):
        if collector.name not in _NO_SOURCE_OF_THEIR_OWN:
            yield await _endpoint(collector)
    if config.discovery:
        from agent.commands.pods import look_at_pods  # noqa: PLC0415 - only where configured

        if (seen := await look_at_pods(config, environment)) is not None:
            verdict = Verdict.FAILED if seen.action else Verdict.OK
            yield Finding("pods", verdict, seen.found, seen.action)
    for exporter in make_otlp(otlp_settings(config, environment, node_name(config, environment))):
        for subject, host, port in exporter.endpoints():
            yield await _receiver(subject, host, port)


async def _within_deadline(driver: GpuDriver) -> list[Finding]:
    """Ask the driver in a thread that may hang, as a driver can."""
    from agent.worker import Worker  # noqa: PLC0415 - one check needs it

    worker = Worker("doctor")
    try:
        async with asyncio.timeout(_CALL_DEADLINE_SECONDS):
            return await worker.call(lambda: list(gpu_findings(driver)))
    except TimeoutError:
        action = "the driver hangs: look for Xid lines in the kernel log; a reboot may be needed"
        found = f"no answer within {_CALL_DEADLINE_SECONDS:g} s"
        return [Finding("driver", Verdict.FAILED, found, action)]
    finally:
        worker.close()


def gpu_findings(driver: GpuDriver) -> Iterator[Finding]:
    """Yield what there is to say of the driver and each GPU. Blocks; never raises."""
    try:
        info = driver.open()
        count = driver.device_count()
    except Unavailable as absence:
        yield Finding("driver", Verdict.ABSENT, str(absence), _CONTAINER_HINT)
        return
    except WrongBinding as error:
        yield Finding("driver", Verdict.FAILED, str(error))
        return
    except (DriverGone, DeviceError) as error:
        action = "reload the driver or reboot; see the kernel log"
        yield Finding("driver", Verdict.FAILED, str(error), action)
        return
    version = f"{info.driver_version or 'unknown'}, CUDA {info.cuda_version or 'unknown'}"
    yield Finding("driver", Verdict.OK, f"{version}, {count} GPUs")
    for index in range(count):
        yield _gpu(driver, index)
    driver.close()


def _gpu(driver: GpuDriver, index: int) -> Finding:
    subject = f"gpu {index}"
    try:
        identity = driver.identity(index)
        sample = driver.sample(index)
        processes = driver.processes(index)
        mig = driver.mig(index)
    except (DeviceError, DriverGone) as error:
        action = "drain the node and reset or reboot it; runbook GPULost"
        return Finding(subject, Verdict.FAILED, str(error), action)
    problems = (*identity.problems, *sample.problems, *processes.problems, *mig.problems)
    absent = [name for name, value in zip(sample._fields, sample, strict=True) if value is None]
    found = f"{identity.model or 'unknown model'} {identity.uuid}"
    if mig.enabled:
        found += (
            f"; MIG devices: {', '.join(one.profile or one.uuid for one in mig.devices) or 'none'}"
        )
    if absent:
        found += f"; it does not have: {', '.join(absent)}"
    if problems:
        said = "; ".join(f"{each.field}: {each.detail}" for each in problems)
        return Finding(
            subject, Verdict.WARNING, f"{found}; {said}", "see the kernel log for Xid lines"
        )
    names = [each.name for each in (*(processes.compute or ()), *(processes.graphics or ()))]
    if names and not any(names):
        action = "let the agent see the host's processes (hostPID: true) if you want their names"
        return Finding(subject, Verdict.OK, f"{found}; its processes have no names here", action)
    if not identity.reports_xids:
        return Finding(subject, Verdict.OK, f"{found}; the driver gives no XID events for it")
    return Finding(subject, Verdict.OK, found)


async def _endpoint(collector: Collector) -> Finding:
    """Collect once, exactly as the agent would."""
    call = asyncio.ensure_future(collector.collect())
    try:
        done, _ = await asyncio.wait({call}, timeout=collector.deadline)
        if not done:
            call.cancel()
            action = "see whether it answers: curl its /metrics"
            return Finding(collector.name, Verdict.FAILED, "no answer in time", action)
        if isinstance(error := call.exception(), Unavailable):
            return Finding(collector.name, Verdict.ABSENT, str(error))
        if error is not None:
            return Finding(collector.name, Verdict.FAILED, f"{type(error).__name__}: {error}")
    finally:
        await collector.close()
    return _judge(collector.name, call.result())


def _judge(name: str, batch: Batch) -> Finding:
    up = next((each for each in batch.readings if each.metric is serving.SERVER_UP), None)
    said = "; ".join(f"{each.reason}: {each.detail}" for each in batch.problems[:5])
    if up is not None and up.value == 0:
        action = "see that the URL is the server's metrics page and that the server is running"
        return Finding(name, Verdict.FAILED, said or "it gives no metrics", action)
    kind = f"{up.attributes[1]}, " if up is not None else ""
    found = f"{kind}{len(batch.readings)} series"
    if said:
        return Finding(name, Verdict.WARNING, f"{found}; {said}", "what is refused is not exported")
    return Finding(name, Verdict.OK, found)


async def _receiver(subject: str, host: str, port: int) -> Finding:
    """See whether something listens there; whether it is an OTLP receiver, only data can tell."""
    try:
        async with asyncio.timeout(_CALL_DEADLINE_SECONDS):
            _, writer = await asyncio.open_connection(host, port)
    except OSError as error:  # TimeoutError is one
        action = (
            "start the receiver, or correct the endpoint; data waits in memory until it answers"
        )
        return Finding(
            subject, Verdict.FAILED, f"{host}:{port}: {str(error) or 'no answer'}", action
        )
    writer.close()
    return Finding(subject, Verdict.OK, f"{host}:{port} accepts connections")


def _listen(config: Config) -> Finding:
    """See whether the address is free; an agent that runs already is no fault."""
    family = socket.AF_INET6 if ":" in config.listen.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.listen.host, config.listen.port))
        except OSError as error:
            action = "an agent may be running there already; else choose another with --listen"
            found = f"{config.listen}: {os.strerror(error.errno or 0)}"
            return Finding("listen", Verdict.WARNING, found, action)
    return Finding("listen", Verdict.OK, f"{config.listen} is free")


def _protection(config: Config) -> Finding:
    """See whether what protects our endpoints can be used, and whether they need it."""
    try:
        protection(config.web)
    except ValueError as error:
        action = (
            "the agent does not start like this; `warpwatch config check` lists all that is wrong"
        )
        return Finding("web", Verdict.FAILED, str(error).replace("\n", "; "), action)
    ways = {
        "TLS": config.web.encrypted,
        "client certificates": config.web.client_ca_file,
        "bearer tokens": config.web.bearer_token_file,
        "users": config.web.basic_auth_users_file,
    }
    found = ", ".join(way for way, used in ways.items() if used) or "neither TLS nor credentials"
    listening = [("listen", config.listen)]
    if config.drift is not None:
        listening.append(("drift.listen", config.drift.listen))
    for key, address in listening:
        said, _, action = exposure(address, config.web).partition("; ")
        if said:
            return Finding("web", Verdict.WARNING, f"{found}; {key} {address} {said}", action)
    return Finding("web", Verdict.OK, found)


def machine_findings(proc: Path = Path("/proc")) -> Iterator[Finding]:
    """Yield what the kernel tells of NVIDIA without any library: to tell a driver from a library."""
    version = proc / "driver/nvidia/version"
    if not version.exists():
        action = "install the NVIDIA driver if this machine should have GPUs"
        yield Finding("kernel module", Verdict.ABSENT, "the nvidia module is not loaded", action)
        return
    first = version.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    yield Finding("kernel module", Verdict.OK, first.strip())
