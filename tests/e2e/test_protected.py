"""Endpoints behind TLS and credentials, scraped by a real Prometheus while certificates and tokens change."""

import json
import ssl
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import bcrypt
import pytest
import yaml

from agent.catalogue.itself import COLLECTOR_PROBLEMS, WEB_REFUSED
from tests.agent.collectors.scrape.certificates import Pair, authority, signed
from tests.e2e.conftest import agent_config
from tests.real_parts.command import CommandError, run
from tests.real_parts.programs import Program, Programs, eventually, free_port
from tests.real_parts.servers import Prometheus, start_prometheus

pytestmark = pytest.mark.e2e

WARPWATCH: Final = Path(sys.executable).with_name("warpwatch")
TOKEN: Final = "first-token"  # noqa: S105 - of this test
_MOVE: Final = "moving"


@dataclass(frozen=True)
class Secrets:
    """What is mounted into the pods of this test."""

    folder: Path
    ca: Pair
    server: Pair
    client: Pair

    @property
    def web(self) -> dict[str, str]:
        """The agent's settings: TLS, tokens and users."""
        return {
            "cert_file": str(self.server.cert),
            "key_file": str(self.server.key),
            "bearer_token_file": str(self.folder / "token"),
            "basic_auth_users_file": str(self.folder / "users"),
        }

    def put(self, name: str, text: str) -> str:
        """Write a file as Kubernetes does, at one stroke; return its path."""
        (self.folder / _MOVE).write_text(text, encoding="utf-8")
        path = (self.folder / _MOVE).rename(self.folder / name)
        return str(path)

    def show(self, server: Pair) -> None:
        """Put a certificate and its key in the place of those in use."""
        for own, new in ((self.server.cert, server.cert), (self.server.key, server.key)):
            self.put(own.name, new.read_text())


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    """Make an authority, a server's and a client's certificate, a token and a user."""
    issued = tmp_path / "issued"
    issued.mkdir()
    ca = authority(issued)
    own = Secrets(
        tmp_path,
        ca,
        Pair(tmp_path / "tls.crt", tmp_path / "tls.key"),
        signed(issued, ca, "scraper"),
    )
    own.show(signed(issued, ca, "node-a", "IP:127.0.0.1"))
    own.put("token", f"{TOKEN}\n")
    hashed = bcrypt.hashpw(b"wonder", bcrypt.gensalt(10)).decode()
    own.put("users", f"alice:{hashed}\n")
    return own


def answers(url: str, secrets: Secrets) -> bool:
    """Tell whether a probe is answered by TLS."""
    context = ssl.create_default_context(cafile=secrets.ca.cert)
    with urllib.request.urlopen(f"{url}/readyz", timeout=5, context=context) as answer:  # noqa: S310
        return bool(answer.status == 200)


def started(programs: Programs, secrets: Secrets, web: dict[str, str]) -> tuple[Program, Path]:
    """Start an agent behind ``web`` and wait until it is ready; return it and its configuration."""
    config, address = agent_config(secrets.folder, simulate="1xT4", web=web)
    agent = programs.start(
        "agent", [WARPWATCH, "run", "--config", config], url=f"https://{address}"
    )
    eventually("the agent is ready", lambda: answers(agent.url, secrets))
    return agent, config


def scraping(
    programs: Programs, secrets: Secrets, jobs: dict[str, tuple[Program, Any]]
) -> Prometheus:
    """Start a Prometheus with these jobs: what is scraped, and by which access."""
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms"},
        "scrape_configs": [
            {
                "job_name": name,
                "scheme": "https",
                "static_configs": [{"targets": [agent.url.removeprefix("https://")]}],
                "tls_config": {"ca_file": str(secrets.ca.cert)},
                **access,
            }
            for name, (agent, access) in jobs.items()
        ],
    }
    path = secrets.folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(config))
    return start_prometheus(programs, path)


def up(prometheus: Prometheus) -> dict[str, float]:
    """Return which jobs are up."""
    return {labels["job"]: value for labels, value in prometheus.query("up")}


def bearer(path: str) -> dict[str, Any]:
    """Return the access of a job with a token."""
    return {"authorization": {"credentials_file": path}}


def test_prometheus_gets_in_by_each_way(programs: Programs, secrets: Secrets) -> None:
    """A token, a password and a client's certificate each let a real Prometheus in; without, it is down."""
    agent, _ = started(programs, secrets, secrets.web)
    certified, _ = started(
        programs,
        secrets,
        {
            "cert_file": str(secrets.server.cert),
            "key_file": str(secrets.server.key),
            "client_ca_file": str(secrets.ca.cert),
            "min_version": "TLS13",
        },
    )
    ca = {"ca_file": str(secrets.ca.cert)}
    certificate = {"cert_file": str(secrets.client.cert), "key_file": str(secrets.client.key)}

    prometheus = scraping(
        programs,
        secrets,
        {
            "token": (agent, bearer(f"{secrets.folder}/token")),
            "password": (agent, {"basic_auth": {"username": "alice", "password": "wonder"}}),
            "certificate": (certified, {"tls_config": ca | certificate}),
            "nothing": (agent, {}),
            "wrong": (agent, {"basic_auth": {"username": "alice", "password": "guess"}}),
            "no-certificate": (certified, {}),
        },
    )

    expected = {
        **dict.fromkeys(("token", "password", "certificate"), 1.0),
        **dict.fromkeys(("nothing", "wrong", "no-certificate"), 0.0),
    }
    eventually("each job is as it should be", lambda: up(prometheus) == expected)
    refused = eventually(
        "refusals are told",
        lambda: (
            {
                labels["warpwatch_refusal"]
                for labels, _ in prometheus.query(f"{WEB_REFUSED.family} > 0")
            }
            >= {"credentials_missing", "credentials_wrong", "certificate_missing"}
        ),
    )
    assert refused
    assert up(prometheus) == expected


