"""Endpoints as people write them, turned into what a client dials.

OTLP/HTTP and OTLP/gRPC read the same variable differently (OpenTelemetry, "OTLP exporter", endpoint
options): a base URL that gains a path per signal, or a gRPC target whose path means nothing.
"""

import re
from typing import Final, NamedTuple
from urllib.parse import SplitResult, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f-\uffff]")


class Endpoint(NamedTuple):
    """Where to send: ``url`` is a URL for HTTP and a target for gRPC; ``secure`` means TLS.

    ``host`` is empty for a Unix socket.
    """

    url: str
    host: str
    port: int
    secure: bool

    @property
    def address(self) -> str:
        """What people call it: host:port, never a path or a query, where some put credentials."""
        return _address(self.host, self.port) if self.host else self.url


def http_endpoint(text: str, append: str = "") -> Endpoint:
    """Return the endpoint of OTLP/HTTP for ``text``, with the path ``append`` added to its own.

    Without ``append`` the URL is used as it is, but for an empty path, which becomes ``/``.
    Raises `ValueError` with what is wrong and what to write, without repeating ``text``.
    """
    parts = _split(text)
    if parts.scheme not in _PORTS:
        raise ValueError("needs http:// or https:// in front, as in http://collector:4318")
    _refuse_credentials(parts)
    if append and parts.query:
        raise ValueError("is a base URL and takes no ?query; remove it")
    path = f"{parts.path.rstrip('/')}{append}" if append else parts.path or "/"
    url = parts._replace(path=path, fragment="").geturl()
    return Endpoint(url, _host(parts), _port(parts), parts.scheme == "https")


def grpc_endpoint(text: str, *, insecure: bool) -> Endpoint:
    """Return the endpoint of OTLP/gRPC: a URL, ``host:port``, or ``unix:path``.

    ``insecure`` decides about TLS where no scheme does. A URL's path is ignored, as the specification
    has it. Raises `ValueError` as `http_endpoint` does.
    """
    if text.startswith("unix:"):
        return Endpoint(text, "", 0, secure=False)
    if "://" not in text:
        parts = _split(f"//{text}")
        if parts.port is None or parts.path or parts.query:
            raise ValueError(
                "needs a host and a port, as in collector:4317 or http://collector:4317"
            )
        return _grpc(_host(parts), parts.port, secure=not insecure)
    parts = _split(text)
    if parts.scheme not in _PORTS:
        raise ValueError("needs http://, https:// or a bare host:port, as in http://collector:4317")
    _refuse_credentials(parts)
    return _grpc(_host(parts), _port(parts), secure=parts.scheme == "https")


def _grpc(host: str, port: int, *, secure: bool) -> Endpoint:
    return Endpoint(_address(host, port), host, port, secure)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _split(text: str) -> SplitResult:
    if _UNSAFE.search(text):
        raise ValueError("holds a blank, a control or a non-ASCII character; remove or encode it")
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is no URL: {error}") from None
    if port == 0:
        raise ValueError("names port 0; use the receiver's, as a rule 4318 for HTTP, 4317 for gRPC")
    return parts


def _host(parts: SplitResult) -> str:
    if not parts.hostname:
        raise ValueError("has no host; write it as http://collector:4318")
    return parts.hostname


def _port(parts: SplitResult) -> int:
    return _PORTS[parts.scheme] if parts.port is None else parts.port


def _refuse_credentials(parts: SplitResult) -> None:
    if parts.username is not None or parts.password is not None:
        raise ValueError("holds a user or a password; put an Authorization line in a headers_file")
