"""How a command asks a running process of ours: where the configuration says it listens, or at a URL.

What the configuration says is used for our own process alone: its certificate is taken for what it is,
whatever names are in it, and its token is sent. To a URL goes what the flags say, and nothing else.
"""

import argparse
import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import aiohttp

from agent.collectors.scrape import Access, ScrapeError
from agent.collectors.scrape.access import Credentials
from agent.collectors.scrape.tls import Contexts
from agent.config import Address, Web
from agent.config.values import url
from agent.protection import base_url

_TIMEOUT: Final = aiohttp.ClientTimeout(10)
_NO_CERTIFICATE: Final = 403
_REFUSED: Final = frozenset({401, 403, 429})


class UnansweredError(Exception):
    """There is no answer; the message says why, and never holds a secret."""


class NotLetInError(UnansweredError):
    """Whoever is asked wants to see other credentials."""


class Answer(NamedTuple):
    """What was answered."""

    status: int
    text: str


@dataclass(frozen=True, slots=True)
class Way:
    """Where to ask, and what to show there. Its `repr` shows no secret."""

    url: str
    access: Access
    headers: Mapping[str, str] = field(repr=False)
    tls: ssl.SSLContext | bool = True


def access_by_flags(options: argparse.Namespace) -> Access:
    """Return how to get in, by the flags. Raises `ValueError` where half of a pair is missing."""
    if bool(options.username) is not bool(options.password_file):
        raise ValueError("--username and --password-file belong together; give both")
    if options.bearer_token_file and options.username:
        raise ValueError("--bearer-token-file and --username are both given; leave one of them out")
    if options.key_file and not options.cert_file:
        raise ValueError("--key-file needs --cert-file beside it")
    return Access(
        bearer_token_file=options.bearer_token_file,
        username=options.username,
        password_file=options.password_file,
        ca_file=options.ca_file,
        cert_file=options.cert_file,
        key_file=options.key_file,
        server_name=options.server_name,
        insecure_skip_verify=options.insecure_skip_verify,
    )


def way_to(options: argparse.Namespace, listen: Address, web: Web) -> Way:
    """Return how to ask ``options.url``, without one our own process that listens there.

    Raises `ValueError` for flags, and for files that they or the configuration name, that are no use.
    """
    access = access_by_flags(options)
    try:
        headers = Credentials(access).headers()
        if options.url:
            shown = _url(options.url)
            return Way(shown, access, headers, Contexts().of(access, shown))
        own = base_url(listen, web)
        if not headers and web.bearer_token_file:
            headers = {"Authorization": f"Bearer {_own_token(web.bearer_token_file)}"}
        if not web.cert_file or access.ca_file or access.insecure_skip_verify:
            return Way(own, access, headers, Contexts().of(access, own))
        return Way(own, replace(access, server_name=""), headers, _pinned(web.cert_file, access))
    except ScrapeError as error:
        raise ValueError(str(error)) from None


async def ask(
    way: Way, path: str, *, method: str = "GET", query: Mapping[str, str] | None = None
) -> Answer:
    """Return what is answered. Raises `UnansweredError`, also where we are not let in."""
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMEOUT, headers=way.headers) as session,
            session.request(
                method,
                f"{way.url}{path}",
                params=query,
                ssl=way.tls,
                server_hostname=way.access.server_name or None,
                allow_redirects=False,
            ) as answer,
        ):
            said = Answer(answer.status, await answer.text())
    except aiohttp.ClientConnectorCertificateError as error:
        why = f"its certificate cannot be trusted ({_verdict(error)})"
        raise UnansweredError(f"{why}; name its authority with --ca-file") from None
    except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
        raise UnansweredError(str(error) or "no answer in time") from None
    if said.status in _REFUSED:
        raise NotLetInError(
            f"{said.text.strip()} (HTTP {said.status}); {_advice(way, said.status)}"
        )
    return said


def _verdict(error: aiohttp.ClientConnectorCertificateError) -> str:
    cause = error.certificate_error
    return str(getattr(cause, "verify_message", None) or cause)


def _advice(way: Way, status: int) -> str:
    if status == _NO_CERTIFICATE:
        return "name yours with --cert-file and --key-file"
    if way.access.has_credentials:
        return way.access.advice
    return "name them with --bearer-token-file, or --username and --password-file"


def asked(
    way: Way, path: str, *, method: str = "GET", query: Mapping[str, str] | None = None
) -> Answer:
    """Return what `ask` returns, for a command that has no loop."""
    return asyncio.run(ask(way, path, method=method, query=query))


def _url(given: str) -> str:
    try:
        return url(given).rstrip("/")
    except ValueError as error:
        raise ValueError(f"--url {error}") from None


def _own_token(path: str) -> str:
    """Return the first of the tokens that our own process takes. Raises `ValueError`."""
    from exporters.access.kept import content  # noqa: PLC0415 - only where there is a token
    from exporters.access.tokens import tokens  # noqa: PLC0415 - as above

    try:
        return tokens(content(path))[0].decode()
    except ValueError as error:
        raise ValueError(f"web.bearer_token_file {path} {error}") from None


def _pinned(cert_file: str, access: Access) -> ssl.SSLContext:
    """Return a context that trusts this very certificate, whatever names it has. Raises `ValueError`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be its own authority
    try:
        with open(cert_file, encoding="ascii", errors="replace") as stream:  # noqa: PTH123 - text
            first, end, _ = stream.read().partition(_END)
        context.load_verify_locations(cadata=first[first.find(_BEGIN) :] + end)
        if access.cert_file:
            context.load_cert_chain(access.cert_file, access.key_file or None, password="")
    except OSError as error:  # SSLError is one
        why = getattr(error, "reason", None) or error.strerror
        raise ValueError(f"web.cert_file {cert_file}: no use for TLS ({why})") from None
    return context


_BEGIN: Final = "-----BEGIN CERTIFICATE-----"
_END: Final = "-----END CERTIFICATE-----"
