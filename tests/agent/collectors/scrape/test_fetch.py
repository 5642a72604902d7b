import asyncio
import gzip
import socket
import tracemalloc
import zlib
from base64 import b64encode
from pathlib import Path

import pytest
from aiohttp.abc import ResolveResult

from agent.collectors.scrape import (
    MAX_BODY,
    Access,
    Body,
    Connections,
    ScrapeError,
    Scraper,
    endpoint,
)
from agent.collectors.scrape.resolver import Resolver
from tests.agent.collectors.scrape.raw_server import Answer, flood, in_turn, page, raw_server

PAGE = b"# TYPE up gauge\nup 1\n"


async def scrape(answer: Answer, *, within: float = 5, limit: int = MAX_BODY) -> Body:
    """Scrape a server that answers so, once."""
    async with raw_server(answer) as url:
        scraper = Scraper(endpoint(url), timeout=within, limit=limit)
        try:
            return await scraper.fetch()
        finally:
            await scraper.close()


async def failure(answer: Answer, *, within: float = 5, limit: int = MAX_BODY) -> ScrapeError:
    """Return why a server that answers so cannot be scraped."""
    with pytest.raises(ScrapeError) as caught:
        await scrape(answer, within=within, limit=limit)
    assert "http://127.0.0.1:" in caught.value.detail
    return caught.value


async def silence(writer: asyncio.StreamWriter, _: str) -> None:
    """Send headers, then nothing."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nup")
    await writer.drain()
    await asyncio.sleep(60)


async def test_a_page_is_fetched_whole() -> None:
    """The body comes back as sent, and counts as complete where HTTP says how long it is."""
    assert await scrape(page(PAGE)) == Body(PAGE, complete=True)
    assert await scrape(page(PAGE, length=False)) == Body(PAGE, complete=False)
    chunked = b"15\r\n" + PAGE + b"\r\n0\r\n\r\n"
    assert await scrape(page(chunked, "Transfer-Encoding: chunked", length=False)) == Body(
        PAGE, complete=True
    )


async def test_gzip_is_unpacked() -> None:
    """One member or several, with or without a length."""
    packed = gzip.compress(PAGE) + gzip.compress(PAGE)

    body = await scrape(page(packed, "Content-Encoding: gzip", length=False))

    assert body == Body(PAGE + PAGE, complete=True)


async def test_it_asks_for_classic_text() -> None:
    """No server is invited to answer in OpenMetrics, protobuf or an encoding that is not read."""
    heads = []

    async def answer(writer: asyncio.StreamWriter, head: str) -> None:
        heads.append(head)
        await page(PAGE)(writer, head)

    await scrape(answer)

    assert "GET /metrics HTTP/1.1" in heads[0]
    assert "Accept: text/plain;version=0.0.4\r\n" in heads[0]
    assert "Accept-Encoding: gzip\r\n" in heads[0]


async def test_nothing_listens() -> None:
    """A refused connection asks whether the server runs, on this port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        scraper = Scraper(endpoint(f"http://127.0.0.1:{unused.getsockname()[1]}"), timeout=5)

        with pytest.raises(ScrapeError, match="is the server running") as caught:
            await scraper.fetch()

    await scraper.close()
    assert caught.value.reason == "connection_refused"


def no_such_name(host: str, port: int, family: int) -> list[ResolveResult]:
    """Fail as the system's resolver does."""
    raise socket.gaierror(socket.EAI_NONAME, f"{host}:{port} {family}")


async def test_a_name_that_does_not_resolve() -> None:
    """A host without an address is told from one that does not answer."""
    connections = Connections(lambda: Resolver(no_such_name))
    scraper = Scraper(endpoint("http://vllm.prod:8000"), timeout=5, connections=connections)

    with pytest.raises(ScrapeError) as caught:
        await scraper.fetch()

    await scraper.close()
    assert caught.value.reason == "dns_failure"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (page(b"no", status="404 Not Found"), "http_status"),
        (page(b"no", status="401 Unauthorized"), "unauthorized"),
        (page(b"no", status="403 Forbidden"), "unauthorized"),
        (page(b"no", status="500 Internal Server Error"), "http_status"),
        (page(b"no", status="429 Too Many Requests"), "http_status"),
        (page(PAGE[:9], "Content-Length: 21", length=False), "truncated"),
        (page(b"15\r\nup", "Transfer-Encoding: chunked", length=False), "truncated"),
        (page(gzip.compress(PAGE)[:-9], "Content-Encoding: gzip"), "truncated"),
        (page(PAGE, "Content-Encoding: gzip"), "bad_encoding"),
        (page(zlib.compress(PAGE), "Content-Encoding: deflate"), "bad_encoding"),
        (page(PAGE, "Content-Encoding: br"), "bad_encoding"),
    ],
)
async def test_what_is_no_page_has_a_word_for_it(answer: Answer, reason: str) -> None:
    """Statuses, broken bodies and unasked encodings are told apart."""
    assert (await failure(answer)).reason == reason


