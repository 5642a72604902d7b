"""Where the counts of a report come from: a process's metrics page, a saved one, or a Prometheus."""

import asyncio
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from agent.catalogue.attributes import (
    BIN,
    DRIFT_MODEL,
    DRIFT_MODEL_VERSION,
    DRIFT_WINDOW,
    FEATURE,
    REFERENCE,
    STATISTIC,
)
from agent.catalogue.drift import FEATURE_OBSERVATIONS
from agent.catalogue.promql import aggregate, equals, select
from agent.drift.history import HistoryError, Prometheus
from agent.drift.report_bins import NEEDED, Sample, UnusableSeriesError

MOST_BYTES: Final = 256 * 2**20
"""Of a page or an answer: a node's page with a thousand features has a few MiB."""
_MOST_SAID: Final = 200
_TIMEOUT: Final = aiohttp.ClientTimeout(60)
_BY: Final = (DRIFT_MODEL, DRIFT_MODEL_VERSION, REFERENCE, FEATURE)
_NAMES: Final = {metric.family for metric in NEEDED}


async def of_page(where: str, headers: Mapping[str, str]) -> list[Sample]:
    """Return the series of a metrics page, by URL or by path; ``headers`` prove who asks.

    Raises `UnusableSeriesError`.
    """
    try:
        text = await _page(where, headers)
        families = text_string_to_metric_families(text)
        return [
            Sample(sample.name, sample.labels, sample.value)
            for family in families
            for sample in family.samples
            if sample.name in _NAMES and math.isfinite(sample.value)
        ]
    except FileNotFoundError as error:
        raise UnusableSeriesError(
            f"{where}: no such file; the address of a process begins with http://"
        ) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise UnusableSeriesError(f"{where}: {str(error) or 'no answer'}") from error
    except ValueError as error:
        raise UnusableSeriesError(f"{where}: no metrics page: {str(error)[:_MOST_SAID]}") from error


async def of_reservoir(
    url: str, model: str, model_version: str, headers: Mapping[str, str]
) -> bytes:
    """Return the rows that a process keeps of a model, as NDJSON. Raises `UnusableSeriesError`."""
    chosen = {"model": model, "model_version": model_version}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as session,
            session.get(f"{url.rstrip('/')}/v1/reservoir", params=chosen) as answer,
        ):
            return await _body(answer)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise UnusableSeriesError(f"{url}: {str(error) or 'no answer'}") from error


async def _page(where: str, headers: Mapping[str, str]) -> str:
    if not where.startswith(("http://", "https://")):
        return await asyncio.to_thread(Path(where).read_text, encoding="utf-8")
    url = where if where.rstrip("/").endswith("/metrics") else f"{where.rstrip('/')}/metrics"
    async with (
        aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as session,
        session.get(url) as answer,
    ):
        return (await _body(answer)).decode()


async def of_prometheus(
    url: str, window: str, model: str, headers: Mapping[str, str]
) -> list[Sample]:
    """Return the counts of a trailing window, all replicas together, and what they are compared with.

    ``window`` is a Prometheus duration. Raises `UnusableSeriesError`.
    """
    condition = (equals(DRIFT_MODEL, model),) if model else ()
    found: list[Sample] = []
    now = time.time()
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
            prometheus = Prometheus(session, url, headers)
            for metric in NEEDED:
                by = [
                    each
                    for each in (*_BY, BIN, STATISTIC, DRIFT_WINDOW)
                    if each in metric.attributes
                ]
                counted = metric is FEATURE_OBSERVATIONS
                series = select(metric, *condition, window=window if counted else "")
                expression = (
                    aggregate("sum", by, f"increase({series})")
                    if counted
                    else aggregate("max", by, series)
                )
                found += _samples(metric.family, await prometheus.instant(expression, at=now))
    except HistoryError as error:
        raise UnusableSeriesError(str(error)) from error
    return found


def _samples(series: str, result: list[dict[str, Any]]) -> Iterator[Sample]:
    """Yield the samples of an answer; what makes no sense in it is left out."""
    for each in result:
        labels, value = each.get("metric"), each.get("value")
        if not isinstance(labels, dict) or not isinstance(value, list) or len(value) != 2:
            continue
        try:
            number = float(value[1])
        except (TypeError, ValueError):
            continue
        if math.isfinite(number):
            yield Sample(series, {str(key): str(label) for key, label in labels.items()}, number)


async def _body(answer: aiohttp.ClientResponse) -> bytes:
    """Return the body within bounds. Raises `ValueError`."""
    parts, size = [], 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > MOST_BYTES:
            raise ValueError(f"the answer is longer than {MOST_BYTES >> 20} MiB")
        parts.append(part)
    if answer.status != 200:
        raise ValueError(f"HTTP {answer.status}: {b''.join(parts)[:200].decode(errors='replace')}")
    return b"".join(parts)
