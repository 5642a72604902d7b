"""Where the counts of a report come from: a process's metrics page, a saved one, or a Prometheus."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from agent.catalogue.attributes import BIN, DRIFT_MODEL, DRIFT_MODEL_VERSION, FEATURE, REFERENCE
from agent.catalogue.drift import FEATURE_OBSERVATIONS
from agent.catalogue.promql import aggregate, equals, select
from agent.drift.report_bins import NEEDED, Sample, UnusableSeriesError

MOST_BYTES: Final = 256 * 2**20
"""Of a page or an answer: a node's page with a thousand features has a few MiB."""
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
            if sample.name in _NAMES
        ]
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise UnusableSeriesError(f"{where}: {str(error) or 'no answer'}") from error


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
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT, headers=headers) as session:
            for metric in NEEDED:
                by = [each for each in (*_BY, BIN) if each in metric.attributes]
                counted = metric is FEATURE_OBSERVATIONS
                series = select(metric, *condition, window=window if counted else "")
                expression = (
                    aggregate("sum", by, f"increase({series})")
                    if counted
                    else aggregate("max", by, series)
                )
                found += _samples(metric.family, await _query(session, url, expression))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise UnusableSeriesError(f"{url}: {str(error) or 'no answer'}") from error
    return found


async def _query(session: aiohttp.ClientSession, url: str, expression: str) -> list[Any]:
    form = {"query": expression}
    async with session.post(f"{url.rstrip('/')}/api/v1/query", data=form) as answer:
        told = json.loads(await _body(answer))
    if not isinstance(told, dict) or told.get("status") != "success":
        raise ValueError(f"no answer of a Prometheus: {str(told)[:200]}")
    result = told.get("data", {}).get("result")
    if not isinstance(result, list):
        raise TypeError("the answer has no result")
    return result


def _samples(series: str, result: list[Any]) -> Iterator[Sample]:
    for each in result:
        yield Sample(series, each["metric"], float(each["value"][1]))


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
