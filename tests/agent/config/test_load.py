from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import Address, Config, ConfigError, Server, load
from agent.config.load import environment_names


def problems(text: str, tmp_path: Path) -> list[str]:
    """Return what is wrong with a file that holds ``text``."""
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, {}, {})
    return [f"{each.path}: {each.message}" for each in caught.value.problems]


def outcome(file: Path | None, environment: dict[str, str]) -> object:
    """Return the configuration or all that is wrong with it."""
    try:
        return load(file, environment, {})
    except ConfigError as error:
        return error.problems


def test_nothing_configured_gives_the_defaults() -> None:
    """Without any source the agent listens on loopback and reads the GPUs each second."""
    config = load(None, {}, {})

    assert config.listen == Address("127.0.0.1", 9410)
    assert config.interval == 1.0
    assert not config.otlp
    assert not config.servers


def test_later_sources_win(tmp_path: Path) -> None:
    """A flag wins over the environment, the environment over the file, the file over the default."""
    file = tmp_path / "agent.yaml"
    file.write_text("listen: 127.0.0.1:1\nnode: from-file\ncluster: from-file\n")
    environment = {"WARPWATCH_LISTEN": "127.0.0.1:2", "WARPWATCH_NODE": "from-environment"}

    config = load(file, environment, {"listen": "127.0.0.1:3", "simulate": None})

    assert (config.listen.port, config.node, config.cluster) == (3, "from-environment", "from-file")


def test_the_environment_can_name_the_file(tmp_path: Path) -> None:
    """WARPWATCH_CONFIG stands in for --config."""
    file = tmp_path / "agent.yaml"
    file.write_text("node: n1\n")

    assert load(None, {"WARPWATCH_CONFIG": str(file)}, {}).node == "n1"


def test_lists_and_sections_can_come_from_the_environment() -> None:
    """Entries of lists are numbered, number 0 may be left out, and a whole list may be YAML."""
    config = load(
        None,
        {
            "WARPWATCH_OTLP_ENDPOINT": "http://a:4318",
            "WARPWATCH_OTLP_1_ENDPOINT": "http://b:4318",
            "WARPWATCH_OTLP_1_HEADERS_FILE": "/run/secrets/otlp",
            "WARPWATCH_DCGM_URL": "http://127.0.0.1:9400/metrics",
            "WARPWATCH_SERVERS": "[{url: 'http://127.0.0.1:8000', name: chat}]",
        },
        {},
    )

    assert [each.endpoint for each in config.otlp] == ["http://a:4318", "http://b:4318"]
    assert config.otlp[1].headers_file == "/run/secrets/otlp"
    assert config.dcgm is not None
    assert config.servers == (Server(url="http://127.0.0.1:8000", name="chat"),)


