"""Puts together what collects from model servers: those that are configured, and the search for others."""

from collections.abc import Callable, Collection, Mapping

from agent.collectors.scrape import Access, Connections
from agent.collectors.serving.collector import ServingCollector
from agent.collectors.serving.detection import detect
from agent.config import Config, Discovery, Server
from agent.discovery.absent import AbsentSource
from agent.discovery.discovery import Discovery as Search
from agent.discovery.kubernetes import ApiServer, KubernetesSource
from agent.discovery.kubernetes.in_cluster import in_cluster
from agent.discovery.sockets import SocketsSource
from agent.discovery.source import Source
from agent.discovery.static import Named, static_targets
from agent.discovery.target import PodIdentity, Target
from agent.snapshot import Problem


def access_of(server: Server) -> Access:
    """Return how to get in to a configured server."""
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


def configured(config: Config, connections: Connections) -> list[ServingCollector]:
    """Return a collector for each configured server. Raises ValueError for one that cannot be."""
    return [
        ServingCollector(
            each.url,
            name=each.name or "",
            profile=each.profile,
            interval=each.interval,
            access=access_of(each),
            connections=connections,
        )
        for each in config.servers
    ]


def search(
    config: Config,
    environment: Mapping[str, str],
    node: str,
    holders: Callable[[], Collection[int]],
    connections: Connections,
) -> Search | None:
    """Return what searches for servers; None where nothing is to be searched.

    ``holders`` gives the processes that hold a GPU. Raises ValueError for a configured URL that is no use.
    """
    asked = config.discovery
    if asked is None:
        return None
    pods = _pods(asked, environment, node, connections)
    sources: list[Source] = [pods] if pods else []
    if asked.sockets:
        known = pods.pod_of if isinstance(pods, KubernetesSource) else _no_pod
        sources.append(SocketsSource(holders, pod_of=known))
    if not sources:
        return None
    return Search(
        sources,
        make=lambda target, url: _collector(target, url, connections),
        recognise=_recognise,
        static=static_targets(
            Named(each.url, each.name or "", access_of(each)) for each in config.servers
        ),
        limit=asked.limit,
        connections=connections,
    )


def _pods(
    asked: Discovery, environment: Mapping[str, str], node: str, connections: Connections
) -> KubernetesSource | AbsentSource | None:
    if asked.kubernetes == "false":
        return None
    found = in_cluster(environment, url=asked.api_server or "")
    if found.missing:
        if asked.kubernetes == "auto":
            return None
        return AbsentSource("kubernetes", Problem("not_in_cluster", "kubernetes", found.missing))
    api = ApiServer(
        found.url,
        node,
        access=found.access,
        selector=asked.selector or "",
        connections=connections,
    )
    access = Access(
        bearer_token_file=asked.bearer_token_file or "",
        ca_file=asked.ca_file or "",
        insecure_skip_verify=asked.insecure_skip_verify,
    )
    return KubernetesSource(api, namespaces=asked.namespaces, access=access)


def _collector(target: Target, url: str, connections: Connections) -> ServingCollector:
    return ServingCollector(url, name=target.name, access=target.access, connections=connections)


def _recognise(text: str) -> str:
    found = detect(text)
    return found[0].name if found else ""


def _no_pod(_: str) -> tuple[PodIdentity, str] | None:
    return None
