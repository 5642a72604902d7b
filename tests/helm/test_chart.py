"""The chart, rendered by real Helm 3 and 4 and judged by Kubernetes' own schemas."""

import json
import sys
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate
import pytest
import yaml

from agent import cli
from agent.config import load
from alerts import build as alerts
from dashboards import build as dashboards
from tests.helm.operator_schemas import SCHEMAS
from tests.real_parts.command import CommandError, run

CHART: Final = Path(__file__).resolve().parents[2] / "helm" / "warpwatch"
VALUES: Final = ("default", "everything", "bare", "alerts")
KUBERNETES: Final = ("1.25", "1.29", "1.33", "1.37")
Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(params=["helm3", "helm4"])
def helm(request: pytest.FixtureRequest) -> Path:
    """Return each Helm in turn."""
    path: Path = request.getfixturevalue(request.param)
    return path


def render(helm: Path, values: str, *options: str) -> Objects:
    """Return the objects that the chart makes of a set of values, by kind and name."""
    files = () if values == "default" else ("--values", CHART / "ci" / f"{values}-values.yaml")
    text = run(helm, "template", "w", CHART, "--namespace", "gpu", *files, *options)
    objects = [each for each in yaml.safe_load_all(text) if each]
    named = {(each["kind"], each["metadata"]["name"]): each for each in objects}
    assert len(named) == len(objects), "two objects of one name"
    return named


def pod(objects: Objects) -> dict[str, Any]:
    """Return the specification of the pods."""
    spec: dict[str, Any] = objects["DaemonSet", "w-warpwatch"]["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("values", VALUES)
def test_helm_lints_the_chart(helm: Path, values: str) -> None:
    """Helm's linter has no complaint, also when it is strict."""
    files = () if values == "default" else ("--values", CHART / "ci" / f"{values}-values.yaml")

    assert "0 chart(s) failed" in run(helm, "lint", "--strict", CHART, *files)


@pytest.mark.parametrize("values", VALUES)
def test_objects_are_valid(helm: Path, values: str) -> None:
    """Each object is what its schema says, with no key that Kubernetes or the operator does not know."""
    for (kind, _), each in render(helm, values).items():
        if kind in SCHEMAS:
            jsonschema.validate(each, SCHEMAS[kind])
        else:
            for version in KUBERNETES:
                kubernetes_validate.validate(each, version, strict=True)


def test_both_helms_render_the_same(helm3: Path, helm4: Path) -> None:
    """Helm 3 and Helm 4 make the same objects."""
    assert render(helm3, "everything") == render(helm4, "everything")


def test_kinds_by_values(helm4: Path) -> None:
    """Without the operator nothing of it is made; with everything on, all there is."""
    default = {kind for kind, _ in render(helm4, "default")}
    everything = {kind for kind, _ in render(helm4, "everything")}

    assert default == {"ConfigMap", "DaemonSet", "ServiceAccount"}
    assert everything == default | {
        "ClusterRole",
        "ClusterRoleBinding",
        "CronJob",
        "NetworkPolicy",
        "PodMonitor",
        "PrometheusRule",
        "Service",
        "StatefulSet",
    }


def test_pod_is_restricted_by_default(helm4: Path) -> None:
    """No privilege is there that was not asked for: the restricted Pod Security Standard."""
    spec = pod(render(helm4, "default"))
    (container,) = spec["containers"]

    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["automountServiceAccountToken"] is False
    assert not spec.keys() & {"hostPID", "hostNetwork", "hostIPC"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }
    assert all("hostPath" not in volume for volume in spec["volumes"])


def test_pod_sees_gpus_and_takes_none(helm4: Path) -> None:
    """It asks the runtime for all GPUs to read, and the scheduler for none."""
    spec = pod(render(helm4, "default"))
    (container,) = spec["containers"]
    env = {each["name"]: each.get("value") for each in container["env"]}

    assert spec["runtimeClassName"] == "nvidia"
    assert (env["NVIDIA_VISIBLE_DEVICES"], env["NVIDIA_DRIVER_CAPABILITIES"]) == ("all", "utility")
    assert container["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi"},
        "limits": {"memory": "128Mi"},
    }
    (terms,) = spec["affinity"]["nodeAffinity"][
        "requiredDuringSchedulingIgnoredDuringExecution"
    ].values()
    assert terms[0]["matchExpressions"][0]["key"] == "nvidia.com/gpu.present"


