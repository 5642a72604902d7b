"""What the chart gives the agent for finding model servers: a role, a token, no more than is asked for."""

import json
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from agent.config import load
from tests.helm.test_chart import CHART, KUBERNETES, pod, render
from tests.real_parts.command import CommandError

SEARCH = ("--set-json", 'config.discovery={"kubernetes": "auto"}')


def role(objects: dict[tuple[str, str], dict[str, Any]]) -> dict[str, Any] | None:
    """Return the ClusterRole, if there is one."""
    return next((each for (kind, _), each in objects.items() if kind == "ClusterRole"), None)


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--set-json", 'config.discovery={"kubernetes": false, "sockets": true}'),
    ],
    ids=["default", "sockets only"],
)
def test_no_role_and_no_token_unless_pods_are_searched(
    helm4: Path, options: tuple[str, ...]
) -> None:
    """The agent cannot speak to the API server where it has no reason to."""
    objects = render(helm4, "default", *options)

    assert role(objects) is None
    assert pod(objects)["automountServiceAccountToken"] is False


def test_a_role_for_pods_and_nothing_else(helm4: Path) -> None:
    """It is list and watch of pods, for the agent's own account, whose token is mounted."""
    objects = render(helm4, "default", *SEARCH)
    found = role(objects)
    binding = objects["ClusterRoleBinding", "gpu-w-warpwatch"]

    assert found is not None
    assert found["rules"] == [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "watch"]}
    ]
    assert binding["roleRef"]["name"] == found["metadata"]["name"] == "gpu-w-warpwatch"
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "w-warpwatch", "namespace": "gpu"}
    ]
    assert pod(objects)["serviceAccountName"] == "w-warpwatch"
    assert pod(objects)["automountServiceAccountToken"] is True
    for version in KUBERNETES:
        for each in (found, binding):
            kubernetes_validate.validate(each, version, strict=True)


def test_somebody_elses_role(helm4: Path) -> None:
    """Where roles are made elsewhere, the token is mounted all the same."""
    objects = render(helm4, "default", *SEARCH, "--set", "rbac.create=false")

    assert role(objects) is None
    assert pod(objects)["automountServiceAccountToken"] is True


def test_the_default_account_gets_no_role(helm4: Path) -> None:
    """Every pod of the namespace would have it; the fix is named."""
    with pytest.raises(CommandError, match=r"set serviceAccount\.create: true"):
        render(helm4, "bare", *SEARCH)


def test_the_agent_takes_the_section(helm4: Path, tmp_path: Path) -> None:
    """The values arrive in the file as they were given, and the node's name in the environment."""
    objects = render(helm4, "everything")
    path = tmp_path / "config.yaml"
    path.write_text(objects["ConfigMap", "w-warpwatch"]["data"]["config.yaml"])

    found = load(path, {}, {}).discovery

    assert found is not None
    assert (found.kubernetes, found.sockets, found.limit) == ("true", True, 32)
    assert (found.namespaces, found.selector) == (("models",), "tier=serving")
    (container,) = pod(objects)["containers"]
    assert container["env"][0]["name"] == "NODE_NAME"


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ('{"kubernetes": "maybe"}', "kubernetes"),
        ('{"namespaces": "models"}', "namespaces"),
        ('{"limit": 0}', "limit"),
        ('{"socket": true}', "socket"),
    ],
)
def test_mistakes_are_refused_before_anything_is_installed(
    helm4: Path, value: str, complaint: str
) -> None:
    """By the agent's own schema."""
    with pytest.raises(CommandError, match=complaint):
        render(helm4, "default", "--set-json", f"config.discovery={value}")


def test_what_the_values_say_of_sockets_is_enough(helm4: Path) -> None:
    """The values that the comment names make a pod that may look at every process."""
    values = {
        "hostPID": True,
        "hostNetwork": True,
        "podSecurityContext": {"runAsNonRoot": False, "runAsUser": 0},
        "securityContext": {"capabilities": {"add": ["SYS_PTRACE", "DAC_READ_SEARCH"]}},
        "config": {"discovery": {"kubernetes": False, "sockets": True}},
    }
    text = (CHART / "values.yaml").read_text(encoding="utf-8")

    options = [
        each for key in values for each in ("--set-json", f"{key}={json.dumps(values[key])}")
    ]
    objects = render(helm4, "default", *options)

    spec = pod(objects)
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsUser"] == 0
    assert container["securityContext"]["capabilities"] == {
        "add": ["SYS_PTRACE", "DAC_READ_SEARCH"],
        "drop": ["ALL"],
    }
    assert "add: [SYS_PTRACE, DAC_READ_SEARCH]" in text.replace("\n  # ", " ")
