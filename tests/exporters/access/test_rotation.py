import asyncio
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from exporters.access import UnusableAccessError, open_access
from tests.agent.collectors.scrape.certificates import Pair, authority, signed
from tests.exporters.access.conftest import TOKEN, Files, Open, hashed
from tests.exporters.access.test_gate import BEARER, basic, status
from tests.real_parts.command import run


async def shown(url: str, context: ssl.SSLContext) -> str:
    """Return the name in the certificate that a new connection is shown."""
    port = urlsplit(url).port
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    name = str(writer.get_extra_info("peercert")["subject"][0][0][1])
    writer.close()
    return name


def replace(pair: Pair, by: Pair) -> None:
    """Put another certificate and key in the place of these."""
    pair.cert.write_bytes(by.cert.read_bytes())
    pair.key.write_bytes(by.key.read_bytes())


async def test_a_new_certificate_is_shown_without_a_restart(
    opened: Open, client: aiohttp.ClientSession, files: Files, tmp_path: Path
) -> None:
    """New connections see the new certificate, also where both files are reached by a link that moved."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    old, new = (
        signed(tmp_path / name, files.ca, f"node-{name}", "IP:127.0.0.1") for name in ("old", "new")
    )
    replace(Pair(tmp_path / "old/tls.crt", tmp_path / "old/tls.key"), old)
    replace(Pair(tmp_path / "new/tls.crt", tmp_path / "new/tls.key"), new)
    link = tmp_path / "..data"
    link.symlink_to("old")
    url, access = await opened(cert_file=str(link / "tls.crt"), key_file=str(link / "tls.key"))
    before = await shown(url, files.trusting())
    async with client.get(f"{url}/stream", ssl=files.trusting()) as stream:
        link.unlink()
        link.symlink_to("new")

        problems = access.refresh()

        assert (before, problems) == ("node-old", ())
        assert await shown(url, files.trusting()) == "node-new"
        assert (await stream.content.readline()).startswith(b"event")  # what is open goes on


async def test_half_a_new_certificate_changes_nothing(
    opened: Open, files: Files, tmp_path: Path
) -> None:
    """Between the writing of certificate and key the old pair is shown, and it is a problem."""
    new = signed(tmp_path, files.ca, "node-new", "IP:127.0.0.1")
    url, access = await opened(**files.tls)

    files.server.cert.write_bytes(new.cert.read_bytes())
    halfway = access.refresh(), await shown(url, files.trusting())
    files.server.key.write_bytes(new.key.read_bytes())
    done = access.refresh(), await shown(url, files.trusting())

    ((problem,), name) = halfway
    assert (problem.reason, name) == ("bad_certificate", "node-a")
    assert "the key is not the certificate's" in problem.detail
    assert done == ((), "node-new")


async def test_a_certificate_that_vanished_stays_in_use(opened: Open, files: Files) -> None:
    """Files that are gone are a problem at each look, until they are back."""
    url, access = await opened(**files.tls)
    content = files.server.key.read_bytes()

    files.server.key.unlink()
    problems = [access.refresh(), access.refresh()]
    name = await shown(url, files.trusting())
    files.server.key.write_bytes(content)

    assert [each.reason for found in problems for each in found] == ["bad_certificate"] * 2
    assert "cannot be read" in problems[0][0].detail
    assert name == "node-a"
    assert access.refresh() == ()


async def test_other_authorities_let_other_clients_in(
    opened: Open, client: aiohttp.ClientSession, files: Files, tmp_path: Path
) -> None:
    """When the authority of clients is replaced, certificates of the old one are nothing any more."""
    authorities = tmp_path / "clients.pem"
    authorities.write_bytes(files.ca.cert.read_bytes())
    other = authority(tmp_path)
    of_other = signed(tmp_path, other, "prometheus-2")
    url, access = await opened(**files.tls, client_ca_file=str(authorities))

    authorities.write_bytes(other.cert.read_bytes())
    access.refresh()

    async with client.get(f"{url}/metrics", ssl=files.trusting(of_other)) as answer:
        assert answer.status == 200
    with pytest.raises(aiohttp.ClientError):
        await client.get(f"{url}/metrics", ssl=files.trusting(files.client))


async def test_tokens_overlap_while_they_are_replaced(
    opened: Open, client: aiohttp.ClientSession, files: Files
) -> None:
    """With two lines both tokens let in; the old one is nothing once its line is gone."""
    url, access = await opened(bearer_token_file=str(files.token))
    new = {"Authorization": "Bearer new-token"}

    files.token.write_text(f"new-token\n{TOKEN}\n")
    access.refresh()
    both = [await status(client, f"{url}/metrics", each) for each in (BEARER, new)]
    files.token.write_text("new-token\n")
    access.refresh()
    one = [await status(client, f"{url}/metrics", each) for each in (BEARER, new)]

    assert both == [200, 200]
    assert one == [401, 200]


async def test_a_removed_user_is_forgotten(
    opened: Open, client: aiohttp.ClientSession, files: Files
) -> None:
    """What bcrypt said once holds only as long as the file of users."""
    url, access = await opened(basic_auth_users_file=str(files.users))
    alice, bob = basic("alice", "wonder"), basic("bob", "builder")
    before = [await status(client, f"{url}/metrics", each) for each in (alice, bob)]

    files.users.write_text(f"bob:{hashed('builder')}\n")
    access.refresh()

    assert before == [200, 200]
    assert [await status(client, f"{url}/metrics", each) for each in (alice, bob)] == [401, 200]


def test_all_that_is_wrong_is_told_at_once(files: Files, tmp_path: Path) -> None:
    """Each file is named with its key and what to do, on a line of its own."""
    empty = tmp_path / "empty"
    empty.touch()
    files.users.write_text("alice:wonder\n")

    with pytest.raises(UnusableAccessError) as caught:
        open_access(
            cert_file=str(tmp_path / "nowhere.crt"),
            key_file=str(tmp_path / "nowhere.key"),
            bearer_token_file=str(empty),
            basic_auth_users_file=str(files.users),
        )

    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == [
        "web.cert_file",
        "web.key_file",
        "web.bearer_token_file",
        "web.basic_auth_users_file",
    ]
    assert all("; " in line for line in lines)
    assert "wonder" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"cert_file": "server.cert"}, "no use for TLS .holds no PEM"),
        (
            {"cert_file": "server.cert", "key_file": "client.key"},
            "the key is not the certificate's",
        ),
        ({"cert_file": "token", "key_file": "server.key"}, "no use for TLS .holds no PEM"),
        (
            {"cert_file": "server.cert", "key_file": "server.key", "client_ca_file": "token"},
            "web.client_ca_file .*holds no PEM of the kind",
        ),
        ({"cert_file": "folder"}, "cannot be read .Is a directory"),
    ],
)
def test_useless_tls_files_are_named(
    files: Files, settings: dict[str, Any], complaint: str
) -> None:
    """What OpenSSL says in its own words is said in ours, with the file and the fix."""
    known: dict[str, Any] = {
        "server.cert": str(files.server.cert),
        "server.key": str(files.server.key),
        "client.key": str(files.client.key),
        "token": str(files.token),
        "folder": str(files.folder),
    }

    with pytest.raises(UnusableAccessError, match=complaint):
        open_access(**{key: known[name] for key, name in settings.items()})


def test_an_encrypted_key_is_refused(files: Files) -> None:
    """Nobody is asked for a passphrase at a terminal that is not there."""
    encrypted = files.folder / "encrypted.key"
    run("openssl", "pkcs8", "-topk8", "-in", files.server.key, "-out", encrypted,
        "-passout", "pass:secret")  # fmt: skip

    with pytest.raises(UnusableAccessError, match="the key is encrypted"):
        open_access(cert_file=str(files.server.cert), key_file=str(encrypted))


def test_nothing_is_asked_where_nothing_is_configured(files: Files) -> None:
    """With TLS alone, or nothing, no middleware stands in the way of a request."""
    with_tls = open_access(**files.tls)

    assert open_access().middlewares == with_tls.middlewares == ()
