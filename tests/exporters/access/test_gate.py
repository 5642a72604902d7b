import asyncio
import logging
from base64 import b64encode

import aiohttp
import pytest

from agent.collectors.web import WebCollector
from tests.exporters.access.conftest import TOKEN, Files, Open, hashed

BEARER = {"Authorization": f"Bearer {TOKEN}"}
TOLD = ("/", "/metrics", "/metrics/dcgm", "/api/v1/status", "/stream", "/nothing-here")


def basic(name: str, password: str) -> dict[str, str]:
    """Return the header of a name and a password."""
    return {"Authorization": f"Basic {b64encode(f'{name}:{password}'.encode()).decode()}"}


async def status(
    client: aiohttp.ClientSession, url: str, headers: dict[str, str] | None = None
) -> int:
    """Return the status of a GET."""
    async with client.get(url, headers=headers) as answer:
        return answer.status


@pytest.mark.parametrize("path", TOLD)
async def test_nothing_is_told_without_credentials(
    opened: Open, client: aiohttp.ClientSession, files: Files, path: str
) -> None:
    """Every path but the probes wants credentials, one that is not there as well; the answer says how."""
    url, access = await opened(
        bearer_token_file=str(files.token), basic_auth_users_file=str(files.users)
    )

    async with client.get(f"{url}{path}") as answer:
        text = await answer.text()

    assert answer.status == 401
    assert text == "credentials are missing or wrong\n"
    assert answer.headers.getall("WWW-Authenticate") == [
        'Bearer realm="warpwatch"',
        'Basic realm="warpwatch", charset="UTF-8"',
    ]
    assert access.refused["credentials_missing"] == 1


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_probes_need_none(
    opened: Open, client: aiohttp.ClientSession, files: Files, path: str
) -> None:
    """A kubelet has neither a token nor a certificate, and is answered."""
    url, _ = await opened(
        **files.tls, client_ca_file=str(files.ca.cert), bearer_token_file=str(files.token)
    )

    async with client.get(f"{url}{path}", ssl=files.trusting()) as answer:
        assert answer.status == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        (BEARER, 200),
        ({"Authorization": f"bearer   {TOKEN}"}, 200),
        (basic("alice", "wonder"), 200),
        (basic("bob", "builder"), 200),
        (basic("alice", "builder"), 401),
        (basic("nobody", "wonder"), 401),
        (basic("", ""), 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": "Basic \udcff"}, 401),
        ({"Authorization": f"Digest {TOKEN}"}, 401),
        (basic("alice", "wonder" * 100), 401),
    ],
)
async def test_who_is_let_in(
    opened: Open,
    client: aiohttp.ClientSession,
    files: Files,
    headers: dict[str, str],
    expected: int,
) -> None:
    """One of the tokens lets in, or a user's own password, and nothing that only looks like one."""
    url, access = await opened(
        bearer_token_file=str(files.token), basic_auth_users_file=str(files.users)
    )

    assert await status(client, f"{url}/metrics", headers) == expected
    assert access.refused["credentials_wrong"] == (expected == 401)


async def test_one_way_in_does_not_open_the_other(
    opened: Open, client: aiohttp.ClientSession, files: Files
) -> None:
    """Where there are users alone, no token lets in, and the other way round."""
    users, _ = await opened(basic_auth_users_file=str(files.users))
    tokens, _ = await opened(bearer_token_file=str(files.token))

    assert await status(client, f"{users}/metrics", BEARER) == 401
    assert await status(client, f"{tokens}/metrics", basic("alice", "wonder")) == 401