async def test_a_server_that_does_not_speak_http() -> None:
    """Whatever else it speaks, that is said."""

    async def answer(writer: asyncio.StreamWriter, _: str) -> None:
        writer.write(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")

    assert (await failure(answer)).reason == "not_http"


async def test_a_server_without_tls() -> None:
    """An https URL of a server that speaks plain HTTP says so."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        scraper = Scraper(endpoint(f"https://127.0.0.1:{port}"), timeout=5)

        with pytest.raises(ScrapeError, match="check its certificate, or use http") as caught:
            await scraper.fetch()

        await scraper.close()
    assert caught.value.reason == "tls_failure"


async def test_a_server_that_hangs_up() -> None:
    """A connection closed without an answer is not a timeout."""

    async def answer(_: asyncio.StreamWriter, __: str) -> None:
        return

    assert (await failure(answer)).reason == "connection_reset"


async def test_a_server_that_hangs_after_its_headers() -> None:
    """The timeout is for the whole answer, not for its beginning."""
    assert (await failure(silence, within=0.2)).reason == "timeout"


@pytest.mark.parametrize(
    "answer",
    [
        flood(b"up 1\n" * 20_000),
        flood(b"x" * 100_000, "Content-Length: 104857600"),
        page(gzip.compress(bytes(2**25)), "Content-Encoding: gzip"),
        flood(gzip.compress(b""), "Content-Encoding: gzip"),
    ],
    ids=["endless", "100 MB", "gzip bomb", "endless empty gzip"],
)
async def test_too_much_ends_at_the_limit(answer: Answer) -> None:
    """However large the page would be, memory stays near the limit."""
    limit = 2**20
    tracemalloc.start()

    reason = (await failure(answer, limit=limit, within=30)).reason

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert reason == "too_large"
    assert peak < 8 * limit


async def test_a_redirect_to_another_host_is_not_followed() -> None:
    """It is a problem that names where it leads, without what secrets that holds."""
    where = "Location: http://elsewhere.example:9/login?token=secret"

    error = await failure(page(b"", where, status="302 Found"))

    assert error.reason == "redirect"
    assert "http://elsewhere.example:9/login" in error.detail
    assert "secret" not in error.detail


@pytest.mark.parametrize("location", ["Location: https://127.0.0.1/", "Location: ftp://x", "X: y"])
async def test_a_redirect_to_nowhere_in_particular(location: str) -> None:
    """Another scheme or port is another host, and no location is none."""
    assert (await failure(page(b"", location, status="307 Moved"))).reason == "redirect"


async def test_a_redirect_within_the_host_is_followed(tmp_path: Path) -> None:
    """Frameworks that want a slash at the end get it, and the credentials with it."""
    heads = []
    password = tmp_path / "password"
    password.write_text("secret\n")

    async def answer(writer: asyncio.StreamWriter, head: str) -> None:
        heads.append(head)
        moved = page(b"", "Location: /metrics/", status="307 Temporary Redirect")
        await (page(PAGE) if "GET /metrics/ " in head else moved)(writer, head)

    async with raw_server(answer) as url:
        access = Access(username="me", password_file=str(password))
        scraper = Scraper(endpoint(url), timeout=5, access=access)
        body = await scraper.fetch()
        await scraper.close()

    assert body.data == PAGE
    assert len(heads) == 2
    assert all(f"Basic {b64encode(b'me:secret').decode()}" in head for head in heads)


async def test_a_circle_of_redirects_ends() -> None:
    """After a few hops it is a problem."""
    circle = page(b"", "Location: /metrics", status="301 Moved Permanently")

    assert (await failure(circle)).reason == "redirect"


async def test_one_scrape_at_a_time() -> None:
    """However often it is asked, a server sees one request of ours at once."""
    running, most = 0, 0

    async def answer(writer: asyncio.StreamWriter, head: str) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1
        await page(PAGE)(writer, head)

    async with raw_server(answer) as url:
        scraper = Scraper(endpoint(url), timeout=5)
        await asyncio.gather(*(scraper.fetch() for _ in range(4)))
        await scraper.close()

    assert most == 1


async def test_connections_stay_open_until_the_last_one_leaves() -> None:
    """Scrapers that share connections share one session, which the last of them closes."""
    shared = Connections()
    async with raw_server(in_turn(page(PAGE))) as url:
        first, second = (Scraper(endpoint(url), timeout=5, connections=shared) for _ in range(2))
        await first.fetch()
        await second.fetch()
        session = shared.session()

        await first.close()
        await first.close()
        assert not session.closed
        await second.close()

    assert session.closed
