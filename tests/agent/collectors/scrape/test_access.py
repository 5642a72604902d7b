import asyncio
import os
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import ResolveResult

from agent.collectors.scrape import Access, Connections, ScrapeError, Scraper, endpoint
from agent.collectors.scrape.resolver import Resolver
from tests.agent.collectors.scrape.certificates import (
    NAME,
    Pair,
    authority,
    server_context,
    signed,
)
from tests.agent.collectors.scrape.raw_server import page, raw_server

PAGE = b"up 1\n"
ELSEWHERE = "file"
"""A path."""


def write(path: Path, content: str | bytes) -> str:
    """Put a secret into a file by renaming, as Kubernetes does, and return its path."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content if isinstance(content, bytes) else content.encode())
    os.replace(fresh, path)  # noqa: PTH105 - atomic is the point
    return str(path)


async def fetched(url: str, access: Access) -> bytes:
    """Scrape once."""
    scraper = Scraper(endpoint(url), timeout=5, access=access)
    try:
        return (await scraper.fetch()).data
    finally:
        await scraper.close()


async def refusal(url: str, access: Access) -> ScrapeError:
    """Return why it cannot be scraped."""
    with pytest.raises(ScrapeError) as caught:
        await fetched(url, access)
    return caught.value


async def test_a_rotated_token_is_used_with_the_next_scrape(tmp_path: Path) -> None:
    """The file is read again when it was replaced; blanks around the token do not matter."""
    heads = []

    async def answer(writer: asyncio.StreamWriter, head: str) -> None:
        heads.append(head)
        await page(PAGE)(writer, head)

    token = tmp_path / "token"
    async with raw_server(answer) as url:
        scraper = Scraper(
            endpoint(url), timeout=5, access=Access(bearer_token_file=write(token, "one\n"))
        )
        await scraper.fetch()
        write(token, "two")
        await scraper.fetch()
        await scraper.close()

    assert "Authorization: Bearer one\r\n" in heads[0]
    assert "Authorization: Bearer two\r\n" in heads[1]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot be read"),
        ("", "is empty"),
        (" \n", "is empty"),
        ("s3cret\nX-Other: s3cret", "more than one line"),
        ("s3cr\u00e9t", "printable ASCII"),
        (b"s3cret" * 20_000, "is larger than"),
    ],
)
async def test_a_file_without_a_usable_secret_is_named(
    content: str | bytes | None, complaint: str, tmp_path: Path
) -> None:
    """What is said holds the key and the path, never the content; nothing is sent without it."""
    path = str(tmp_path / "token") if content is None else write(tmp_path / "token", content)

    error = await refusal("http://127.0.0.1:9", Access(bearer_token_file=path))

    assert error.reason == "unusable_secret"
    assert f"bearer_token_file {path}" in error.detail
    assert complaint in error.detail
    assert "s3cr" not in error.detail


@pytest.mark.parametrize(
    ("access", "key"),
    [
        (Access(), "set bearer_token_file"),
        (Access(bearer_token_file=ELSEWHERE), "(bearer_token_file)"),
        (Access(username="me", password_file=ELSEWHERE), "username 'me'"),
    ],
)
async def test_a_refusal_names_the_server_and_the_key(
    access: Access, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """401 says which key of the configuration to set, or whose file to look at."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / ELSEWHERE, "s3cret")

    async with raw_server(page(b"", status="401 Unauthorized")) as url:
        error = await refusal(url, access)

    assert error.reason == "unauthorized"
    assert url in error.detail
    assert key in error.detail
    assert "s3cret" not in error.detail


async def test_credentials_do_not_follow_a_redirect_elsewhere(tmp_path: Path) -> None:
    """The other host is not even connected to, though it is the same machine."""
    asked = []

    async def elsewhere(writer: asyncio.StreamWriter, head: str) -> None:
        asked.append(head)
        await page(PAGE)(writer, head)

    access = Access(bearer_token_file=write(tmp_path / "token", "s3cret"))
    async with raw_server(elsewhere) as other:
        moved = page(b"", f"Location: {other}/metrics", status="302 Found")
        async with raw_server(moved) as url:
            error = await refusal(url, access)

    assert error.reason == "redirect"
    assert other in error.detail
    assert asked == []


