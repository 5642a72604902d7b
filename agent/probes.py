"""Makes the collectors of the probes that the configuration asks for."""

import time
from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from agent.collectors.probe import Budget, Plan, ProbeCollector
from agent.collectors.probe.plan import PROMPT
from agent.collectors.scrape import OPEN, Access, Connections, endpoint
from agent.collectors.serving.profile import Profile
from agent.config import Server
from agent.config.probe import FoundProbe, Probe
from agent.discovery.probe import Answer
from agent.discovery.target import Target
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


def probes_of_found(
    asked: FoundProbe, profiles: Iterable[Profile], connections: Connections
) -> Callable[[Target, Answer], ProbeCollector | None]:
    """Return what makes the probe of a server that was found, if its kind can be asked where its metrics are.

    All of them share one budget. Each gets in as the scrape does, and only where the metrics are.
    """
    apis = {profile.name: profile.api for profile in profiles}
    budget = Budget(
        requests=asked.requests_per_minute, tokens=asked.tokens_per_day, clock=time.monotonic
    )

    def make(target: Target, answer: Answer) -> ProbeCollector | None:
        kind = apis.get(answer.kind, "")
        if not kind:
            return None
        plan = Plan(
            kind=kind,
            url=_origin(answer.url),
            interval=asked.interval,
            timeout=asked.timeout,
            chat=asked.chat,
            prompt=asked.prompt or PROMPT,
            max_tokens=asked.max_tokens,
            access=target.access,
        )
        return ProbeCollector(
            plan, server=target.name, connections=connections, presumed=True, budget=budget
        )

    return make


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
