"""TLS as a server's configuration asks for it: own authorities, a client's certificate, or no checks.

A context costs about a megabyte, so servers with the same files share one; it is made anew when a file
changes, because certificates are rotated under running agents.
"""

import logging
import ssl
from collections import OrderedDict
from pathlib import Path
from typing import Final

from agent.collectors.scrape.access import Access
from agent.collectors.scrape.reasons import ScrapeError
from agent.collectors.scrape.secret import Signature, signature

_MOST_CONTEXTS: Final = 16
"""Kept; more sets of files than that are read again in turn."""

_Files = tuple[str, str, str, bool]
_log = logging.getLogger(__name__)


class Contexts:
    """The TLS contexts in use, by the files that they were made of."""

    def __init__(self) -> None:
        self._made: OrderedDict[_Files, tuple[Signature, ssl.SSLContext]] = OrderedDict()
        self._warned: set[str] = set()

    def of(self, access: Access, shown: str) -> ssl.SSLContext | bool:
        """Return the context for a server, or True for the system's usual checks.

        ``shown`` is the server's URL without secrets. Raises `ScrapeError` for files that are no use.
        """
        if access.insecure_skip_verify and shown not in self._warned:
            self._warned.add(shown)
            _log.warning(
                "%s is NOT verified: insecure_skip_verify is set, so anybody on the way can read "
                "what is sent to it, credentials included; set ca_file instead",
                shown,
            )
        files = (access.ca_file, access.cert_file, access.key_file, access.insecure_skip_verify)
        if not any(files):
            return True
        try:
            return self._current(files)
        except (OSError, ValueError) as error:  # SSLError is an OSError
            raise ScrapeError("bad_certificate", _complaint(files, error)) from None

    def _current(self, files: _Files) -> ssl.SSLContext:
        seen = tuple(part for path in files[:3] if path for part in signature(Path(path)))
        known = self._made.get(files)
        if known is None or known[0] != seen:
            known = self._made[files] = (seen, _context(*files))
        self._made.move_to_end(files)
        while len(self._made) > _MOST_CONTEXTS:
            self._made.popitem(last=False)
        return known[1]


def _context(ca_file: str, cert_file: str, key_file: str, unverified: bool) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca_file or None)
    if cert_file:
        context.load_cert_chain(cert_file, key_file or None, password=_no_passphrase)
    if unverified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _no_passphrase() -> str:
    """Refuse an encrypted key: OpenSSL would otherwise ask for its passphrase at the terminal."""
    raise ValueError("the key is encrypted")


def _complaint(files: _Files, error: Exception) -> str:
    named = zip(("ca_file", "cert_file", "key_file"), files, strict=False)
    paths = ", ".join(f"{key} {path}" for key, path in named if path)
    why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    return f"{paths}: no use for TLS ({why}); each must be a readable PEM file, the key without passphrase"
