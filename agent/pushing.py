"""Runs the exporters that push, and loads OpenTelemetry only where there is something to push to."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from agent.config import Config
from agent.sampler import Sampler
from agent.snapshot import ExporterState
from agent.worker import Worker

if TYPE_CHECKING:
    from exporters.otlp.exporter import OtlpExporter
    from exporters.otlp.settings import Settings


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


class UnusableSettingError(ValueError):
    """A setting turned out to be unusable after the start."""


class Push:
    """Pushes what a sampler knows to the receivers of ``settings``."""

    def __init__(self, settings: "Sequence[Settings]") -> None:
        self._settings = settings
        self._otlp: tuple[OtlpExporter, ...] = ()
        self._idle = tuple(
            ExporterState(target.name, target.signal)
            for each in settings
            for target in each.targets
        )

    def states(self) -> tuple[ExporterState, ...]:
        """Return how each exporter is doing; before they run, that they have sent nothing."""
        told = tuple(state for each in self._otlp for state in each.states())
        return told or self._idle

    async def run(self, sampler: Sampler) -> None:
        """Push until cancelled. OpenTelemetry is loaded after the first readings, which would wait for it.

        Raises `UnusableSettingError` where a receiver cannot be pushed to with these settings.
        """
        if not self._settings:
            return
        await sampler.next(0)
        loader = Worker("load OpenTelemetry")
        await loader.call(lambda: import_module("exporters.otlp.exporter"))
        loader.close()
        try:
            self._otlp = make_otlp(self._settings)
        except ValueError as error:
            raise UnusableSettingError(str(error)) from error
        async with asyncio.TaskGroup() as tasks:
            for each in self._otlp:
                tasks.create_task(each.run(sampler))

    async def close(self) -> None:
        """Push what is left, within the time that an exporter gives itself."""
        for each in self._otlp:
            await each.close()
