"""Where the API server is for a pod, and with what it gets in: what Kubernetes gives to every pod."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from agent.collectors.scrape import Access
from agent.discovery.kubernetes.api import SERVICE_ACCOUNT
from agent.discovery.target import authority

_HOST: Final = "KUBERNETES_SERVICE_HOST"
_PORT: Final = "KUBERNETES_SERVICE_PORT"


class InCluster(NamedTuple):
    """The API server's URL and what to show it. ``missing`` says what keeps us from asking; else empty."""

    url: str
    access: Access
    missing: str


def in_cluster(
    environment: Mapping[str, str], *, url: str = "", folder: Path = Path(SERVICE_ACCOUNT)
) -> InCluster:
    """Look around. ``url`` goes before the environment's; ``folder`` is where the token is mounted."""
    token, ca = folder / "token", folder / "ca.crt"
    access = Access(
        bearer_token_file=str(token) if token.exists() else "",
        ca_file=str(ca) if ca.exists() else "",
    )
    if url:
        return InCluster(url, access, "")
    host, port = environment.get(_HOST, ""), environment.get(_PORT, "443")
    if not host or not port.isdecimal():
        return InCluster(
            "", access, f"{_HOST} is not set: this is no pod; set discovery.api_server"
        )
    if not access.bearer_token_file:
        missing = f"{token} is not there; set automountServiceAccountToken: true"
        return InCluster("", access, missing)
    return InCluster(f"https://{authority(host, int(port))}", access, "")