@pytest.mark.parametrize("values", ["default", "everything", "bare"])
def test_agent_accepts_its_configuration(helm4: Path, values: str, tmp_path: Path) -> None:
    """The file that the pod gets is one that the agent takes, and its port is the pod's port."""
    objects = render(helm4, values)
    path = tmp_path / "config.yaml"
    path.write_text(objects["ConfigMap", "w-warpwatch"]["data"]["config.yaml"])
    (container,) = pod(objects)["containers"]

    config = load(path, {}, {})

    assert container["args"] == ["run", "--config", "/etc/warpwatch/config.yaml"]
    assert container["ports"][0]["containerPort"] == config.listen.port
    assert container["env"][0] == {
        "name": "NODE_NAME",
        "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}},
    }


def test_probes_ask_the_agent(helm4: Path) -> None:
    """Liveness is the loop, readiness the first snapshot."""
    (container,) = pod(render(helm4, "default"))["containers"]

    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_changed_configuration_replaces_pods(helm4: Path) -> None:
    """The agent reads its file once, so a new configuration makes new pods."""
    before, after = (
        render(helm4, "default", *options)["DaemonSet", "w-warpwatch"]["spec"]["template"]
        for options in ((), ("--set", "config.interval=5s"))
    )

    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]


def test_selectors_find_the_pods(helm4: Path) -> None:
    """DaemonSet, PodMonitor and NetworkPolicy select the labels that the pods have."""
    objects = render(helm4, "everything")
    daemonset = objects["DaemonSet", "w-warpwatch"]["spec"]
    labels = daemonset["template"]["metadata"]["labels"].items()

    for selector in (
        daemonset["selector"],
        objects["PodMonitor", "w-warpwatch"]["spec"]["selector"],
        objects["NetworkPolicy", "w-warpwatch"]["spec"]["podSelector"],
    ):
        assert selector["matchLabels"].items() <= labels
    endpoint = objects["PodMonitor", "w-warpwatch"]["spec"]["podMetricsEndpoints"][0]
    assert endpoint["port"] == "http"


def test_secrets_are_mounted_where_the_configuration_looks(helm4: Path) -> None:
    """A key that names a file finds it, and no secret's content is in any object."""
    objects = render(helm4, "everything")
    config = yaml.safe_load(objects["ConfigMap", "w-warpwatch"]["data"]["config.yaml"])
    (container,) = pod(objects)["containers"]
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]

    assert any(config["otlp"][0]["headers_file"].startswith(f"{mount}/") for mount in mounts)
    assert "Secret" not in {kind for kind, _ in objects}


def _named(rule: dict[str, Any]) -> str:
    """Return what a rule is called: its alert, or the series that it records."""
    return str(rule.get("alert") or rule["record"])


def test_rules_are_the_generated_ones(helm: Path, promtool: Path, tmp_path: Path) -> None:
    """The chart's rules are the generated rules: expressions and templates whole, only links added to."""
    objects = render(helm, "alerts")
    spec = objects["PrometheusRule", "w-warpwatch"]["spec"]
    made = {_named(rule): rule for group in spec["groups"] for rule in group["rules"]}
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(spec))

    assert f"{len(made)} rules found" in run(promtool, "check", "rules", "--lint=all", path)
    for recording in alerts.all_recordings():
        assert made[recording.recorded.name] == recording.as_yaml()
    for rule in alerts.all_rules():
        written, notes = rule.as_yaml("", ""), made[rule.alert].pop("annotations")
        assert made[rule.alert] == {k: v for k, v in written.items() if k != "annotations"}
        for name in ("summary", "description", "action", "dashboard_url"):
            assert notes[name] == written["annotations"][name]


def test_runbooks_come_with_the_alerts(helm4: Path) -> None:
    """Where no address is given, each alert says how to read its runbook, and it is there."""
    objects = render(helm4, "alerts")
    shipped = objects["ConfigMap", "w-warpwatch-runbooks"]["data"]

    for group in objects["PrometheusRule", "w-warpwatch"]["spec"]["groups"]:
        for rule in filter(lambda each: "alert" in each, group["rules"]):
            file = f"{rule['alert']}.md"
            source = (alerts.HERE / "runbooks" / file).read_text(encoding="utf-8")
            assert shipped[file].strip() == source.strip()
            assert "runbook_url" not in rule["annotations"]
            assert rule["annotations"]["runbook"] == (
                "kubectl get configmap -n gpu w-warpwatch-runbooks "
                f"-o jsonpath='{{.data.{rule['alert']}\\.md}}'"
            )


