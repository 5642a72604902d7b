"""The check of `warpwatch doctor` on finding servers: whether the API server tells of this node's pods."""

from collections.abc import Mapping
from typing import NamedTuple

from agent.app import node_name
from agent.collectors.scrape import Connections
from agent.config import Config
from agent.discovery.kubernetes import ApiError, KubernetesSource
from agent.model_servers import pods_source


class PodsSeen(NamedTuple):
    """How the look went. ``found`` says it; ``action`` what to do, empty where there is nothing to do."""

    found: str
    action: str = ""


async def look_at_pods(config: Config, environment: Mapping[str, str]) -> PodsSeen | None:
    """List the pods once, exactly as the agent would; None where they are not searched."""
    if config.discovery is None:
        return None
    source = pods_source(
        config.discovery, environment, node_name(config, environment), Connections()
    )
    if source is None:
        return None
    if not isinstance(source, KubernetesSource):
        (problem,) = source.problems
        return PodsSeen(problem.detail, "mount a service account's token, or leave kubernetes out")
    try:
        pods = await source.look()
    except ApiError as error:
        return PodsSeen(
            error.detail, "see that the agent may list pods: kubectl auth can-i list pods"
        )
    finally:
        await source.close()
    names = sorted({target.name.rpartition(":")[0] for target in source.targets})
    shown = ", ".join(names[:5]) + (" and more" if len(names) > 5 else "")
    hint = f": {shown}" if names else ""
    return PodsSeen(f"{pods} pods on this node, {len(names)} may hold a model server{hint}")