def test_every_key_has_a_variable() -> None:
    """Each name that the documentation gives for a variable is understood."""
    samples = {
        "INTERVAL": "1s",
        "WINDOW": "15s",
        "PROTOCOL": "grpc",
        "PROFILE": "vllm",
        "LISTEN": "[::1]:1",
        "DISTRIBUTIONS": "true",
        "LINKS": "false",
        "POLICY": "eks",
        "OVERRIDES": "{63: page}",
        "END": "stop",
        "FROM": "anywhere",
        "ROWS": "1000",
        "FOR": "1h",
        "FEATURES": "5",
        "RESERVOIR": "5",
        "SAMPLE": "0.5",
        "INCLUDE": "[a]",
        "EXCLUDE": "[a]",
        "HASHED": "[a]",
        "EMBEDDINGS": "true",
        "VERIFY": "true",
        "KUBERNETES": "auto",
        "SOCKETS": "true",
        "NAMESPACES": "[models]",
        "LIMIT": "3",
        "SERIES": "500",
        "PREFIXES": "[acme_]",
        "REQUIRES": "[acme_requests]",
        "PATHS": "[/metrics]",
        "LABELS": "[model]",
        "SIGNALS": "[]",
        "DIALECTS": "[]",
        "NAMELESS": "['none']",
        "STARTED": "process_start_time_seconds",
        "UPTIME": "acme_uptime_seconds",
        "API": "openai",
        "GPUS": "[0, 1]",
        "PRICE": "{A100: 1.5}",
        "SIGNAL": "queue",
        "THRESHOLD": "1s",
        "OBJECTIVE": "99%",
        "PROBE": "{kind: openai}",
        "VERSION": "TLS13",
    }
    beside = {
        "SERVERS_0_USERNAME": "SERVERS_0_PASSWORD_FILE",
        "SERVERS_0_PASSWORD_FILE": "SERVERS_0_USERNAME",
        "SERVERS_0_KEY_FILE": "SERVERS_0_CERT_FILE",
        "DISCOVERY_BEARER_TOKEN_FILE": "DISCOVERY_NAMESPACES",
        "WEB_KEY_FILE": "WEB_CERT_FILE",
        "WEB_CLIENT_CA_FILE": "WEB_CERT_FILE",
        "WEB_MIN_VERSION": "WEB_CERT_FILE",
    }
    whole = {
        **dict.fromkeys(("OTLP", "SERVERS", "SLOS", "PROFILES"), "[]"),
        "SLOS_0_WINDOW": "28d",
        "PROFILES_0_NAME": "acme",
        "DCGM": "{url: 'http://h:1'}",
        "DISCOVERY": "{sockets: true}",
        "DISCOVERY_PROBE": "{interval: 30s}",
        "DRIFT": "{learn_rows: 200}",
        "WEB": "{bearer_token_file: token}",
        "DRIFT_MODELS": "[{model: churn}]",
        "DRIFT_MAX_MODELS": "5",
    }
    for name in environment_names():
        value = whole.get(name) or samples.get(name.rsplit("_", 1)[-1], "http://h:1")
        environment = {"WARPWATCH_OTLP_0_ENDPOINT": "http://h:1"} if "OTLP_" in name else {}
        environment |= {"WARPWATCH_SERVERS_0_URL": "http://h:1"} if "SERVERS_" in name else {}
        environment |= {"WARPWATCH_DCGM_URL": "http://h:1"} if "DCGM_" in name else {}
        environment |= {"WARPWATCH_PROFILES_0_NAME": "acme"} if "PROFILES_" in name else {}
        if "SLOS_" in name:
            keys = {"NAME": "a", "MODEL": "*", "SIGNAL": "queue", "THRESHOLD": "1s"}
            environment |= {f"WARPWATCH_SLOS_0_{key}": given for key, given in keys.items()}
            environment["WARPWATCH_SLOS_0_OBJECTIVE"] = "99%"
        if other := beside.get(name):
            environment[f"WARPWATCH_{other}"] = samples.get(other.rsplit("_", 1)[-1], "x")

        assert isinstance(load(None, environment | {f"WARPWATCH_{name}": value}, {}), Config)


def test_judgements_of_xids_are_a_mapping(tmp_path: Path) -> None:
    """Overrides map numbers to one of three words, in the file as in the environment."""
    file = tmp_path / "agent.yaml"
    file.write_text("xid_overrides: {63: page, '45': info}\n")

    assert load(file, {}, {}).xid_overrides == {63: "page", 45: "info"}
    assert load(None, {"WARPWATCH_XID_OVERRIDES": "{31: ticket}"}, {}).xid_overrides == {
        31: "ticket"
    }


@pytest.mark.parametrize("word", ["off", "'off'", "false"])
def test_the_kernel_log_can_be_left_out(word: str, tmp_path: Path) -> None:
    """`off` is understood although YAML takes it for false."""
    file = tmp_path / "agent.yaml"
    file.write_text(f"kernel_log: {word}\n")

    assert load(file, {}, {}).kernel_log == "off"


def test_all_problems_are_listed_at_once_with_path_and_suggestion(tmp_path: Path) -> None:
    """One run names every wrong key and value, and what was probably meant."""
    text = """
lisen: 127.0.0.1:1
interval: 5 parsecs
otlp:
  - endpoint: ftp://collector
    protocl: grpc
servers:
  - profile: vlm
dcgm: 5
"""

    found = problems(text, tmp_path)

    assert found == [
        "lisen: is not known; did you mean listen?",
        "interval: must be a duration such as 500ms, 15s or 1m, not '5 parsecs'",
        "otlp[0].protocl: is not known; did you mean protocol?",
        "otlp[0].endpoint: must be a URL such as http://127.0.0.1:8000, not 'ftp://collector'",
        "servers[0].url: is required, such as http://127.0.0.1:8000",
        "dcgm: must be a mapping of keys to values, not 5",
        "servers[0].profile: there is no profile 'vlm'; did you mean vllm?",
    ]


def test_a_problem_says_which_source_it_came_from() -> None:
    """The message names the variable, so that nobody searches the file for it."""
    with pytest.raises(ConfigError) as caught:
        load(None, {"WARPWATCH_INTERVAL": "fast"}, {"listen": "nowhere"})

    assert {each.source for each in caught.value.problems} == {
        "environment WARPWATCH_INTERVAL",
        "--listen",
    }


