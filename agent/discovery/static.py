"""The servers that the configuration names: always there, and never found a second time."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from agent.collectors.scrape import OPEN, Access, endpoint
from agent.discovery.target import Target, is_own, place_of

SOURCE: Final = "static"


class Named(NamedTuple):
    """One server of the configuration. An empty name stands for host:port."""

    url: str
    name: str = ""
    access: Access = OPEN


def static_targets(
    servers: Iterable[Named], own: Callable[[str], bool] = is_own
) -> tuple[Target, ...]:
    """Return the targets of configured servers. Raises ValueError for a URL that cannot be used."""
    targets = []
    for server in servers:
        where = endpoint(server.url)
        name = server.name or where.address
        target = Target(
            place=place_of(server.url, own),
            urls=(server.url,),
            name=name,
            source=SOURCE,
            owner=name,
            sure=True,
            access=server.access,
        )
        targets.append(target)
    return tuple(targets)
