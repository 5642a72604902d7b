"""Histories as a real Prometheus gives them, and what else may stand at the address of one."""

import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent.drift import history
from agent.drift.calibration import Identity
from agent.drift.history import HistoryError, Prometheus
from tests.real_parts.backfill import start_with_history
from tests.real_parts.programs import Programs

NAME = "drift:rank_shift_guarded:1h"
WHO = Identity("churn", "3", "abc", "age")
DAY = 86_400.0
STEP = 300.0
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a session of HTTP."""
    async with aiohttp.ClientSession() as opened:
        yield opened


async def failure(session: aiohttp.ClientSession, handler: Handler) -> str:
    """Return what is said of an address where this answers."""
    app = web.Application()
    app.router.add_post("/api/v1/query_range", handler)
    async with TestServer(app) as server:
        with pytest.raises(HistoryError) as raised:
            await Prometheus(session, str(server.make_url("/"))).scores(
                NAME, end=DAY, days=1, step=STEP
            )
        assert str(server.make_url("/")).rstrip("/") in str(raised.value)
    return str(raised.value)


def answering(text: str, status: int = 200, **headers: str) -> Handler:
    """Return what answers always the same."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, status=status, headers=headers)

    return answer


async def test_weeks_of_a_real_prometheus_are_read_whole(
    session: aiohttp.ClientSession,
    programs: Programs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each point is there once, in parts that Prometheus gives; values that are no numbers are left out."""
    monkeypatch.setattr(history, "MOST_POINTS", 1_000)
    end = math.floor(time.time() / STEP) * STEP
    times = [end - STEP * number for number in range(int(20 * DAY / STEP), -1, -1)]
    values = [math.sin(at / DAY) for at in times]
    values[100] = math.nan
    points = list(zip(times, values, strict=True))
    prometheus = start_with_history(programs, tmp_path, [(NAME, WHO._asdict(), points)])

    found = await Prometheus(session, prometheus.program.url + "/").scores(
        NAME, end=end, days=20, step=STEP
    )

    del points[100]
    assert list(found) == [WHO]
    assert [tuple(point) for point in found[WHO]] == points
    with pytest.raises(HistoryError, match=r"gives no history: .*parse error"):
        await Prometheus(session, prometheus.program.url).scores("sum(", end=end, days=1, step=STEP)


async def test_two_references_are_two_histories(
    session: aiohttp.ClientSession, programs: Programs, tmp_path: Path
) -> None:
    """A label that a series lacks is empty, and what differs in the reference alone is kept apart."""
    end = math.floor(time.time())
    point = [(end - 60, 0.1)]
    labels = {"model": "m", "feature": "f"}
    prometheus = start_with_history(
        programs, tmp_path, [(NAME, {**labels, "reference": r}, point) for r in ("a", "b")]
    )

    found = await Prometheus(session, prometheus.program.url).scores(
        NAME, end=end, days=1, step=60.0
    )

    assert set(found) == {Identity("m", "", r, "f") for r in ("a", "b")}


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (answering("<html>Sign in</html>"), "HTTP 200, and no JSON; is it a Prometheus?"),
        (answering("", 404), "HTTP 404, and no JSON; is it a Prometheus?"),
        (answering("no", 401), "HTTP 401; give a token with --bearer-token-file"),
        (answering("no", 403), "HTTP 403; give a token with --bearer-token-file"),
        (answering("", 302, Location="/login"), "HTTP 302, and no JSON"),
        (answering("[" * 100_000), "no JSON"),
        (answering('"success"'), "HTTP 200"),
        (answering('{"status": "error", "error": "too many samples"}', 422), "too many samples"),
        (answering('{"status": "success", "data": []}'), "but not as Prometheus does"),
        (answering('{"status": "success", "data": {"result": 7}}'), "but not as Prometheus does"),
    ],
    ids=["html", "404", "401", "403", "redirect", "deep", "text", "error", "list", "number"],
)
async def test_what_is_no_prometheus_is_named(
    session: aiohttp.ClientSession, handler: Handler, why: str
) -> None:
    """An address that answers otherwise is an error that says where, and what to do about it."""
    assert why in await failure(session, handler)


async def test_an_answer_without_end_is_cut_off(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer fills the memory."""
    monkeypatch.setattr(history, "_LONGEST_ANSWER", 1_000)

    assert "too long" in await failure(session, answering(" " * 2_000))


async def test_nobody_who_listens_is_named(session: aiohttp.ClientSession, free_port: int) -> None:
    """A connection that is refused is an error in words."""
    prometheus = Prometheus(session, f"http://127.0.0.1:{free_port}")

    with pytest.raises(HistoryError, match=f"127.0.0.1:{free_port} gives no history"):
        await prometheus.scores(NAME, end=DAY, days=1, step=STEP)


async def test_points_that_make_no_sense_are_left_out(session: aiohttp.ClientSession) -> None:
    """Of a series that is damaged, what can be read is read."""
    told = (
        '{"status": "success", "data": {"result": [7, {"metric": {"model": "m"}, "values": '
        '[[1, "0.5"], [2], ["x", "1"], [3, "NaN"], [4, "+Inf"], null, [5, "0.25"]]}]}}'
    )
    app = web.Application()
    app.router.add_post("/api/v1/query_range", answering(told))

    async with TestServer(app) as server:
        found = await Prometheus(session, str(server.make_url("/"))).scores(
            NAME, end=DAY, days=1, step=STEP
        )

    assert [tuple(point) for point in found[Identity("m", "", "", "")]] == [(1, 0.5), (5, 0.25)]
