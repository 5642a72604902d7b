"""Who may ask our own endpoints, and by which protocol: the keys under `web`.

One section for the agent and the drift process. The words are those of `servers` where both mean the same,
else those of Prometheus' exporters (`tls_server_config`, `basic_auth_users`).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from agent.config.fields import option
from agent.config.values import TEXT, Address, choice_form

TLS_VERSIONS: Final = ("TLS12", "TLS13")


@dataclass(frozen=True, slots=True, kw_only=True)
class Web:
    """How our own endpoints are protected. All files are read again when they change."""

    cert_file: str | None = option(
        TEXT,
        "Our certificate and what leads from it to its authority, PEM. With it the endpoints speak HTTPS "
        "and nothing else.",
        example="/etc/warpwatch/tls/tls.crt",
    )
    key_file: str | None = option(
        TEXT,
        "The key of `cert_file`, PEM without passphrase. Default: it is in `cert_file`.",
        example="/etc/warpwatch/tls/tls.key",
    )
    client_ca_file: str | None = option(
        TEXT,
        "Authorities, PEM: only who shows a certificate that they signed is answered, but for /healthz and "
        "/readyz, because a kubelet has none.",
        example="/etc/warpwatch/tls/ca.crt",
    )
    min_version: str = option(
        choice_form(*TLS_VERSIONS),
        "The oldest TLS that is spoken, TLS12 or TLS13.",
        example="TLS12",
        default="TLS12",
    )
    bearer_token_file: str | None = option(
        TEXT,
        "File with the tokens that let in, one a line: while one is replaced there are two.",
        example="/etc/warpwatch/web/token",
    )
    basic_auth_users_file: str | None = option(
        TEXT,
        "File with one `name: bcrypt hash` a line, as `htpasswd -B` writes it and as they stand below "
        "basic_auth_users in the web configuration of Prometheus' exporters. Beside `bearer_token_file`, "
        "either lets in.",
        example="/etc/warpwatch/web/users",
    )

    @property
    def encrypted(self) -> bool:
        """Whether the endpoints speak HTTPS."""
        return self.cert_file is not None

    @property
    def guarded(self) -> bool:
        """Whether who asks has to prove who they are."""
        return bool(self.client_ca_file or self.bearer_token_file or self.basic_auth_users_file)


OPEN: Final = Web()
"""Neither TLS nor credentials: for loopback, which is the default."""


def contradictions(web: Web) -> Iterator[tuple[str, str]]:
    """Give each key that cannot be meant so, and why."""
    if web.encrypted:
        return
    for key, given in (
        ("key_file", web.key_file),
        ("client_ca_file", web.client_ca_file),
        ("min_version", web.min_version != OPEN.min_version),
    ):
        if given:
            yield key, "needs cert_file beside it"


def exposure(listen: Address, web: Web) -> str:
    """Return what strangers can do with an endpoint that listens there; empty where they cannot."""
    if _is_loopback(listen.host) or (web.encrypted and web.guarded):
        return ""
    if web.guarded:
        return "is open to the network without TLS: credentials can be read on the way; set web.cert_file"
    lacking = "credentials" if web.encrypted else "TLS and credentials"
    return (
        f"is open to the network without {lacking}: whoever reaches it can read what it tells; set "
        "web.bearer_token_file, web.basic_auth_users_file or web.client_ca_file"
        f"{'' if web.encrypted else ', and web.cert_file'}"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False
