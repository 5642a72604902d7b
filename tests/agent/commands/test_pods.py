from dataclasses import replace
from pathlib import Path

import pytest

from agent.commands.diagnosis import Finding, Verdict, diagnose
from agent.config import Discovery, load
from tests.agent.discovery.fake_api import NODE, fake_api, pod

BASE = replace(load(None, {}, {}), simulate="1xL4", node=NODE)


async def finding(discovery: Discovery | None) -> Finding | None:
    """Return what doctor says of the pods."""
    config = replace(BASE, discovery=discovery)
    found = [each async for each in diagnose(config, {}) if each.subject == "pods"]
    return found[0] if found else None


async def test_it_lists_the_pods_as_the_agent_would() -> None:
    """How many there are, and which may hold a server."""
    async with fake_api() as api:
        api.put(pod("chat-0"))
        api.put(pod("web", "10.0.0.9", containers=[{"name": "web", "image": "nginx"}]))

        found = await finding(Discovery(kubernetes="true", api_server=api.url))

    assert found is not None
    assert found.verdict is Verdict.OK
    assert found.found == "2 pods on this node, 1 may hold a model server: models/chat-0"


async def test_a_missing_role_is_named() -> None:
    """403 says which role is missing, and how to see it."""
    async with fake_api() as api:
        api.status = 403

        found = await finding(Discovery(kubernetes="true", api_server=api.url))

    assert found is not None
    assert found.verdict is Verdict.FAILED
    assert "list and watch of pods" in found.found
    assert "kubectl auth can-i" in found.action


@pytest.mark.parametrize(
    ("discovery", "verdict"),
    [
        (None, None),
        (Discovery(kubernetes="false"), None),
        (Discovery(kubernetes="auto"), None),
        (Discovery(kubernetes="true"), Verdict.FAILED),
    ],
)
@pytest.mark.skipif(
    Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists(), reason="runs in a pod"
)
async def test_outside_of_kubernetes(discovery: Discovery | None, verdict: Verdict | None) -> None:
    """Nothing is said, unless Kubernetes was asked for."""
    found = await finding(discovery)

    assert (found.verdict if found else None) is verdict