def test_an_unknown_variable_is_a_problem() -> None:
    """A typing error in a variable's name is not passed over in silence."""
    with pytest.raises(ConfigError, match="did you mean WARPWATCH_SERVERS"):
        load(None, {"WARPWATCH_SERVRS": "[]"}, {})


def test_variables_that_kubernetes_makes_for_a_service_are_not_ours() -> None:
    """A Service named warpwatch puts WARPWATCH_PORT and others into every pod; they are ignored."""
    environment = {
        "WARPWATCH_SERVICE_HOST": "10.0.0.1",
        "WARPWATCH_SERVICE_PORT": "9410",
        "WARPWATCH_SERVICE_PORT_HTTP": "9410",
        "WARPWATCH_PORT": "tcp://10.0.0.1:9410",
        "WARPWATCH_PORT_9410_TCP_ADDR": "10.0.0.1",
        "WARPWATCH_AGENT_PORT_9410_TCP": "tcp://10.0.0.1:9410",
    }

    assert load(None, environment, {}) == load(None, {}, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("listen: [", "is not valid YAML"),
        ("node: a\nnode: b\n", "the key 'node' is there twice at line 2"),
        ("- a\n- b\n", "must be a mapping of keys to values, not list"),
        ("servers: {url: x}\n", "must be a list"),
        ("node: 7\n", "must be text, not 7; put it in quotes"),
        ("node: ''\n", "must not be empty"),
        ("interval: 0s\n", "must be longer than nothing"),
        ("interval: true\n", "must be a duration"),
        ("interval: 2h\n", "must be between 0.1s and 60s"),
        (
            "dcgm: {url: 'http://localhost:9410/metrics/dcgm'}\n",
            "is where the agent itself listens",
        ),
        ("servers: [{url: 'http://127.0.0.1:9410'}]\n", "is where the agent itself listens"),
        ("listen: 0.0.0.0:9410\ndcgm: {url: 'http://[::1]:9410'}\n", "is where the agent itself"),
        ("distributions: maybe\n", "must be true or false, not 'maybe'"),
        ("xid_overrides: [63]\n", "must map XIDs to page, ticket or info"),
        ("xid_overrides: {63: loud}\n", "must be one of page, ticket, info, not 'loud'"),
        ("xid_overrides: {many: page}\n", "must have XIDs as keys"),
        ("xid_policy: azur\n", "did you mean azure?"),
        ("listen: 127.0.0.1:70000\n", "a port is a number from 0 to 65535"),
        ("listen: ::1:9410\n", "must be HOST:PORT"),
        ("servers: [{url: 'http://me:secret@h:1'}]\n", "must not hold credentials"),
        ("servers: [{url: 'http://h:1'}, {url: 'http://h:1/metrics'}]\n", "give each its own name"),
    ],
)
def test_bad_input_is_named_with_its_fix(text: str, said: str, tmp_path: Path) -> None:
    """Whatever is wrong with the file, the message says what and how to mend it."""
    assert any(said in each for each in problems(text, tmp_path))


def test_a_server_on_another_address_may_have_the_same_port(tmp_path: Path) -> None:
    """An agent on one address of the node and a server on another do not meet."""
    file = tmp_path / "agent.yaml"
    file.write_text("listen: 192.0.2.7:8000\nservers: [{url: 'http://127.0.0.1:8000'}]\n")

    assert load(file, {}, {}).servers[0].url == "http://127.0.0.1:8000"


def test_secrets_in_a_url_do_not_reach_the_message(tmp_path: Path) -> None:
    """The refusal of a URL with credentials does not repeat them."""
    found = problems("otlp: [{endpoint: 'http://me:hunter2@h:1'}]\n", tmp_path)

    assert "hunter2" not in "".join(found)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A missing or binary file is one problem with the file's name."""
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"node: \xff\xfe")

    for file, said in ((tmp_path / "missing.yaml", "cannot be read"), (binary, "is not UTF-8")):
        with pytest.raises(ConfigError, match=said) as caught:
            load(file, {}, {})
        assert caught.value.problems[0].source == str(file)


@given(st.text(max_size=200))
def test_no_text_crashes_the_reader(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    """Any text is either a configuration or a list of problems."""
    file = tmp_path_factory.mktemp("config") / "agent.yaml"
    file.write_text(text, encoding="utf-8", errors="surrogatepass")

    assert outcome(file, {})


@given(st.dictionaries(st.sampled_from(environment_names()), st.text(max_size=40), max_size=4))
def test_no_environment_crashes_the_reader(environment: dict[str, str]) -> None:
    """Any value of any variable is either taken or a problem."""
    assert outcome(None, {f"WARPWATCH_{name}": value for name, value in environment.items()})
