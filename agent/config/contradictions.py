"""Keys that are each well formed and make no sense together, with what to do about it."""

from collections.abc import Iterator

from agent.config import drift, objectives, probe, web
from agent.config.settings import Config, Server


def contradictions(config: Config) -> Iterator[tuple[str, str]]:
    """Give the path of each key that cannot be meant so, and why."""
    for position, server in enumerate(config.servers):
        for key, message in _of_server(server):
            yield f"servers[{position}].{key}", message
    for key, message in web.contradictions(config.web):
        yield f"web.{key}", message
    yield from objectives.contradictions(config.slos)
    if config.drift is not None:
        yield from drift.contradictions(config.drift)
    found = config.discovery
    if found and found.bearer_token_file and not found.namespaces:
        yield (
            "discovery.bearer_token_file",
            "would be sent to whatever pod says it is a server; name the namespaces that may see it",
        )


def _of_server(server: Server) -> Iterator[tuple[str, str]]:
    if server.bearer_token_file and (server.username or server.password_file):
        yield "bearer_token_file", "and a password are both set; leave one of them out"
    if server.username and not server.password_file:
        yield "username", "needs password_file beside it"
    if server.password_file and not server.username:
        yield "password_file", "needs username beside it"
    if server.key_file and not server.cert_file:
        yield "key_file", "needs cert_file beside it"
    if server.probe is not None:
        for key, message in probe.contradictions(server.probe):
            yield f"probe.{key}", message
