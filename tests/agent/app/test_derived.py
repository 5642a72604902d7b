"""Which collectors read the others, and whom they are told to look for."""

from typing import cast

import pytest

from agent.config import Config, Server
from agent.config.objectives import Slo
from agent.derived import _servers, derived
from agent.discovery.discovery import Discovery, FoundServer
from agent.discovery.target import PodIdentity
from agent.sampler import Sampler

SLO = Slo(name="up", model="*", signal="availability", objective=0.99)
CHAT = Server(url="http://127.0.0.1:8000", gpus=("0",))


class Found:
    """A search that found two servers, one of which is configured."""

    pod = PodIdentity("models", "chat-0", "uid", "server", ("c" * 64,))
    servers = (
        FoundServer("127.0.0.1:8000", "http://127.0.0.1:8000/metrics", "static", None, frozenset()),
        FoundServer("chat-0", "http://10.1.0.5:8000/metrics", "kubernetes", pod, frozenset({7})),
    )


FOUND = cast("Discovery", Found())


@pytest.mark.parametrize(
    ("config", "search", "expected"),
    [
        (Config(), None, []),
        (Config(servers=(CHAT,)), None, ["join"]),
        (Config(), FOUND, ["join"]),
        (Config(gpu_hour_price={"*": 1.0}), None, ["join"]),
        (Config(slos=(SLO,), servers=(CHAT,)), None, ["join", "slo"]),
    ],
)
def test_nobody_runs_for_nothing(
    config: Config, search: Discovery | None, expected: list[str]
) -> None:
    """The join runs where there are servers or prices, objectives where there are any."""
    assert [each.name for each in derived(config, Sampler([]), search)] == expected


def test_servers_are_the_configured_ones_and_those_that_were_found() -> None:
    """Each once, with the GPUs that are configured, or the pod and the processes that are known."""
    configured, found = _servers(Config(servers=(CHAT,)), FOUND)()

    assert (configured.name, configured.gpus) == ("127.0.0.1:8000", ("0",))
    assert (found.name, found.pids, found.pod) == ("chat-0", frozenset({7}), Found.pod)


async def test_they_read_the_last_snapshot() -> None:
    """Before there is one they have nothing to say."""
    config = Config(gpu_hour_price={"*": 1.0}, slos=(SLO,))

    join, slo = derived(config, Sampler([]), None)

    assert (await join.collect()).readings == ()
    assert [each.metric.name for each in (await slo.collect()).readings] == [
        "inference.slo.objective",
        "inference.slo.window",
    ]
    await join.close()