def test_rotation_under_a_running_agent(programs: Programs, secrets: Secrets) -> None:
    """New certificates and tokens are in use within seconds; a broken one is a problem and no outage."""
    agent, config = started(programs, secrets, secrets.web)
    token = secrets.put("token-of-prometheus", TOKEN)
    prometheus = scraping(programs, secrets, {"token": (agent, bearer(token))})
    eventually("it is scraped", lambda: up(prometheus) == {"token": 1.0})
    problems = f"increase({COLLECTOR_PROBLEMS.family}{{warpwatch_collector='web'}}[1m]) > 0"

    secrets.put("tls.crt", "no certificate")
    eventually("a problem is told", lambda: prometheus.query(problems), timeout=40)
    still_up = up(prometheus)
    fresh = secrets.folder / "fresh"
    fresh.mkdir()
    secrets.show(signed(fresh, secrets.ca, "node-b", "IP:127.0.0.1"))
    secrets.put("token", "second-token\n")
    eventually("the old token is refused", lambda: up(prometheus) == {"token": 0.0})
    secrets.put("token-of-prometheus", "second-token")
    eventually("the new token lets in", lambda: up(prometheus) == {"token": 1.0})

    assert still_up == {"token": 1.0}
    assert "read again" in agent.said()
    assert "1 GPUs" in run(WARPWATCH, "status", "--config", config)
    for secret in (TOKEN, "second-token"):
        assert secret not in agent.said()


def test_commands_get_in(programs: Programs, secrets: Secrets) -> None:
    """`warpwatch status` uses the agent's own configuration, and at a URL what its flags say."""
    agent, config = started(programs, secrets, secrets.web)
    password = secrets.put("password", "wonder\n")
    ca = ("--ca-file", secrets.ca.cert)
    at = ("status", "--json", "--url", agent.url)

    by_itself = json.loads(run(WARPWATCH, "status", "--json", "--config", config))
    by_token = run(WARPWATCH, *at, *ca, "--bearer-token-file", secrets.web["bearer_token_file"])
    by_user = run(WARPWATCH, *at, *ca, "--username", "alice", "--password-file", password)

    assert by_itself["node"] == json.loads(by_token)["node"] == json.loads(by_user)["node"]
    with pytest.raises(CommandError, match=r"does not let us in.* --bearer-token-file"):
        run(WARPWATCH, *at, *ca)
    with pytest.raises(CommandError, match=r"certificate cannot be trusted.* --ca-file"):
        run(WARPWATCH, *at)


def test_the_drift_process_is_protected_as_well(
    programs: Programs, secrets: Secrets, tmp_path: Path
) -> None:
    """Payloads, metrics and commands want what the agent's endpoint wants."""
    port = free_port()
    config = tmp_path / "drift.yaml"
    settings = {"drift": {"listen": f"127.0.0.1:{port}", "learn_rows": 100}, "web": secrets.web}
    config.write_text(json.dumps(settings))
    drift = programs.start(
        "drift", [WARPWATCH, "drift", "run", "--config", config], url=f"https://127.0.0.1:{port}"
    )
    eventually("it is ready", lambda: answers(drift.url, secrets))
    body = json.dumps({"model": "churn", "rows": [{"age": n} for n in range(200)]})
    send = ("curl", "-s", "-o", "-", "-w", "%{http_code}", "--cacert", secrets.ca.cert, "-d", body)

    refused = run(*send, f"{drift.url}/v1/rows")
    taken = run(*send, "-u", "alice:wonder", f"{drift.url}/v1/rows")
    frozen = run(WARPWATCH, "drift", "reference", "freeze", "churn", "--config", config)
    prometheus = scraping(
        programs, secrets, {"drift": (drift, bearer(secrets.web["bearer_token_file"]))}
    )

    assert refused.endswith("401")
    assert taken == '{"rows": 200}200'
    assert "churn is compared with" in frozen
    eventually("it is scraped", lambda: up(prometheus) == {"drift": 1.0})


def test_unusable_files_end_the_start(programs: Programs, secrets: Secrets) -> None:
    """Exit code 2, with every file that is wrong, and nothing ever listened."""
    secrets.put("token", "")
    secrets.put("users", "alice:wonder\n")
    config, _ = agent_config(
        secrets.folder,
        simulate="1xT4",
        web=secrets.web | {"cert_file": "/nowhere/tls.crt"},
        otlp=[{"endpoint": "http://127.0.0.1:1", "headers_file": "/nowhere/headers"}],
    )

    agent = programs.start("agent", [WARPWATCH, "run", "--config", config])

    assert agent.process.wait(30) == 2
    for named in ("web.cert_file", "web.bearer_token_file", "web.basic_auth_users_file", "headers"):
        assert named in agent.said()
    assert "wonder" not in agent.said()
