"""Where counts come from may be anything that answers: whatever it says ends in words."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from agent.catalogue.drift import FEATURE_OBSERVATIONS
from agent.drift.report_bins import UnusableSeriesError
from agent.drift.report_source import of_page, of_prometheus

Handler = Callable[[web.Request], Awaitable[web.Response]]


def answering(text: str, status: int = 200) -> Handler:
    """Return a handler that always says the same."""

    async def handler(_: web.Request) -> web.Response:
        return web.Response(body=text.encode("utf-8", "surrogateescape"), status=status)

    return handler


def result(*series: object) -> str:
    """Return an answer of Prometheus."""
    return json.dumps({"status": "success", "data": {"result": series}})


async def of(handler: Handler) -> object:
    """Ask a Prometheus that is none."""
    app = web.Application()
    app.router.add_post("/api/v1/query", handler)
    async with TestServer(app) as server:
        return await of_prometheus(str(server.make_url("/")), "1d", "", {})


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (answering("<html>"), "no JSON; is it a Prometheus?"),
        (answering("\udcff"), "no JSON; is it a Prometheus?"),
        (answering("[" * 100_000), "no JSON; is it a Prometheus?"),
        (answering("null"), "HTTP 200; is it a Prometheus?"),
        (answering('{"status": "success"}'), "not as Prometheus does"),
        (answering('{"status": "success", "data": []}'), "not as Prometheus does"),
        (answering('{"status": "error", "error": "bad duration"}', 400), "bad duration"),
        (answering("no", 401), "give a token with --bearer-token-file"),
    ],
    ids=["html", "bytes", "deep", "null", "nothing", "list", "refusal", "token"],
)
async def test_what_is_no_prometheus_is_named(handler: Handler, why: str) -> None:
    """One sentence that says where, and what to do about it."""
    with pytest.raises(UnusableSeriesError, match=r"http://127\.0\.0\.1:\d+ .*" + why):
        await of(handler)


async def test_samples_that_make_no_sense_are_left_out() -> None:
    """Labels that are none, values that are none, and numbers that no count is."""
    good = {"metric": {"feature": "age"}, "value": [1, "5"]}
    odd = [
        *(
            {"metric": {}, "value": value}
            for value in (None, [1], [1, None], [1, "NaN"], [1, "+Inf"])
        ),
        {"metric": None, "value": [1, "5"]},
        {"value": [1, "5"]},
        7,
    ]

    found = await of(answering(result(*odd, good)))

    assert isinstance(found, list)
    assert {(tuple(each.labels.items()), each.value) for each in found} == {
        ((("feature", "age"),), 5.0)
    }


async def test_a_page_is_read_but_for_what_is_no_count(tmp_path: Path) -> None:
    """NaN and infinity in a page are no counts; what is no page is named, and not repeated at length."""
    name, page = FEATURE_OBSERVATIONS.family, tmp_path / "metrics.txt"
    page.write_text(f'{name}{{bin="a"}} 3\n{name}{{bin="b"}} NaN\n{name}{{bin="c"}} +Inf\n')

    assert [sample.value for sample in await of_page(str(page), {})] == [3.0]

    page.write_text("[" * 100_000)
    with pytest.raises(UnusableSeriesError, match=r"metrics.txt: no metrics page") as error:
        await of_page(str(page), {})
    assert len(str(error.value)) < 500
