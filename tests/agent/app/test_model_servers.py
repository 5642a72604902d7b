"""How the configuration becomes what collects from model servers, and what searches for them."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path

import pytest

from agent.app import gpu_driver, make_collectors
from agent.catalogue.serving import SERIES_DROPPED, SERVER_UP
from agent.collectors.scrape import Connections
from agent.collectors.serving.budget import SeriesBudget
from agent.collectors.serving.collector import ServingCollector
from agent.config import Discovery, Server, load
from agent.model_servers import configured, search
from tests.agent.collectors.scrape.certificates import authority, server_context, signed
from tests.agent.collectors.scrape.raw_server import page, raw_server
from tests.agent.collectors.serving.pages import captured

BASE = load(None, {}, {})
PAGE = captured("vllm/vllm_0.33.0_dp1_t1.txt").encode()


async def test_every_key_of_access_arrives(tmp_path: Path) -> None:
    """Token, headers, CA, client certificate and server name reach the server that wants all of them."""
    ca = authority(tmp_path)
    server, client = signed(tmp_path, ca, "chat.models.svc"), signed(tmp_path, ca, "warpwatch")
    (tmp_path / "token").write_text("t0ken")
    (tmp_path / "headers").write_text("X-Key: k3y")
    heads: list[str] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        await page(PAGE)(writer, heads[-1])
        await writer.drain()
        writer.close()

    context = server_context(server, ca.cert)
    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context) as listening:
        port = listening.sockets[0].getsockname()[1]
        wanted = Server(
            url=f"https://127.0.0.1:{port}",
            name="chat",
            bearer_token_file=str(tmp_path / "token"),
            headers_file=str(tmp_path / "headers"),
            ca_file=str(ca.cert),
            cert_file=str(client.cert),
            key_file=str(client.key),
            server_name="chat.models.svc",
        )
        (collector,) = configured(replace(BASE, servers=(wanted,)), Connections(), SeriesBudget())
        batch = await collector.collect()
        await collector.close()

    assert batch.problems == ()
    assert [each.value for each in batch.readings if each.metric is SERVER_UP] == [1]
    assert "Authorization: Bearer t0ken\r\n" in heads[0]
    assert "X-Key: k3y\r\n" in heads[0]


async def test_a_secret_is_in_no_log_and_no_batch(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong, neither the secret nor its encoded form is told."""
    (tmp_path / "password").write_text("hunter2")
    caplog.set_level(logging.DEBUG)

    async with raw_server(page(b"", status="403 Forbidden")) as url:
        wanted = Server(url=url, username="me", password_file=str(tmp_path / "password"))
        (collector,) = configured(replace(BASE, servers=(wanted,)), Connections(), SeriesBudget())
        batch = await collector.collect()
        await collector.close()

    told = f"{batch!r} {caplog.text} {collector.name} {wanted!r}"
    assert [problem.reason for problem in batch.problems] == ["unauthorized"]
    assert "hunter2" not in told
    assert "bWU6aHVudGVyMg" not in told


def searching(discovery: Discovery | None, **environment: str) -> list[str] | None:
    """Return the names of the sources that are searched, with the words of their problems."""
    config = replace(BASE, discovery=discovery)
    found = search(config, environment, "node-1", set, Connections(), SeriesBudget())
    if found is None:
        return None
    return [
        f"{source.name}: {[problem.reason for problem in source.problems]}"
        for source in found._sources
    ]


def test_nothing_is_searched_unless_asked_for() -> None:
    """No section, or nothing turned on in it, or auto outside of Kubernetes: nothing."""
    assert searching(None) is None
    assert searching(Discovery(kubernetes="false")) is None
    assert searching(Discovery(kubernetes="auto")) is None


def test_what_is_asked_for_is_searched() -> None:
    """Pods by the API server's URL, sockets beside it; what is missing is a problem of its own."""
    both = Discovery(kubernetes="true", api_server="http://127.0.0.1:1", sockets=True)

    assert searching(both) == ["kubernetes: []", "sockets: []"]
    assert searching(Discovery(kubernetes="true")) == ["kubernetes: ['not_in_cluster']"]


async def test_the_budget_of_series_is_configured() -> None:
    """Two servers share what is configured for sixteen; who is cut is told which key to raise."""
    lines = (
        f'vllm:request_success_total{{model_name="m",finished_reason="{number}"}} 1\n'
        for number in range(200)
    )
    config = load(None, {"WARPWATCH_SERVER_SERIES": "100"}, {})

    async with raw_server(page(PAGE)) as small, raw_server(page("".join(lines).encode())) as bomb:
        servers = (Server(url=small, name="small"), Server(url=bomb, name="bomb"))
        asked = replace(config, servers=servers, simulate="1xL4")
        ours = [
            each
            for each in make_collectors(asked, gpu_driver(asked))
            if isinstance(each, ServingCollector)
        ]
        for _ in range(2):
            whole, cut = [await each.collect() for each in ours]
        for each in ours:
            await each.close()

    assert whole.problems == ()
    assert len(whole.readings) + len(cut.readings) <= 100
    assert [each.value for each in cut.readings if each.metric is SERIES_DROPPED] == [200]
    (problem,) = cut.problems
    assert problem.reason == "too_many_series"
    assert "100 per 16" in problem.detail
    assert "server_series" in problem.detail
