"""A configured URL, taken apart so that its secrets cannot slip into a name, a log or a label."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to scrape. Only ``shown`` and ``address`` may be logged or exported."""

    url: str = field(repr=False)
    """As configured, with its query if it has one."""
    address: str
    """host:port."""
    shown: str
    """The URL without its query."""


def endpoint(url: str, path: str = "/metrics") -> Endpoint:
    """Take a configured URL apart; ``path`` is used where it has none.

    Raises ValueError, which never repeats the URL: it may hold a password. One that does is refused,
    because URLs end up in process lists and shells' histories.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        raise ValueError("the URL cannot be read; write it like http://host:8000/metrics") from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError(
            "the URL needs a scheme and a host; write it like http://host:8000/metrics"
        )
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL holds credentials; set username and password_file instead")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    parts = parts._replace(path=path if parts.path in ("", "/") else parts.path, fragment="")
    address = f"{host}:{port}"
    return Endpoint(parts.geturl(), address, f"{parts.scheme}://{address}{parts.path}")
