"""The few sentences that an engineer should read first."""

from collections.abc import Iterable

from exporters.status import words
from exporters.status.model import CollectorView, ExporterView, GpuView, Headline, Level, ServerView


def headlines(
    gpus: Iterable[GpuView],
    servers: Iterable[ServerView],
    collectors: Iterable[CollectorView],
    exporters: Iterable[ExporterView],
) -> tuple[Headline, ...]:
    """Return what is wrong, worst first: what is lost, then what asks for a look.

    A collector that is fine but had problems has its own place on the page and makes no headline.
    """
    about = (
        *((gpu.level, _gpu(gpu)) for gpu in gpus),
        *((one.level, _collector(one)) for one in collectors if one.level is Level.LOST),
        *((server.level, f"Model server {server.name}: {server.verdict}") for server in servers),
        *((one.level, f"Exporter {one.name} ({one.signal}): {one.verdict}") for one in exporters),
    )
    return tuple(
        Headline(level, text)
        for wanted in (Level.LOST, Level.ATTENTION)
        for level, text in about
        if level is wanted
    )


def _gpu(gpu: GpuView) -> str:
    return f"GPU {gpu.index or words.short_id(gpu.id)}: {gpu.verdict}"


def _collector(collector: CollectorView) -> str:
    return (
        f"Collector {collector.name} {collector.status}: {collector.detail}. "
        "Its data are missing here until it answers."
    )
