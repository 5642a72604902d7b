"""Imports aiohttp without reading the machine's certificates, which only a client of HTTPS needs.

aiohttp makes two TLS contexts as it is imported, one that verifies and one that does not, and both read the
certificates: 45 ms and 3 MiB for what an agent that speaks plain HTTP on its own node never looks at. Here
the one that verifies reads them with its first connection, and the other, which has no use for them, not at
all. What they check is the same. Importing this module before aiohttp is all there is to do.
"""

import ssl
import sys
from typing import Any


class DeferredContext(ssl.SSLContext):
    """Checks servers by the machine's certificates, as `ssl.create_default_context` has it."""

    _certificates_read = False

    def wrap_bio(self, *arguments: Any, **named: Any) -> ssl.SSLObject:
        """Read the certificates, once, and begin a connection. See `ssl.SSLContext.wrap_bio`."""
        self._read_certificates()
        return super().wrap_bio(*arguments, **named)

    def wrap_socket(self, *arguments: Any, **named: Any) -> ssl.SSLSocket:
        """Read the certificates, once, and begin a connection. See `ssl.SSLContext.wrap_socket`."""
        self._read_certificates()
        return super().wrap_socket(*arguments, **named)

    def _read_certificates(self) -> None:
        if not self._certificates_read:
            self.load_default_certs()
            self._certificates_read = True


def deferred_context() -> ssl.SSLContext:
    """Return what `ssl.create_default_context` returns for a client, with its certificates not read yet."""
    context = DeferredContext(ssl.PROTOCOL_TLS_CLIENT)
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    return context


def _read_nothing(_: ssl.SSLContext) -> None:
    """Stand for a method of the C type that `ssl.SSLContext` inherits, until that is seen again."""


def _import_aiohttp() -> None:
    # mock.patch would do, and would bring unittest along.
    eager = ssl.create_default_context
    ssl.create_default_context = deferred_context  # type: ignore[assignment]
    ssl.SSLContext.set_default_verify_paths = _read_nothing  # type: ignore[assignment]
    try:
        import aiohttp  # noqa: F401, PLC0415 - for what it makes meanwhile
    finally:
        ssl.create_default_context = eager
        del ssl.SSLContext.set_default_verify_paths


_import_aiohttp()
