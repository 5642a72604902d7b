"""What is no request leaves nothing of itself in the log; what goes wrong here does."""

import asyncio
import logging

import pytest
from aiohttp import web

from exporters.web import serve

SECRET = b'{"email": "ann@example.org"}'


async def fails(_: web.Request) -> web.Response:
    """Fail as only a mistake of ours would."""
    raise ZeroDivisionError("a mistake")


async def asked(*requests: bytes) -> list[bytes]:
    """Return what a server answers to each."""
    app = web.Application()
    app.add_routes([web.post("/", fails)])
    runner, port = await serve(app, "127.0.0.1", 0)
    answers = []
    try:
        for request in requests:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            answers.append(await reader.readline())
            writer.close()
            await writer.wait_closed()
    finally:
        await runner.cleanup()
    return answers


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
async def test_what_is_no_request_is_not_quoted(
    caplog: pytest.LogCaptureFixture, level: int
) -> None:
    """A body behind a wrong length, an unknown compression, a length that is none: 400, and no line."""
    caplog.set_level(level)

    answers = await asked(
        SECRET + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nX: %s\r\nContent-Length: 1e3\r\n\r\n" % SECRET,
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
    )

    assert all(b" 400 " in answer for answer in answers)
    assert "ann" not in caplog.text
    assert "Traceback" not in caplog.text
    said = [each for each in caplog.records if each.name == "exporters.requests"]
    assert [each.levelno for each in said] == ([logging.DEBUG] * 3 if level < logging.INFO else [])


async def test_a_mistake_of_ours_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """With where it is."""
    (answer,) = await asked(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")

    assert b" 500 " in answer
    assert "ZeroDivisionError" in caplog.text
