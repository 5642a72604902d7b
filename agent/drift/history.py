"""Reads recorded scores by Prometheus's HTTP API, which Mimir, Thanos and VictoriaMetrics speak as well."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from agent.drift.calibration import Identity, Point

MOST_POINTS: Final = 10_000
"""Prometheus refuses ranges of more than 11,000 points a series."""
_LONGEST_ANSWER: Final = 512 * 2**20
"""Bytes: 40 models of 20 features with 10,000 points each are some 300 MB."""
_TIMEOUT: Final = 120.0
_DAY: Final = 86_400.0


class HistoryError(Exception):
    """The history could not be read; the sentence says from where and why."""


class Prometheus:
    """Queries. ``session`` stays open; ``headers`` go with each request."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, headers: Mapping[str, str] | None = None
    ) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._headers = headers or {}

    async def scores(
        self, expression: str, *, end: float, days: float, step: float
    ) -> dict[Identity, list[Point]]:
        """Return a score's points by what it is of. ``end`` is Unix seconds, ``step`` seconds.

        The range is asked for in parts that any server gives. Raises `HistoryError`.
        """
        found: dict[Identity, list[Point]] = {}
        start = end - days * _DAY
        while start < end:
            until = min(end, start + (MOST_POINTS - 1) * step)
            for series in await self._range(expression, start, until, step):
                labels, values = series.get("metric"), series.get("values")
                if isinstance(labels, dict) and isinstance(values, list):
                    found.setdefault(_identity(labels), []).extend(_points(values))
            start = until + step
        return found

    async def instant(self, expression: str, *, at: float) -> list[dict[str, Any]]:
        """Return what an instant query gives at a time, Unix seconds. Raises `HistoryError`."""
        return await self._ask("query", {"query": expression, "time": f"{at:.3f}"})

    async def _range(
        self, expression: str, start: float, end: float, step: float
    ) -> list[dict[str, Any]]:
        form = {
            "query": expression,
            "start": f"{start:.3f}",
            "end": f"{end:.3f}",
            "step": f"{step:g}",
        }
        return await self._ask("query_range", form)

    async def _ask(self, kind: str, form: Mapping[str, str]) -> list[dict[str, Any]]:
        try:
            async with self._session.post(
                f"{self._url}/api/v1/{kind}",
                data=form,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(_TIMEOUT),
                allow_redirects=False,
            ) as answer:
                content = await _content(answer)
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            why = str(error) or f"no answer for {_TIMEOUT:g} s"
            raise HistoryError(f"{self._url} gives no history: {why}") from error
        if content.get("status") != "success":
            why = content.get("error") or f"HTTP {answer.status}; is it a Prometheus?"
            raise HistoryError(f"{self._url} gives no history: {why}")
        data = content.get("data")
        result = data.get("result") if isinstance(data, dict) else None
        if not isinstance(result, list):
            raise HistoryError(f"{self._url} answers, but not as Prometheus does")
        return [each for each in result if isinstance(each, dict)]


async def _content(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    if answer.status in {401, 403}:
        raise ValueError(f"HTTP {answer.status}; give a token with --bearer-token-file")
    parts, size = [], 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > _LONGEST_ANSWER:
            raise ValueError("the answer is too long; choose one --model, or fewer --days")
        parts.append(part)
    try:
        content = json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise ValueError(f"HTTP {answer.status}, and no JSON; is it a Prometheus?") from None
    return content if isinstance(content, dict) else {}


def _identity(labels: Mapping[str, str]) -> Identity:
    return Identity(*(str(labels.get(name, "")) for name in Identity._fields))


def _points(values: Any) -> list[Point]:
    """Return the finite values."""
    found = []
    for pair in values:
        try:
            time, value = float(pair[0]), float(pair[1])
        except (TypeError, ValueError, IndexError):
            continue
        if math.isfinite(time) and math.isfinite(value):
            found.append(Point(time, value))
    return found
