"""Puts together what protects our own endpoints, by the configuration's `web`; loads it only if asked for."""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from agent.config import Address, Web
from agent.config.web import exposure

if TYPE_CHECKING:
    from exporters.access import Access

A = TypeVar("A")
B = TypeVar("B")
_log = logging.getLogger(__name__)


def protection(web: Web) -> "Access | None":
    """Return what protects an endpoint, if anything is configured.

    Raises `ValueError` with all that is wrong with the files, a line each.
    """
    if not (web.encrypted or web.guarded):
        return None
    from exporters.access import open_access  # noqa: PLC0415 - only where configured

    return open_access(
        cert_file=web.cert_file or "",
        key_file=web.key_file or "",
        client_ca_file=web.client_ca_file or "",
        min_version=web.min_version,
        bearer_token_file=web.bearer_token_file or "",
        basic_auth_users_file=web.basic_auth_users_file or "",
    )


def both(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """Return what both return. Raises `ValueError` with what is wrong with either, or with both."""
    try:
        one = first()
    except ValueError as error:
        try:
            second()
        except ValueError as other:
            raise ValueError(f"{error}\n{other}") from other
        raise
    return one, second()


def base_url(listen: Address, web: Web) -> str:
    """Return the URL of an endpoint that listens there."""
    return f"{'https' if web.encrypted else 'http'}://{listen}"


def warn_if_exposed(key: str, listen: Address, web: Web) -> None:
    """Say in the log what strangers can do; ``key`` names the address in the configuration."""
    if said := exposure(listen, web):
        _log.warning("%s %s %s", key, listen, said)
