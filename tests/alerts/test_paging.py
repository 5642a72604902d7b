"""Who is paged, once, and with what text: through a real Alertmanager where it matters."""

import json
import re
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts import build
from alerts.paging import KEY_FILE
from tests.real_parts.command import run
from tests.real_parts.paging import Pager, running_pager, start_paging
from tests.real_parts.programs import Programs

CONFIG = build.GENERATED / "alertmanager.yaml"
RULES = build.all_rules()
GPU = {"alertname": "GPULost", "severity": "critical", "component": "gpu", "k8s_node_name": "n1"}
PATIENCE = 20.0


@pytest.fixture
def pager() -> Iterator[Pager]:
    """Run a pager."""
    with running_pager() as running:
        yield running


@pytest.fixture
def alertmanager_url(pager: Pager, programs: Programs, tmp_path: Path, alertmanager: Path) -> str:
    """Run the generated configuration; alerts of one group that come at once are one page."""
    assert alertmanager.exists()
    return start_paging(programs, tmp_path, pager, group_wait="1s").url


def alert(**labels: str) -> dict[str, Any]:
    """Return an alert as Prometheus sends it, with annotations that differ by GPU."""
    which = labels.get("hw_gpu_index", "?")
    return {
        "labels": {**GPU, **labels},
        "annotations": {
            "summary": f"GPU {which} on node n1 is lost",
            "description": f"UUID GPU-{which} was there.",
            "action": "Cordon the node.",
            "runbook_url": "https://docs.example/GPULost.md",
            "dashboard_url": "/d/warpwatch-gpu-node?var-node=n1",
        },
    }


