import asyncio
import gzip
from pathlib import Path

import pytest

from agent.catalogue import probe
from agent.collectors.probe import Plan
from agent.collectors.scrape import Access
from tests.agent.collectors.probe.asking import failure, probed, value
from tests.agent.collectors.scrape.raw_server import Answer, flood, page, raw_server
from tests.real_parts.programs import free_port

BOMB = gzip.compress(b"data: x\n\n" * 10**6)


async def _hang(_: asyncio.StreamWriter, __: str) -> None:
    await asyncio.sleep(60)


async def _drip(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
    while True:
        writer.write(b": still here\n\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _nothing(_: asyncio.StreamWriter, __: str) -> None:
    """Close without an answer."""


ANSWERS: dict[str, tuple[Answer, str]] = {
    "html": (page(b"<!doctype html><html>\n</html>\n"), "malformed"),
    "html_in_one_line": (page(b"<html></html>"), "malformed"),
    "json": (page(b'{"choices": []}'), "malformed"),
    "no_body": (page(b""), "malformed"),
    "cut_chunks": (page(b"5\r\nda", "Transfer-Encoding: chunked", length=False), "truncated"),
    "cut_length": (page(b"data: ", "Content-Length: 999", length=False), "truncated"),
    "not_http": (lambda w, _: _write(w, b"SSH-2.0-x\r\n"), "malformed"),
    "redirect": (page(b"", "Location: http://203.0.113.7/", status="307 T"), "redirect"),
    "redirect_to_itself": (page(b"", "Location: /v1", status="302 Found"), "redirect"),
    "unauthorized": (page(b"", status="401 Unauthorized"), "unauthorized"),
    "busy": (page(b"", status="503 Service Unavailable"), "refused"),
    "accepted": (page(b"", status="202 Accepted"), "refused"),
    "gzip": (page(BOMB, "Content-Encoding: gzip"), "malformed"),
    "flood_of_events": (flood(b'data: {"choices": []}\n\n' * 100), "too_large"),
    "flood_without_a_line": (flood(b"x" * 10_000), "too_large"),
    "flood_of_comments": (flood(b": \n" * 10_000), "too_large"),
    "hang": (_hang, "timeout"),
    "drip": (_drip, "timeout"),
    "closed": (_nothing, "unreachable"),
}


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data)


@pytest.mark.parametrize("name", ANSWERS)
async def test_a_bad_answer_is_a_named_failure(name: str) -> None:
    """Whatever a server answers in place of a stream is one failure with a name."""
    answer, reason = ANSWERS[name]
    patience = 0.5 if reason == "timeout" else 30.0

    async with raw_server(answer) as url:
        batch = await probed(Plan(kind="openai", url=url, model="m", timeout=patience))

    assert failure(batch) == reason
    assert value(batch, probe.FAILURES, reason) == 1
    assert value(batch, probe.SUCCESS) == 0
    assert [event.kind.name for event in batch.events] == ["inference.probe.failed"]


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"outputs": ', b"\xff\xfe", b"[" * 100_000])
async def test_a_bad_inference_is_a_named_failure(body: bytes) -> None:
    """What is not an object in JSON is no answer to an inference."""
    async with raw_server(page(body)) as url:
        batch = await probed(Plan(kind="triton", url=url, model="m", body={}, timeout=30.0))

    assert failure(batch) == "malformed"


async def test_nobody_listens() -> None:
    """A refused connection is a failure, with a sentence that says so."""
    url = f"http://127.0.0.1:{free_port()}"

    batch = await probed(Plan(kind="openai", url=url, model="m"))

    assert failure(batch) == "unreachable"
    assert "nothing listens" in batch.problems[0].detail


async def test_the_scrapes_credentials_are_the_probes(tmp_path: Path) -> None:
    """The token that lets the agent scrape is sent with the probe, and to nobody else."""
    heads: list[str] = []
    token = tmp_path / "token"
    token.write_text("s3cret\n", encoding="utf-8")

    async def note(writer: asyncio.StreamWriter, head: str) -> None:
        heads.append(head)
        await page(b"", status="403 Forbidden")(writer, head)

    async with raw_server(note) as url:
        access = Access(bearer_token_file=str(token))
        batch = await probed(Plan(kind="openai", url=url, model="m", access=access))

    assert "Authorization: Bearer s3cret" in heads[0]
    assert failure(batch) == "unauthorized"
    assert "s3cret" not in repr(batch)


async def test_a_missing_secret_is_a_named_failure(tmp_path: Path) -> None:
    """A token that cannot be read fails the probe before anything is sent."""
    access = Access(bearer_token_file=str(tmp_path / "gone"))

    batch = await probed(Plan(kind="openai", url="http://127.0.0.1:1", model="m", access=access))

    assert failure(batch) == "unauthorized"
    assert "gone" in batch.problems[0].detail