async def test_secrets_stay_out_of_log_and_answer(
    opened: Open,
    client: aiohttp.ClientSession,
    files: Files,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Refusals are in the log once a minute by reason and address, without what was shown."""
    url, access = await opened(basic_auth_users_file=str(files.users))
    caplog.set_level(logging.DEBUG)

    for _ in range(3):
        async with client.get(f"{url}/metrics", headers=basic("alice", "guessed")) as answer:
            assert "guessed" not in await answer.text()

    assert access.refused["credentials_wrong"] == 3
    said = [record.getMessage() for record in caplog.records if "let in" in record.getMessage()]
    assert said == [
        "127.0.0.1 was not let in: credentials wrong; others within a minute are only counted"
    ]
    assert "guessed" not in caplog.text
    assert b64encode(b"alice:guessed").decode() not in caplog.text


async def test_guessing_is_slow(opened: Open, client: aiohttp.ClientSession, files: Files) -> None:
    """Who guesses gets a few tries; who is known already is let in all the while."""
    url, access = await opened(basic_auth_users_file=str(files.users), clock=lambda: 0.0)
    known = basic("alice", "wonder")
    assert await status(client, f"{url}/metrics", known) == 200

    tries = [await status(client, f"{url}/metrics", basic("alice", str(n))) for n in range(6)]

    assert tries == [401, 401, 401, 401, 429, 429]
    assert access.refused["too_many_attempts"] == 2
    assert await status(client, f"{url}/metrics", known) == 200
    assert await status(client, f"{url}/metrics", basic("alice", "0")) == 401


async def test_many_scrapers_begin_at_once(
    opened: Open, client: aiohttp.ClientSession, files: Files
) -> None:
    """Requests with one password wait for one judgement, and all are let in."""
    files.users.write_text(f"alice:{hashed('wonder', cost=8)}\n")
    url, _ = await opened(basic_auth_users_file=str(files.users))

    asked = [status(client, f"{url}/metrics", basic("alice", "wonder")) for _ in range(20)]

    assert set(await asyncio.gather(*asked)) == {200}


async def test_a_client_certificate_is_needed(
    opened: Open, client: aiohttp.ClientSession, files: Files
) -> None:
    """Who shows none is refused by an answer, who shows a stranger's is not even spoken to."""
    url, access = await opened(**files.tls, client_ca_file=str(files.ca.cert))

    async with client.get(f"{url}/metrics", ssl=files.trusting()) as answer:
        without = answer.status, await answer.text()
    async with client.get(f"{url}/metrics", ssl=files.trusting(files.client)) as answer:
        with_one = answer.status
    with pytest.raises(aiohttp.ClientError):
        await client.get(f"{url}/metrics", ssl=files.trusting(files.stranger))

    assert without == (403, "a client certificate is needed\n")
    assert with_one == 200
    assert access.refused["certificate_missing"] == 1
    assert access.refused["handshake_failed"] > 0  # the client tries again by itself


async def test_certificate_and_token_are_both_needed(
    opened: Open, client: aiohttp.ClientSession, files: Files
) -> None:
    """A certificate is no token, and a token no certificate."""
    url, _ = await opened(
        **files.tls, client_ca_file=str(files.ca.cert), bearer_token_file=str(files.token)
    )
    certified = files.trusting(files.client)

    async with client.get(f"{url}/metrics", ssl=certified) as answer:
        assert answer.status == 401
    async with client.get(f"{url}/metrics", ssl=files.trusting(), headers=BEARER) as answer:
        assert answer.status == 403
    async with client.get(f"{url}/metrics", ssl=certified, headers=BEARER) as answer:
        assert answer.status == 200


async def test_refusals_and_problems_are_metrics(
    opened: Open, client: aiohttp.ClientSession, files: Files
) -> None:
    """The collector counts each reason from 0, and tells of a file that went bad for as long as it is."""
    url, access = await opened(bearer_token_file=str(files.token))
    collector = WebCollector(access, clock=lambda: 1.0)
    before = await collector.collect()
    assert await status(client, f"{url}/metrics") == 401

    files.token.write_text("\n")
    first, second = await collector.collect(), await collector.collect()
    files.token.write_text("new\n")
    after = await collector.collect()

    assert {each.attributes[0]: each.value for each in before.readings} == {
        "credentials_missing": 0,
        "credentials_wrong": 0,
        "certificate_missing": 0,
        "too_many_attempts": 0,
        "handshake_failed": 0,
    }
    assert {each.value for each in first.readings} == {0, 1}
    assert before.problems == after.problems == ()
    assert [each.reason for each in first.problems] == ["unusable_secret"]
    assert first.problems == second.problems
    assert TOKEN not in first.problems[0].detail
