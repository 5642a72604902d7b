"""OTLP/HTTP: protobuf by POST, through the HTTP client that the agent has loaded anyway."""

import gzip
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final
from urllib.request import getproxies_environment, proxy_bypass

import aiohttp

import agent
from exporters.otlp.delivery import Receipt, Refused, Retryable, one_line
from exporters.otlp.files import Signature, changed, signature
from exporters.otlp.response import receipt, status_words
from exporters.otlp.settings import SettingsError, Target

_PROTOBUF: Final = "application/x-protobuf"
_RETRYABLE: Final = frozenset({429, 502, 503, 504})
"""OTLP specification, "Retryable response codes"; every other 4xx and 5xx must not be retried."""

_MOST_ANSWER: Final = 64 * 1024
_GZIP_LEVEL: Final = 1
"""Level 9 makes requests a tenth smaller for four times the CPU."""


class HttpTransport:
    """Posts requests of one signal. Raises `SettingsError` where the target's TLS files are no PEM."""

    def __init__(self, target: Target) -> None:
        self._target = target
        _context(target)  # what is wrong with it comes to light now
        self._tls_seen: Signature = ()
        self._proxy = _proxy(target)
        self._session: aiohttp.ClientSession | None = None

    def pack(self, body: bytes) -> bytes:
        """Return the body as it goes over the wire."""
        return gzip.compress(body, _GZIP_LEVEL) if self._compressed else body

    async def send(self, packed: bytes) -> Receipt:
        """POST once. Raises `Refused` or `Retryable`."""
        try:
            if self._session is None or changed(self._tls_seen, *self._target.tls.files):
                await self.close()
                self._session = self._open()
            # A redirect is refused, not followed: it would carry the headers' keys to another host.
            async with self._session.post(
                self._target.endpoint.url,
                data=packed,
                headers=self._headers(),
                allow_redirects=False,
                proxy=self._proxy,
            ) as response:
                return _judged(self._target, response, await _answer(response))
        except TimeoutError:
            raise Retryable(f"no answer within {self._target.timeout:g} s") from None
        except (
            aiohttp.ClientError,
            OSError,
            UnicodeError,
        ) as error:  # UnicodeError: no such host name
            raise Retryable(one_line(str(error)) or type(error).__name__) from error

    async def close(self) -> None:
        """Close the connection."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @property
    def _compressed(self) -> bool:
        return self._target.compression == "gzip"

    def _headers(self) -> Mapping[str, str]:
        headers = {**self._target.headers.current(), "content-type": _PROTOBUF}
        if self._compressed:
            headers["content-encoding"] = "gzip"
        return headers

    def _open(self) -> aiohttp.ClientSession:
        self._tls_seen = signature(*self._target.tls.files)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_context(self._target), limit=1),
            timeout=aiohttp.ClientTimeout(total=self._target.timeout),
            headers={"user-agent": f"warpwatch/{agent.__version__}"},
            cookie_jar=aiohttp.DummyCookieJar(),
        )


async def _answer(response: aiohttp.ClientResponse) -> bytes:
    """Return the answer's body, or its first part; one that breaks off counts as far as it came."""
    answer = b""
    try:
        while len(answer) < _MOST_ANSWER and (part := await response.content.readany()):
            answer += part
    except aiohttp.ClientPayloadError:
        pass
    return answer[:_MOST_ANSWER]


def _judged(target: Target, response: aiohttp.ClientResponse, body: bytes) -> Receipt:
    protobuf = response.content_type == _PROTOBUF
    if response.status < 300:
        return receipt(target.signal, body) if protobuf else Receipt()
    said = status_words(body) if protobuf else one_line(body.decode("utf-8", "replace"))
    if response.status in range(300, 400):
        said = f"redirect to {response.headers.get('location', 'nowhere')}; use the final URL"
    words = f"HTTP {response.status}: {said or response.reason or 'no reason given'}"
    if response.status in _RETRYABLE:
        after = retry_after(response.headers.get("retry-after", ""))
        raise Retryable(words, after=after, answered=True)
    raise Refused(words)


def retry_after(header: str, now: datetime | None = None) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks to wait: a number or a date (RFC 9110)."""
    header = header.strip()
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        date = parsedate_to_datetime(header)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def _proxy(target: Target) -> str | None:
    """Return the proxy of HTTP_PROXY or HTTPS_PROXY, unless NO_PROXY names the host. Raises `SettingsError`.

    Not left to the client's `trust_env`: that would also send what a .netrc file holds for the host.
    """
    endpoint = target.endpoint
    scheme = "https" if endpoint.secure else "http"
    proxies = getproxies_environment()
    proxy = proxies.get(scheme)
    if not proxy or proxy_bypass(endpoint.address, proxies):
        return None
    if not proxy.startswith(("http://", "https://")):
        fix = "write it as http://proxy:3128, or name the host in NO_PROXY"
        raise SettingsError([f"{target.name}: {scheme.upper()}_PROXY is no http:// URL; {fix}"])
    return proxy


def _context(target: Target) -> ssl.SSLContext | bool:
    """Return the TLS settings; True is the default ones. Raises `SettingsError`."""
    tls = target.tls
    if not (target.endpoint.secure and (tls.certificate or tls.client_certificate)):
        return True
    try:
        context = ssl.create_default_context(cafile=tls.certificate or None)
        if tls.client_certificate:
            context.load_cert_chain(tls.client_certificate, tls.client_key)
    except OSError as error:  # ssl.SSLError is one
        files = ", ".join(tls.files)
        said = error.strerror or str(error)
        raise SettingsError(
            [f"{target.name}: {files}: {said}; the files must be PEM and match"]
        ) from error
    return context
