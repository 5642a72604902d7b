"""Makes the collectors of the probes that the configuration asks for."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from agent.collectors.probe import Plan, ProbeCollector
from agent.collectors.probe.plan import PROMPT
from agent.collectors.scrape import OPEN, Access, Connections, endpoint
from agent.config import Server
from agent.config.probe import Probe
from agent.model_servers import access_of


def make_probes(servers: Iterable[Server], connections: Connections) -> list[ProbeCollector]:
    """Return a collector for each server that is to be probed; they share ``connections``.

    Each has the name of its server's scrape, so that the two can be joined.
    """
    return [
        ProbeCollector(
            plan_of(server, server.probe),
            server=server.name or endpoint(server.url).address,
            connections=connections,
        )
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
        return OPEN
    return access_of(server)


def _origin(url: str) -> str:
    """Return scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