def test_rules_follow_the_values(helm4: Path) -> None:
    """Alerts can be left out, labelled, and linked to one's own hosts."""
    spec = render(helm4, "everything")["PrometheusRule", "w-warpwatch"]["spec"]
    made = {_named(rule): rule for group in spec["groups"] for rule in group["rules"]}
    notes = made["GPULost"]["annotations"]

    assert {name for name in made if ":" not in name} == {r.alert for r in alerts.all_rules()} - {
        "WarpwatchNoAgents",
        "ModelServerNoData",
    }
    assert made["GPULost"]["labels"] == {"severity": "critical", "component": "gpu", "team": "gpu"}
    assert notes["runbook_url"] == "https://docs.example.com/runbooks/GPULost.md"
    assert notes["dashboard_url"].startswith("https://grafana.example.com/d/warpwatch-gpu-node?")


@pytest.mark.parametrize("name", dashboards.DASHBOARDS)
def test_dashboard_is_the_generated_one(name: str, helm: Path) -> None:
    """A ConfigMap holds each dashboard, under the label that Grafana's sidecar looks for."""
    config_map = render(helm, "default")["ConfigMap", f"w-warpwatch-dashboard-{name}"]
    (text,) = config_map["data"].values()
    source = dashboards.FOLDER / f"{name}.json"

    assert json.loads(text) == json.loads(source.read_text(encoding="utf-8"))
    assert config_map["metadata"]["labels"]["grafana_dashboard"] == "1"
    kept = json.dumps(text)  # kubectl apply keeps a copy in an annotation of at most 256 KiB
    assert len(kept.encode()) < 220_000


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ("bogus=1", "bogus"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("config.intervals=1s", "intervals"),
        ("config.node=n1", "node"),
        ("config.listen=9410", "listen"),
        ("config.servers[0].name=x", "url"),
        ("config.otlp[0].endpoint=collector:4317", "endpoint"),
        ("podMonitor.interval=often", "interval"),
        ("prometheusRule.grafanaUrl=grafana", "grafanaUrl"),
        ("secrets[0].mount=../x", "mount"),
        ("hostPID=yes", "hostPID"),
        ("updateStrategy.type=Sometimes", "type"),
    ],
)
def test_bad_values_are_refused(helm: Path, values: str, complaint: str) -> None:
    """A mistake in the values is named before anything is installed."""
    with pytest.raises(CommandError, match=complaint):
        render(helm, "default", "--set", values)


def test_unknown_alert_is_refused_with_the_known_ones(helm: Path) -> None:
    """A misspelt alert to leave out is an error that lists what there is."""
    with pytest.raises(CommandError, match=r'there is no alert "GPULst"; there are GPULost'):
        render(helm, "alerts", "--set", "prometheusRule.disabled={GPULst}")


def test_notes_say_what_is_missing(helm4: Path) -> None:
    """After the installation one reads how to look, and what was not turned on."""
    said = run(helm4, "install", "w", CHART, "--dry-run=client", "--namespace", "gpu",
               "--set", "config.listen=127.0.0.1:9410")  # fmt: skip

    assert "podMonitor.enabled=true" in said
    assert "rollout status daemonset/w-warpwatch" in said
    assert "WARNING: config.listen is 127.0.0.1:9410" in said


def test_generated_files_are_fresh() -> None:
    """The schema follows the agent's configuration, and the README the values."""
    said = run(sys.executable, CHART.parent / "build.py", "--check")

    assert said == ""


def test_every_value_is_in_the_schema() -> None:
    """No default is one that the schema does not know."""
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    jsonschema.validate(values, schema)
    assert set(values) | {"global"} == set(schema["properties"])


def test_each_model_has_a_report_of_its_own(helm4: Path) -> None:
    """A job a model, confined as the agent is, whose arguments the command takes."""
    jobs = [each for (kind, _), each in render(helm4, "everything").items() if kind == "CronJob"]

    assert len(jobs) == 2
    for job in jobs:
        spec = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        options = cli._parser().parse_args(container["args"])
        assert options.function == "report"
        assert str(options.output.parent) == "/reports"
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert spec["securityContext"]["fsGroup"] == 65532
        assert not spec["automountServiceAccountToken"]


def test_a_report_without_a_source_is_refused(helm: Path) -> None:
    """Whoever turns it on is told what it needs."""
    with pytest.raises(CommandError, match="needs `prometheus`, `claim`"):
        render(helm, "default", "--set", "driftReport.enabled=true")