@asynccontextmanager
async def tls_server(server: Pair, clients: Path | None = None) -> AsyncIterator[str]:
    """Serve a page over TLS; with ``clients``, only to who has a certificate of that authority."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=PAGE)

    app = web.Application()
    app.router.add_get("/metrics", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server_context(server, clients))
        await site.start()
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_own_authority_name_and_client_certificate(tmp_path: Path) -> None:
    """With CA, name and client certificate the page comes; without any one of them it does not."""
    ca = authority(tmp_path)
    server, client = signed(tmp_path, ca, NAME), signed(tmp_path, ca, "warpwatch")
    whole = {
        "ca_file": str(ca.cert),
        "server_name": NAME,
        "cert_file": str(client.cert),
        "key_file": str(client.key),
    }

    async with tls_server(server, ca.cert) as url:
        assert await fetched(url, Access(**whole)) == PAGE  # type: ignore[arg-type]
        unknown = await refusal(url, Access(**{**whole, "ca_file": ""}))  # type: ignore[arg-type]
        other = await refusal(url, Access(**{**whole, "server_name": ""}))  # type: ignore[arg-type]
        nobody = Access(ca_file=whole["ca_file"], server_name=NAME)
        unnamed = await refusal(url, nobody)

    assert (unknown.reason, other.reason) == ("tls_failure", "tls_failure")
    assert "set ca_file, or server_name" in unknown.detail
    assert "mismatch" in other.detail.lower()
    assert unnamed.reason in {"tls_failure", "connection_reset", "connection_failed"}


async def test_an_unverified_server_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """insecure_skip_verify works, and says loudly what it costs."""
    server = signed(tmp_path, authority(tmp_path), "whoever")

    async with tls_server(server) as url:
        scraper = Scraper(endpoint(url), timeout=5, access=Access(insecure_skip_verify=True))
        await scraper.fetch()
        await scraper.fetch()
        await scraper.close()

    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert "NOT verified" in record.getMessage()
    assert url in record.getMessage()


async def test_a_renewed_authority_is_taken_without_a_restart(tmp_path: Path) -> None:
    """The CA file is read again when it was replaced."""
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old, new = authority(tmp_path / "old"), authority(tmp_path / "new")
    file = tmp_path / "ca.pem"
    write(file, old.cert.read_bytes())
    scraper_access = Access(ca_file=str(file))
    server = signed(tmp_path / "new", new, "whoever", "IP:127.0.0.1")

    async with tls_server(server) as url:
        scraper = Scraper(endpoint(url), timeout=5, access=scraper_access)
        with pytest.raises(ScrapeError, match="not trusted"):
            await scraper.fetch()
        write(file, new.cert.read_bytes())
        body = await scraper.fetch()
        await scraper.close()

    assert body.data == PAGE


@pytest.mark.parametrize("key", ["ca_file", "cert_file"])
async def test_a_file_that_is_no_certificate_is_named(key: str, tmp_path: Path) -> None:
    """A broken PEM file is a problem of its own, with its key and path."""
    path = write(tmp_path / "file.pem", "nothing")

    error = await refusal("https://127.0.0.1:9", Access(**{key: path}))  # type: ignore[arg-type]

    assert error.reason == "bad_certificate"
    assert f"{key} {path}" in error.detail


async def test_names_that_hang_delay_nobody() -> None:
    """However many names hang, other names resolve, the executor is free, and threads do not pile up."""
    release = threading.Event()

    def look_up(host: str, port: int, family: int) -> list[ResolveResult]:
        if host.startswith("dead"):
            release.wait(30)
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return [
            ResolveResult(
                hostname=host, host="127.0.0.1", port=port, family=socket.AF_INET, proto=family * 0,
                flags=0,
            )
        ]  # fmt: skip

    connections = Connections(lambda: Resolver(look_up))
    async with raw_server(page(PAGE)) as url:
        port = url.rpartition(":")[2]
        dead = [
            Scraper(endpoint(f"http://dead-{n}:1"), timeout=0.2, connections=connections)
            for n in range(40)
        ]
        alive = Scraper(endpoint(f"http://alive:{port}"), timeout=5, connections=connections)
        hung = [asyncio.create_task(each.fetch()) for each in dead]
        await asyncio.sleep(0)
        body = await alive.fetch()
        ran = await asyncio.wait_for(asyncio.to_thread(lambda: 1), 5)
        first = await asyncio.gather(*hung, return_exceptions=True)
        again = await asyncio.gather(*(each.fetch() for each in dead), return_exceptions=True)
        threads = sum(each.name.startswith("resolve dead") for each in threading.enumerate())
        for each in (*dead, alive):
            await each.close()
    release.set()

    assert (body.data, ran) == (PAGE, 1)
    assert {getattr(each, "reason", each) for each in (*first, *again)} == {"timeout"}
    assert threads == 40