def post(url: str, *alerts: dict[str, Any]) -> None:
    """Send alerts to Alertmanager."""
    request = urllib.request.Request(  # noqa: S310 - our own loopback address
        f"{url}/api/v2/alerts",
        json.dumps(alerts).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310 - as above
        pass


def test_three_gpus_are_one_page_that_is_not_blank(alertmanager_url: str, pager: Pager) -> None:
    """Alerts that differ make one incident whose text names them all."""
    post(alertmanager_url, *(alert(hw_gpu_index=str(i), hw_id=f"GPU-{i}") for i in range(3)))

    (event,) = pager.wait(1)

    payload = event["payload"]
    assert payload["summary"] == "n1: GPULost GPU 0; GPULost GPU 1; GPULost GPU 2"
    assert (payload["source"], payload["severity"]) == ("n1", "critical")
    assert (payload["component"], payload["class"]) == ("gpu", "GPULost")
    assert all(f"UUID GPU-{i} was there." in payload["custom_details"]["what"] for i in range(3))
    assert payload["custom_details"]["action"] == "Cordon the node."
    assert payload["custom_details"]["firing"] == ""
    assert event["routing_key"] == "0123456789abcdef0123456789abcdef"
    assert event["links"] == [{"href": "https://docs.example/GPULost.md", "text": "Runbook"}]


def test_alerts_of_one_page_are_told_apart_by_their_subject(
    alertmanager_url: str, pager: Pager
) -> None:
    """Several alerts keep the few words that matter: which XIDs, which action."""
    fatal = alert(alertname="GPUFatalXid", hw_gpu_index="1")
    fatal["annotations"]["subject"] = "XID 48 79"
    post(alertmanager_url, fatal, alert(hw_gpu_index="2"))

    (event,) = pager.wait(1)

    assert event["payload"]["summary"] == "n1: GPUFatalXid GPU 1 XID 48 79; GPULost GPU 2"


def test_one_alert_is_told_in_its_own_words_and_resolved(
    alertmanager_url: str, pager: Pager
) -> None:
    """A page of one alert has its summary, and its end closes the same incident."""
    one = alert(hw_gpu_index="3", hw_id="GPU-3")
    post(alertmanager_url, one)
    pager.wait(1)

    post(alertmanager_url, one | {"endsAt": "2020-01-01T00:00:00Z"})

    opened, closed = pager.wait(2)[:2]
    assert opened["payload"]["summary"] == "GPU 3 on node n1 is lost"
    assert (opened["event_action"], closed["event_action"]) == ("trigger", "resolve")
    assert opened["dedup_key"] == closed["dedup_key"]
    assert closed["payload"]["summary"] == "GPU 3 on node n1 is lost"


def test_a_warning_never_swallows_a_page(alertmanager_url: str, pager: Pager) -> None:
    """A critical alert opens an incident of its own, also where a warning's is open."""
    warning = {"alertname": "GPUNearThermalLimit", "severity": "warning"}
    post(alertmanager_url, alert(hw_gpu_index="1", **warning))
    pager.wait(1)

    post(alertmanager_url, alert(hw_gpu_index="2"))

    first, second = pager.wait(2)[:2]
    assert [e["payload"]["severity"] for e in (first, second)] == ["warning", "critical"]
    assert first["dedup_key"] != second["dedup_key"]


def test_a_storm_stays_small_and_says_how_big_it_is(alertmanager_url: str, pager: Pager) -> None:
    """Hundreds of alerts are one page below the size at which Alertmanager drops all details."""
    post(alertmanager_url, *(alert(hw_gpu_index=str(i), hw_id=f"GPU-{i}") for i in range(300)))

    (event,) = pager.wait(1)

    assert event["payload"]["summary"].endswith("; 300 alerts in all")
    assert len(event["payload"]["summary"]) < 1024
    assert "the first 20 are shown" in event["payload"]["custom_details"]["what"]
    assert len(json.dumps(event)) < 16_384


def test_agents_that_are_all_gone_are_one_page(alertmanager_url: str, pager: Pager) -> None:
    """The page about all agents mutes the warnings about each."""
    agents = {"component": "agent", "severity": "critical"}
    gone = alert(alertname="WarpwatchNoAgents", **agents)
    del gone["labels"]["k8s_node_name"]
    each = (
        alert(alertname="WarpwatchAgentMissing", component="agent", severity="warning", k8s_node_name=f"n{i}")
        for i in range(5)
    )  # fmt: skip
    post(alertmanager_url, gone, *each, alert(hw_gpu_index="1"))

    events = pager.wait(2)
    time.sleep(1.5)  # more than group_wait: a warning that was not muted would have come

    assert {e["payload"]["class"] for e in events} == {"WarpwatchNoAgents", "GPULost"}
    assert {e["payload"]["source"] for e in events} == {"warpwatch", "n1"}


def drifted(model: str, feature: str, alertname: str = "ModelFeatureShifted") -> dict[str, Any]:
    """Return an alert about a feature of a model."""
    labels = {"model": model, "model_version": "1", "reference": "r", "feature": feature}
    kind = {"alertname": alertname, "severity": "warning", "component": "model"}
    return {
        "labels": {**kind, **labels},
        "annotations": {"subject": feature, "summary": f"{model} 1: {feature} has moved up"},
    }


def test_features_that_drift_are_one_incident_per_model(
    alertmanager_url: str, pager: Pager
) -> None:
    """However many features of a model drift, its people are told once, and another model's apart."""
    features = ("age", "income", "plan")
    post(
        alertmanager_url,
        *(drifted("churn", feature) for feature in features),
        drifted("fraud", "amount"),
    )

    events = {event["payload"]["source"]: event["payload"] for event in pager.wait(2)}

    assert events["churn"]["summary"] == (
        "churn: ModelFeatureShifted age; ModelFeatureShifted income; ModelFeatureShifted plan"
    )
    assert events["fraud"]["summary"] == "fraud 1: amount has moved up"
    assert {each["component"] for each in events.values()} == {"model"}


def test_a_missing_field_mutes_its_own_change_of_shape_alone(
    alertmanager_url: str, pager: Pager
) -> None:
    """What follows from a missing field is not told beside it; other features are."""
    shape = "ModelFeatureShapeChanged"
    post(alertmanager_url, drifted("churn", "age", "ModelFeatureMissing"))
    pager.wait(1)

    post(alertmanager_url, drifted("churn", "age", shape), drifted("churn", "plan", shape))

    told = pager.wait(2)[-1]["payload"]["summary"]
    assert told == "churn: ModelFeatureMissing age; ModelFeatureShapeChanged plan"


def test_amtool_accepts_the_configuration(amtool: Path) -> None:
    """Alertmanager's own tool takes the configuration and its templates."""
    said = run(amtool, "check-config", CONFIG)

    assert "1 templates" in said
    assert "SUCCESS" in said


def test_amlint_finds_nothing() -> None:
    """The linter of what amtool misses has no error and no warning."""
    said = run(Path(sys.executable).parent / "amlint", "check", "--strict", CONFIG)

    assert "WARN" not in said
    assert "ERROR" not in said


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.alert)
def test_every_alert_reaches_the_pager(rule: Any, amtool: Path) -> None:
    """No alert falls through to a receiver that nobody meant."""
    labels = [f"alertname={rule.alert}", f"component={rule.component.value}"]
    severity = f"severity={rule.severity.value}"

    said = run(amtool, "config", "routes", "test", f"--config.file={CONFIG}",
               "--verify.receivers=pagerduty", *labels, severity)  # fmt: skip

    assert "pagerduty" in said


def test_inhibitions_name_alerts_that_exist() -> None:
    """What mutes and what is muted are alerts of ours, and nothing mutes itself."""
    names = {rule.alert for rule in RULES}

    for each in yaml.safe_load(CONFIG.read_text())["inhibit_rules"]:
        (source,), targets = (
            re.findall(r"\w+(?=[|\"])", " ".join(each[key])) for key in ("source_matchers", "target_matchers")
        )  # fmt: skip
        assert {source, *targets} <= names
        assert source not in targets


def test_no_key_is_in_the_configuration() -> None:
    """The integration key comes from a file."""
    text = CONFIG.read_text()

    assert "routing_key:" not in text
    assert f"routing_key_file: {KEY_FILE}" in text
