"""The drift process in the chart: an application of its own beside the agent, off until asked for."""

from pathlib import Path
from typing import Any

import pytest

from agent import cli
from agent.config import load
from tests.helm.test_chart import Objects, helm, render
from tests.real_parts.command import CommandError

__all__ = ["helm"]  # the fixture

NAME = "w-warpwatch-drift"
ON = ("--set", "drift.enabled=true")


def pods(objects: Objects) -> dict[str, Any]:
    """Return the template of the drift process's pods."""
    template: dict[str, Any] = objects["StatefulSet", NAME]["spec"]["template"]
    return template


def test_it_is_off_by_default(helm4: Path) -> None:
    """Nothing of it is made unless it is asked for, and then all that it needs."""
    added = set(render(helm4, "default", *ON)) - set(render(helm4, "default"))

    assert added == {(kind, NAME) for kind in ("ConfigMap", "Service", "StatefulSet")}


def test_agent_and_drift_are_told_apart(helm4: Path) -> None:
    """Each selector finds its own pods and none of the other's: a DaemonSet would adopt them."""
    objects = render(helm4, "everything")
    daemonset = objects["DaemonSet", "w-warpwatch"]["spec"]
    agent, drift = (
        template["metadata"]["labels"].items()
        for template in (daemonset["template"], pods(objects))
    )
    selectors = [
        objects["StatefulSet", NAME]["spec"]["selector"]["matchLabels"],
        objects["Service", NAME]["spec"]["selector"],
        objects["PodMonitor", NAME]["spec"]["selector"]["matchLabels"],
        objects["NetworkPolicy", NAME]["spec"]["podSelector"]["matchLabels"],
    ]

    for selector in selectors:
        assert selector.items() <= drift
        assert not selector.items() <= agent
    assert not daemonset["selector"]["matchLabels"].items() <= drift


@pytest.mark.parametrize(("values", "options"), [("default", ON), ("everything", ())])
def test_process_accepts_its_configuration(
    helm4: Path, values: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    """The file is one that it takes; the port is the pod's and the Service's; state has a volume."""
    objects = render(helm4, values, *options)
    path = tmp_path / "config.yaml"
    path.write_text(objects["ConfigMap", NAME]["data"]["config.yaml"])
    (container,) = pods(objects)["spec"]["containers"]

    config = load(path, {}, {})
    ran = cli._parser().parse_args(container["args"])

    assert config.drift is not None
    port = config.drift.listen.port
    assert (ran.module, ran.function) == ("drift", "run")
    assert container["ports"] == [{"name": "http", "containerPort": port, "protocol": "TCP"}]
    (served,) = objects["Service", NAME]["spec"]["ports"]
    assert (served["port"], served["targetPort"]) == (port, "http")
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    assert mounts[str(config.state_dir)] == "state"


def test_it_is_scraped_each_minute(helm4: Path) -> None:
    """Scores over an hour need no more samples; the agent's interval is another one."""
    objects = render(helm4, "default", *ON, "--set", "podMonitor.enabled=true")

    intervals = {
        name: monitor["spec"]["podMetricsEndpoints"][0]["interval"]
        for (kind, name), monitor in objects.items()
        if kind == "PodMonitor"
    }
    assert intervals == {"w-warpwatch": "15s", NAME: "60s"}


def test_every_replica_compares_with_the_given_references(helm4: Path) -> None:
    """Each file of the ConfigMap is put in use before the process starts, by a command that exists."""
    spec = pods(render(helm4, "everything"))["spec"]

    assert len(spec["initContainers"]) == 2
    for container, file in zip(spec["initContainers"], ("churn", "fraud"), strict=True):
        options = cli._parser().parse_args(container["args"])
        assert options.function == "use_reference"
        assert str(options.file) == f"/etc/warpwatch/references/{file}.json"
        assert container["volumeMounts"] == spec["containers"][0]["volumeMounts"]
    (references,) = (v for v in spec["volumes"] if v["name"] == "references")
    assert references["configMap"] == {"name": "churn-reference"}


def test_state_outlives_a_pod_where_that_is_asked_for(helm4: Path) -> None:
    """A claim per replica, or a folder that ends with the pod."""
    kept = render(helm4, "everything")["StatefulSet", NAME]["spec"]
    passing = render(helm4, "default", *ON)["StatefulSet", NAME]["spec"]

    (claim,) = kept["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"]["requests"] == {"storage": "2Gi"}
    assert "volumeClaimTemplates" not in passing
    assert {"name": "state", "emptyDir": {}} in passing["template"]["spec"]["volumes"]


def test_it_has_no_privilege_and_no_gpu(helm4: Path) -> None:
    """The restricted Pod Security Standard, whatever the agent was granted; any node will do."""
    spec = pods(render(helm4, "everything"))["spec"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["fsGroup"] == 65532
    assert spec["automountServiceAccountToken"] is False
    assert not spec.keys() & {"hostPID", "hostNetwork", "runtimeClassName", "priorityClassName"}
    for container in (*spec["initContainers"], *spec["containers"]):
        assert container["image"] == "registry.example.com/gpu/warpwatch-drift:1"
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def test_each_process_has_an_image_of_its_own(helm4: Path) -> None:
    """The agent's image lacks what the drift process needs, so that is never the default."""
    report = ("--set", "driftReport.enabled=true", "--set", "driftReport.prometheus=http://p:9090")
    more = ("--set", "driftReport.claim=c", "--set", "driftReport.models[0].name=churn")
    objects = render(helm4, "default", *ON, *report, *more)

    (job,) = (each for (kind, _), each in objects.items() if kind == "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    images = (pods(objects)["spec"]["containers"][0]["image"], container["image"])
    assert images == ("warpwatch-drift:0.1.0", "warpwatch-report:0.1.0")


def test_a_logger_stays_with_one_replica(helm4: Path) -> None:
    """A request and its answer must reach the same process to be joined."""
    service = render(helm4, "everything")["Service", NAME]["spec"]

    assert service["sessionAffinity"] == "ClientIP"


def test_changed_configuration_replaces_pods(helm4: Path) -> None:
    """The process reads its file once."""
    before, after = (
        pods(render(helm4, "default", *ON, *options))["metadata"]["annotations"]
        for options in ((), ("--set", "drift.config.drift.learn_rows=500"))
    )

    assert before != after


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ("drift.config.drift.learn_row=500", "learn_row"),
        ("drift.config.drift.listen=9411", "listen"),
        ("drift.config.drift.listen=null", "drift.config.drift.listen is missing"),
        ("drift.replicas=many", "replicas"),
        ("drift.references.files[0]=../x", "files"),
        ("drift.persistance.enabled=true", "persistance"),
    ],
)
def test_bad_values_are_refused(helm: Path, values: str, complaint: str) -> None:
    """A mistake in the values is named before anything is installed."""
    with pytest.raises(CommandError, match=complaint):
        render(helm, "default", *ON, "--set", values)
