from pathlib import Path

import pytest

from agent.config import ConfigError, Discovery, load


def problems(text: str, tmp_path: Path) -> list[str]:
    """Return what is wrong with a file that holds ``text``."""
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, {}, {})
    return [f"{each.path}: {each.message}" for each in caught.value.problems]


def test_an_empty_section_looks_among_pods_where_it_can(tmp_path: Path) -> None:
    """`discovery: {}` asks the API server where a token is mounted, and leaves processes alone."""
    file = tmp_path / "agent.yaml"
    file.write_text("discovery: {}\n")

    assert load(file, {}, {}).discovery == Discovery(kubernetes="auto", sockets=False, limit=64)


@pytest.mark.parametrize(
    ("written", "read"), [("true", "true"), ("false", "false"), ("auto", "auto")]
)
def test_kubernetes_is_a_switch_with_a_third_position(
    written: str, read: str, tmp_path: Path
) -> None:
    """YAML's own booleans, the word auto, and both from the environment."""
    file = tmp_path / "agent.yaml"
    file.write_text(f"discovery: {{kubernetes: {written}}}\n")

    from_file = load(file, {}, {}).discovery
    from_environment = load(None, {"WARPWATCH_DISCOVERY_KUBERNETES": written}, {}).discovery

    assert from_file == from_environment
    assert from_file is not None
    assert from_file.kubernetes == read


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("discovery: {kubernetes: maybe}", "discovery.kubernetes: must be true, false or auto"),
        ("discovery: {namespaces: models}", "discovery.namespaces: must be a list of names"),
        ("discovery: {namespaces: []}", "discovery.namespaces: must be a list of names"),
        ("discovery: {limit: 0}", "discovery.limit: must be a whole number from 1 to 256"),
        ("discovery: {limit: true}", "discovery.limit: must be a whole number"),
        ("discovery: {soket: true}", "did you mean sockets?"),
        ("discovery: {bearer_token_file: /t}", "name the namespaces that may see it"),
        ("servers: [{url: 'http://h', username: me}]", "username: needs password_file"),
        ("servers: [{url: 'http://h', password_file: /p}]", "password_file: needs username"),
        ("servers: [{url: 'https://h', key_file: /k}]", "key_file: needs cert_file"),
        (
            "servers: [{url: 'http://h', bearer_token_file: /t, username: me, password_file: /p}]",
            "servers[0].bearer_token_file: and a password are both set",
        ),
        ("servers: [{url: 'http://me:x@h'}]", "set username and password_file instead"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_fix(
    text: str, complaint: str, tmp_path: Path
) -> None:
    """Each mistake is one problem that names its key and what to do."""
    (problem,) = problems(text, tmp_path)

    assert complaint in problem
