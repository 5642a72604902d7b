"""Makes the collectors of the probes that the configuration asks for."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from agent.collectors.probe import Plan, ProbeCollector
from agent.collectors.probe.plan import PROMPT
from agent.collectors.scrape import Access, Connections
from agent.config import Server
from agent.config.probe import Probe


def make_probes(
    servers: Iterable[Server], connections: Connections | None = None
) -> list[ProbeCollector]:
    """Return a collector for each server that is to be probed; they share ``connections``."""
    connections = connections or Connections()
    return [
        ProbeCollector(plan_of(server, server.probe), server=_name(server), connections=connections)
        for server in servers
        if server.probe is not None
    ]


def plan_of(server: Server, probe: Probe) -> Plan:
    """Return what is asked of a server. It gets in as the scrape does."""
    return Plan(
        kind=probe.kind,
        url=probe.url or _origin(server.url),
        model=probe.model or "",
        interval=probe.interval,
        timeout=probe.timeout,
        chat=probe.chat,
        prompt=probe.prompt or PROMPT,
        max_tokens=probe.max_tokens,
        body=probe.body,
        requests_per_minute=probe.requests_per_minute,
        tokens_per_day=probe.tokens_per_day,
        access=_access(server, probe),
    )


def _access(server: Server, probe: Probe) -> Access:
    """Return how to get in: with what the scrape shows, and never by plain HTTP what it shows by TLS."""
    secret = urlsplit(server.url).scheme == "https"
    if probe.url and secret and urlsplit(probe.url).scheme != "https":
        return Access()
    return Access(
        bearer_token_file=server.bearer_token_file or "",
        username=server.username or "",
        password_file=server.password_file or "",
        ca_file=server.ca_file or "",
        cert_file=server.cert_file or "",
        key_file=server.key_file or "",
        server_name=server.server_name or "",
        insecure_skip_verify=server.insecure_skip_verify,
    )


def _origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _name(server: Server) -> str:
    """Return the server's name as its scrape has it, so that the two can be joined."""
    parts = urlsplit(server.url)
    return (
        server.name or f"{parts.hostname}:{parts.port or {'http': 80, 'https': 443}[parts.scheme]}"
    )
