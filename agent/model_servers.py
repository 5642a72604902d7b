"""Puts together what collects from model servers: those that are configured, and the search for others."""

from collections.abc import Callable, Collection, Mapping, Sequence

from agent.collectors.scrape import Access, Connections
from agent.collectors.serving.budget import SeriesBudget
from agent.collectors.serving.collector import ServingCollector
from agent.collectors.serving.detection import detect
from agent.collectors.serving.profile import Profile
from agent.config import Config, Discovery, Server
from agent.config.probe import FoundProbe
from agent.custom_profiles import known_profiles
from agent.discovery.absent import AbsentSource
from agent.discovery.discovery import Discovery as Search
from agent.discovery.discovery import MakeProbe, no_probe
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
        headers_file=server.headers_file or "",
        ca_file=server.ca_file or "",
        cert_file=server.cert_file or "",
        key_file=server.key_file or "",
        server_name=server.server_name or "",
        insecure_skip_verify=server.insecure_skip_verify,
    )


def configured(
    config: Config, connections: Connections, series: SeriesBudget
) -> list[ServingCollector]:
    """Return a collector for each configured server. Raises ValueError for one that cannot be.

    ``series`` is what all servers of the node share, as ``connections`` are.
    """
    profiles = known_profiles(config.profiles)
    return [
        ServingCollector(
            each.url,
            name=each.name or "",
            profile=each.profile,
            profiles=profiles,
            model=each.model or "",
            interval=each.interval,
            access=access_of(each),
            connections=connections,
            series=series,
        )
        for each in config.servers
    ]


def search(
    config: Config,
    environment: Mapping[str, str],
    node: str,
    holders: Callable[[], Collection[int]],
    connections: Connections,
    series: SeriesBudget,
) -> Search | None:
    """Return what searches for servers; None where nothing is to be searched.

    ``holders`` gives the processes that hold a GPU. Raises ValueError for a configured URL that is no use.
    """
    asked = config.discovery
    if asked is None:
        return None
    pods = pods_source(asked, environment, node, connections)
    sources: list[Source] = [pods] if pods else []
    if asked.sockets:
        known = pods.pod_of if isinstance(pods, KubernetesSource) else _no_pod
        sources.append(SocketsSource(holders, pod_of=known))
    if not sources:
        return None
    profiles = known_profiles(config.profiles)
    return Search(
        sources,
        make=lambda target, url: _collector(target, url, connections, series, profiles),
        make_probe=_probes(asked.probe, profiles, connections),
        recognise=lambda text: _recognise(text, profiles),
        static=static_targets(
            Named(each.url, each.name or "", access_of(each)) for each in config.servers
        ),
        limit=asked.limit,
        connections=connections,
    )


def pods_source(
    asked: Discovery, environment: Mapping[str, str], node: str, connections: Connections
) -> KubernetesSource | AbsentSource | None:
    """Return what knows the pods of the node; None where they are not to be searched."""
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


def _collector(
    target: Target,
    url: str,
    connections: Connections,
    series: SeriesBudget,
    profiles: Sequence[Profile],
) -> ServingCollector:
    return ServingCollector(
        url,
        name=target.name,
        profiles=profiles,
        access=target.access,
        connections=connections,
        series=series,
    )


def _probes(
    asked: FoundProbe | None, profiles: Sequence[Profile], connections: Connections
) -> MakeProbe:
    if asked is None:
        return no_probe
    from agent.probes import probes_of_found  # noqa: PLC0415 - only where configured

    return probes_of_found(asked, profiles, connections)


def _recognise(text: str, profiles: Sequence[Profile]) -> str:
    found = detect(text, profiles)
    return found[0].name if found else ""


def _no_pod(_: str) -> tuple[PodIdentity, str] | None:
    return None
