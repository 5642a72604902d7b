from pathlib import Path

import pytest

from agent.config import Address, ConfigError, Web, load
from agent.config.web import exposure

TLS = Web(cert_file="tls.crt")
TOKEN = Web(bearer_token_file="token")  # noqa: S106 - the name of a file
BOTH = Web(cert_file="tls.crt", bearer_token_file="token")  # noqa: S106 - as above


def test_all_keys_are_read(tmp_path: Path) -> None:
    """The section is the same for the agent and the drift process, in the file and the environment."""
    file = tmp_path / "agent.yaml"
    file.write_text("web: {cert_file: a, key_file: b, client_ca_file: c, min_version: TLS13}\n")

    config = load(file, {"WARPWATCH_WEB_BEARER_TOKEN_FILE": "d"}, {})

    assert config.web == Web(
        cert_file="a",
        key_file="b",
        client_ca_file="c",
        min_version="TLS13",
        bearer_token_file="d",  # noqa: S106 - the name of a file
    )
    assert load(None, {}, {}).web == Web()


def test_what_makes_no_sense_alone_is_refused(tmp_path: Path) -> None:
    """Keys that need a certificate say so, and a misspelt one what was meant."""
    file = tmp_path / "agent.yaml"
    file.write_text("web: {key_file: a, client_ca_file: b, min_version: TLS13}\n")

    with pytest.raises(ConfigError) as alone:
        load(file, {}, {})
    with pytest.raises(ConfigError, match="did you mean basic_auth_users_file"):
        load(None, {"WARPWATCH_WEB": "{basic_auth_users: {alice: hash}}"}, {})

    assert [problem.path for problem in alone.value.problems] == [
        "web.key_file",
        "web.client_ca_file",
        "web.min_version",
    ]
    assert {problem.message for problem in alone.value.problems} == {"needs cert_file beside it"}


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
@pytest.mark.parametrize("web", [Web(), TLS, TOKEN, BOTH])
def test_loopback_needs_nothing(host: str, web: Web) -> None:
    """What only this machine reaches is not open to strangers."""
    assert exposure(Address(host, 9410), web) == ""


@pytest.mark.parametrize("host", ["10.0.0.1", "::", "fe80::1%eth0", "gpu-node-07"])
@pytest.mark.parametrize(
    ("web", "said"),
    [
        (Web(), "without TLS and credentials"),
        (TLS, "without credentials"),
        (TOKEN, "without TLS: credentials can be read on the way"),
        (BOTH, ""),
        (Web(cert_file="a", client_ca_file="b"), ""),
        (Web(cert_file="a", basic_auth_users_file="b"), ""),
    ],
)
def test_what_the_network_reaches_wants_both(host: str, web: Web, said: str) -> None:
    """Beyond loopback, what is lacking is named, and the keys that mend it."""
    told = exposure(Address(host, 9410), web)

    assert said in told
    assert bool(told) is bool(said)
    assert not told or "; set web." in told
