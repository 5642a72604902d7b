"""Protects our own endpoints: TLS, client certificates, bearer tokens, names with passwords.

Loaded only where the configuration asks for one of them. All is made of files that are watched: what is asked
for follows them within seconds, and a file that went bad changes nothing but a counter.
"""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiohttp.typedefs import Middleware

from agent.snapshot import Problem
from exporters.access.credentials import Credentials
from exporters.access.gate import gate
from exporters.access.kept import Kept, UnusableFilesError, read_by
from exporters.access.refusals import HANDSHAKE_FAILED, Refusals
from exporters.access.tokens import tokens
from exporters.access.users import users

if TYPE_CHECKING:
    import ssl

__all__ = ["Access", "UnusableAccessError", "open_access"]

T = TypeVar("T")
_CERT, _KEY, _CLIENT_CA = "web.cert_file", "web.key_file", "web.client_ca_file"
_TOKENS, _USERS = "web.bearer_token_file", "web.basic_auth_users_file"


class UnusableAccessError(ValueError):
    """Files that protect an endpoint cannot be used; the message lists all that is wrong, a line each."""


class Access:
    """What stands before an endpoint, and what it turned away."""

    def __init__(
        self,
        refusals: Refusals,
        middlewares: tuple[Middleware, ...],
        tls: "Kept[ssl.SSLContext] | None",
        watched: tuple[Kept[Any], ...],
    ) -> None:
        self._refusals = refusals
        self._tls = tls
        self._watched = watched
        self.middlewares: Final = middlewares
        """What asks each request for its credentials."""

    def context(self) -> "ssl.SSLContext | None":
        """Return the TLS for the next connection."""
        return None if self._tls is None else self._tls.value

    def refuse(self, address: str, detail: str) -> None:
        """Note that a TLS handshake failed."""
        self._refusals.note(HANDSHAKE_FAILED, address, detail)

    @property
    def refused(self) -> Mapping[str, int]:
        """How many were turned away, by reason."""
        return self._refusals.counts

    def refresh(self) -> tuple[Problem, ...]:
        """Take over files that changed; return what is wrong with them now."""
        return tuple(problem for each in self._watched if (problem := each.refresh()))


def open_access(
    *,
    cert_file: str = "",
    key_file: str = "",
    client_ca_file: str = "",
    min_version: str = "TLS12",
    bearer_token_file: str = "",
    basic_auth_users_file: str = "",
    clock: Callable[[], float] = time.monotonic,
) -> Access:
    """Return what these files, where they are named, make of an endpoint.

    Raises `UnusableAccessError` with all that is wrong with them. ``clock``: seconds that never go back.
    """
    problems: list[str] = []
    tls: Kept[ssl.SSLContext] | None = None
    if cert_file:
        from exporters.access.tls import contexts  # noqa: PLC0415 - only where there is TLS

        files = {_CERT: cert_file, _KEY: key_file, _CLIENT_CA: client_ca_file}
        make = contexts(_CERT, _KEY, _CLIENT_CA, min_version)
        tls = _opened(problems, "bad_certificate", files, make)
    kept_tokens = _opened(
        problems, "unusable_secret", {_TOKENS: bearer_token_file}, read_by(tokens)
    )
    kept_users = _opened(
        problems, "unusable_secret", {_USERS: basic_auth_users_file}, read_by(users)
    )
    if problems:
        raise UnusableAccessError("\n".join(problems))
    refusals = Refusals(clock)
    credentials = None
    if kept_tokens or kept_users:
        credentials = Credentials(kept_tokens, kept_users, clock)
    guarded = credentials is not None or bool(client_ca_file)
    asks = gate(credentials, refusals, certificates=bool(client_ca_file))
    return Access(
        refusals,
        (asks,) if guarded else (),
        tls,
        tuple(each for each in (tls, kept_tokens, kept_users) if each is not None),
    )


def _opened(
    problems: list[str],
    reason: str,
    files: Mapping[str, str],
    make: Callable[[Mapping[str, str]], T],
) -> Kept[T] | None:
    """Return what is made of the files that are named, if any are; what is wrong goes to ``problems``."""
    named = {key: path for key, path in files.items() if path}
    if not named:
        return None
    try:
        return Kept(reason, named, make)
    except UnusableFilesError as error:
        problems += error.problems
        return None
