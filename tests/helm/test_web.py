"""TLS and credentials in the chart: Secrets become files, and all who ask know how."""

from pathlib import Path
from typing import Any

import pytest

from agent.config import Web, load
from tests.helm.test_chart import Objects, helm, pod, render
from tests.real_parts.command import CommandError

__all__ = ["helm"]  # the fixture

TLS = ("--set", "web.tls.secretName=t,web.tls.serverName=warpwatch.gpu.svc")
TOKEN = ("--set", "web.credentials.secretName=c")
SCRAPED = ("--set", "podMonitor.enabled=true,drift.enabled=true")
NAMES = ("w-warpwatch", "w-warpwatch-drift")


def endpoint(objects: Objects, name: str) -> dict[str, Any]:
    """Return how a PodMonitor scrapes."""
    (found,) = objects["PodMonitor", name]["spec"]["podMetricsEndpoints"]
    return dict(found)


def configured(objects: Objects, name: str, folder: Path) -> Web:
    """Return what a process' own configuration comes to."""
    path = folder / f"{name}.yaml"
    path.write_text(objects["ConfigMap", name]["data"]["config.yaml"])
    return load(path, {}, {}).web


def specs(objects: Objects) -> list[dict[str, Any]]:
    """Return the pods of the agent and of the drift process."""
    drift = objects["StatefulSet", "w-warpwatch-drift"]["spec"]["template"]["spec"]
    return [pod(objects), drift]


def test_nothing_is_protected_by_default(helm: Path, tmp_path: Path) -> None:
    """Without values there is plain HTTP for everybody, and nothing is mounted."""
    objects = render(helm, "default", *SCRAPED)

    for name, spec in zip(NAMES, specs(objects), strict=True):
        assert configured(objects, name, tmp_path) == Web()
        assert not any("web" in volume["name"] for volume in spec["volumes"])
        assert "scheme" not in spec["containers"][0]["livenessProbe"]["httpGet"]
        assert not endpoint(objects, name).keys() & {"scheme", "tlsConfig", "authorization"}


def test_files_of_secrets_are_where_the_configuration_looks(helm: Path, tmp_path: Path) -> None:
    """Each file that the configuration names is below a mount of the Secret that holds it."""
    objects = render(
        helm, "default", *TLS, *TOKEN, *SCRAPED, "--set", "web.credentials.usersKey=users"
    )

    for name, spec in zip(NAMES, specs(objects), strict=True):
        web = configured(objects, name, tmp_path)
        secrets = {
            each["name"]: each["secret"]["secretName"]
            for each in spec["volumes"]
            if "secret" in each
        }
        mounts = {
            each["mountPath"]: secrets[each["name"]]
            for each in spec["containers"][0]["volumeMounts"]
            if each["name"] in secrets and each["readOnly"]
        }
        expected = {
            (web.cert_file, "t", "tls.crt"),
            (web.key_file, "t", "tls.key"),
            (web.bearer_token_file, "c", "token"),
            (web.basic_auth_users_file, "c", "users"),
        }
        assert expected == {
            (f"{mount}/{key}", secret, key)
            for mount, secret in mounts.items()
            for key in {"t": ("tls.crt", "tls.key"), "c": ("token", "users")}[secret]
        }


def test_probes_and_prometheus_speak_https(helm: Path) -> None:
    """The kubelet asks by HTTPS, without credentials; Prometheus checks the name and sends the token."""
    objects = render(helm, "default", *TLS, *TOKEN, *SCRAPED)

    for name, spec in zip(NAMES, specs(objects), strict=True):
        for probe in ("livenessProbe", "readinessProbe"):
            assert spec["containers"][0][probe]["httpGet"]["scheme"] == "HTTPS"
        found = endpoint(objects, name)
        assert found["scheme"] == "https"
        assert found["tlsConfig"] == {
            "serverName": "warpwatch.gpu.svc",
            "ca": {"secret": {"name": "t", "key": "ca.crt"}},
        }
        assert found["authorization"] == {
            "type": "Bearer",
            "credentials": {"name": "c", "key": "token"},
        }


def test_credentials_without_tls_keep_http(helm: Path) -> None:
    """A mesh may encrypt: then there is a token and plain HTTP."""
    objects = render(helm, "default", *TOKEN, *SCRAPED)

    found = endpoint(objects, "w-warpwatch")
    assert found["authorization"]["credentials"] == {"name": "c", "key": "token"}
    assert not found.keys() & {"scheme", "tlsConfig"}


def test_ones_own_configuration_wins(helm: Path, tmp_path: Path) -> None:
    """Who names files in the configuration gets those, and HTTPS all the same."""
    own = ("--set", "config.web.cert_file=/own/tls.crt,config.web.min_version=TLS13")
    objects = render(helm, "default", *own, "--set", "podMonitor.enabled=true")
    both = render(helm, "default", *own, *TLS)

    web = configured(objects, "w-warpwatch", tmp_path)
    merged = configured(both, "w-warpwatch", tmp_path)
    assert (web.cert_file, web.min_version) == ("/own/tls.crt", "TLS13")
    assert (merged.cert_file, merged.key_file) == ("/own/tls.crt", "/etc/warpwatch/web/tls/tls.key")
    assert endpoint(objects, "w-warpwatch")["scheme"] == "https"
    (container,) = pod(objects)["containers"]
    assert container["readinessProbe"]["httpGet"]["scheme"] == "HTTPS"


def test_prometheus_can_show_something_else(helm: Path) -> None:
    """A client certificate, a password or another authority are the PodMonitor's own keys."""
    objects = render(
        helm,
        "default",
        *TLS,
        *TOKEN,
        *SCRAPED,
        "--set",
        "web.tls.clientCertificates=true,podMonitor.tlsConfig.serverName=x,"
        "podMonitor.tlsConfig.keySecret.name=p,podMonitor.tlsConfig.keySecret.key=tls.key,"
        "podMonitor.basicAuth.username.name=p,podMonitor.basicAuth.username.key=u,"
        "podMonitor.basicAuth.password.name=p,podMonitor.basicAuth.password.key=p",
    )

    found = endpoint(objects, "w-warpwatch")
    assert found["tlsConfig"] == {"serverName": "x", "keySecret": {"name": "p", "key": "tls.key"}}
    assert found["basicAuth"]["username"] == {"name": "p", "key": "u"}
    assert "authorization" not in found


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--set", "web.tls.clientCertificates=true"), "needs web.tls.secretName"),
        ((*TOKEN, "--set", "web.credentials.tokenKey="), "needs tokenKey or usersKey"),
        (("--set", "web.tls.secretName=t", *SCRAPED), "needs web.tls.serverName"),
        (
            (*TLS, *SCRAPED, "--set", "web.tls.clientCertificates=true"),
            "needs podMonitor.tlsConfig",
        ),
        (
            (*TOKEN, *SCRAPED, "--set", "web.credentials.tokenKey=,web.credentials.usersKey=u"),
            "needs podMonitor.basicAuth",
        ),
        (("--set", "web.credentials.token=secret"), "token"),
        (("--set", "web.credentials.tokenKey=../x"), "tokenKey"),
    ],
)
def test_what_cannot_work_is_refused(helm: Path, options: tuple[str, ...], complaint: str) -> None:
    """A Prometheus that could not get in is found before anything is installed."""
    with pytest.raises(CommandError, match=complaint):
        render(helm, "default", *options)
