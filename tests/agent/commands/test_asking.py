import argparse
import ssl
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agent.commands.asking import NotLetInError, UnansweredError, Way, ask, way_to
from agent.config import Address, Web
from tests.agent.collectors.scrape.certificates import signed
from tests.exporters.access.conftest import TOKEN, Files, Open, files, opened, pairs

__all__ = ["files", "opened", "pairs"]  # the fixtures
LISTEN = Address("127.0.0.1", 9410)


def flags(url: str | None = None, **given: object) -> argparse.Namespace:
    """Return what the command line gives."""
    names = (
        "bearer_token_file", "username", "password_file", "ca_file", "cert_file", "key_file",
        "server_name",
    )  # fmt: skip
    nothing = dict.fromkeys(names, "") | {"insecure_skip_verify": False}
    return argparse.Namespace(url=url, **(nothing | given))


def listening(url: str) -> Address:
    """Return the address of a URL."""
    return Address("127.0.0.1", urlsplit(url).port or 0)


async def answered(way: Way) -> int:
    """Return the status of the agent's answer."""
    return (await ask(way, "/api/v1/status")).status


async def test_its_own_configuration_is_enough(opened: Open, files: Files) -> None:
    """The agent's own certificate is trusted whatever its names are, and its first token is sent."""
    files.token.write_text(f"{TOKEN}\nolder\n")
    url, _ = await opened(**files.tls, bearer_token_file=str(files.token))
    web = Web(cert_file=str(files.server.cert), bearer_token_file=str(files.token))

    way = way_to(flags(), replace(listening(url), host="localhost"), web)

    assert await answered(way) == 200
    assert TOKEN not in repr(way)


async def test_another_certificate_is_not_taken_for_it(
    opened: Open, files: Files, tmp_path: Path
) -> None:
    """Whoever listens there with another certificate is sent nothing, though the same authority signed it."""
    url, _ = await opened(**files.tls, bearer_token_file=str(files.token))
    other = signed(tmp_path, files.ca, "node-b", "IP:127.0.0.1")
    chain = tmp_path / "chain.pem"
    chain.write_bytes(other.cert.read_bytes() + files.ca.cert.read_bytes())

    way = way_to(flags(), listening(url), Web(cert_file=str(chain)))

    with pytest.raises(UnansweredError, match=r"cannot be trusted.* --ca-file"):
        await answered(way)


async def test_a_url_gets_no_secret_of_the_configuration(opened: Open, files: Files) -> None:
    """What is named on the command line is sent what the command line names, and is told what lacks."""
    url, access = await opened(**files.tls, bearer_token_file=str(files.token))
    web = Web(cert_file=str(files.server.cert), bearer_token_file=str(files.token))
    ca = str(files.ca.cert)

    with pytest.raises(NotLetInError, match=r"name them with --bearer-token-file"):
        await answered(way_to(flags(url, ca_file=ca), LISTEN, web))
    token = str(files.token)
    allowed = way_to(flags(url, ca_file=ca, bearer_token_file=token), LISTEN, web)

    assert access.refused["credentials_missing"] == 1
    assert await answered(allowed) == 200


async def test_a_client_certificate_is_shown(opened: Open, files: Files) -> None:
    """Where one is asked for, the answer names the flags, and with them it is shown."""
    url, _ = await opened(**files.tls, client_ca_file=str(files.ca.cert))
    web = Web(cert_file=str(files.server.cert), client_ca_file=str(files.ca.cert))
    own = {"cert_file": str(files.client.cert), "key_file": str(files.client.key)}

    with pytest.raises(NotLetInError, match=r"--cert-file and --key-file"):
        await answered(way_to(flags(), listening(url), web))

    assert await answered(way_to(flags(**own), listening(url), web)) == 200
    by_url = way_to(flags(url, ca_file=str(files.ca.cert), **own), LISTEN, web)
    assert await answered(by_url) == 200


async def test_nothing_need_be_checked(opened: Open, files: Files) -> None:
    """Whoever says so takes any certificate."""
    url, _ = await opened(**files.tls)

    way = way_to(flags(url, insecure_skip_verify=True), LISTEN, Web())

    assert isinstance(way.tls, ssl.SSLContext)
    assert await answered(way) == 200


@pytest.mark.parametrize(
    ("given", "web", "complaint"),
    [
        ({"username": "alice"}, Web(), "belong together"),
        ({"key_file": "k"}, Web(), "--key-file needs --cert-file"),
        ({"url": "127.0.0.1:9410"}, Web(), "--url must be a URL"),
        ({"url": "http://a:b@c"}, Web(), "--url must not hold credentials"),
        ({"bearer_token_file": "/nowhere"}, Web(), "/nowhere cannot be read"),
        ({}, Web(bearer_token_file="/nowhere"), "web.bearer_token_file /nowhere cannot be read"),  # noqa: S106
        ({}, Web(cert_file="/nowhere"), "web.cert_file /nowhere"),
        ({"url": "https://a", "ca_file": "/nowhere"}, Web(), "ca_file /nowhere"),
    ],
)
def test_what_cannot_be_used_is_named(given: dict[str, str], web: Web, complaint: str) -> None:
    """A flag or a file that is no use is named before anything is sent."""
    with pytest.raises(ValueError, match=complaint):
        way_to(flags(**given), LISTEN, web)
