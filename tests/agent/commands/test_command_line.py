import json
from pathlib import Path

import jsonschema
import pytest
import yaml

import agent
from agent.catalogue import CATALOGUE
from agent.cli import main

COMMANDS = ("run", "demo", "status", "doctor", "config", "metrics", "scan", "version")


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    """`warpwatch --help` lists all commands and exits with 0."""
    with pytest.raises(SystemExit) as left:
        main(["--help"])

    printed = capsys.readouterr().out
    assert left.value.code == 0
    assert all(f"\n    {each} " in printed for each in COMMANDS)


def test_wrong_usage_exits_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown command is named on stderr, with the commands that there are."""
    with pytest.raises(SystemExit) as left:
        main(["rum"])

    assert left.value.code == 2
    assert "rum" in capsys.readouterr().err


def test_version_names_what_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """`warpwatch version` prints the versions that a bug report needs."""
    assert main(["version"]) == 0

    printed = capsys.readouterr().out
    assert f"warpwatch {agent.__version__}" in printed
    assert "nvidia-ml-py " in printed


def test_metrics_prints_the_whole_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    """`warpwatch metrics` has a row for every metric."""
    assert main(["metrics"]) == 0

    printed = capsys.readouterr().out
    assert all(f" {each.family} " in printed for each in CATALOGUE)


def test_metrics_can_be_filtered_and_parsed(capsys: pytest.CaptureFixture[str]) -> None:
    """A filter works on both names, and --json gives the record."""
    assert main(["metrics", "hw_power_watts", "--json"]) == 0

    (record,) = json.loads(capsys.readouterr().out)
    assert record["name"] == "hw.power"
    assert record["labels"] == ["hw_id", "hw_type", "k8s_node_name", "k8s_cluster_name"]


def test_metrics_without_a_match_fails(capsys: pytest.CaptureFixture[str]) -> None:
    """A filter that matches nothing says so and exits with 1."""
    assert main(["metrics", "nosuch"]) == 1

    assert "nosuch" in capsys.readouterr().err


def test_config_check_lists_all_problems(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A wrong configuration exits with 2 and one line per problem, before anything starts."""
    file = tmp_path / "agent.yaml"
    file.write_text("lisen: 127.0.0.1:1\ninterval: never\n")

    assert main(["config", "check", "--config", str(file)]) == 2

    printed = capsys.readouterr().err
    assert "2 problems" in printed
    assert f"lisen: is not known; did you mean listen? [{file}]" in printed
    assert "interval: must be a duration" in printed


def test_config_check_refuses_a_simulation_that_does_not_exist(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The simulated node's spec is checked as well, and the message says how to write one."""
    assert main(["config", "check", "--simulate", "0xH100"]) == 2

    assert "8xH100" in capsys.readouterr().err


def test_config_check_reads_the_standard_variables(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong OTEL_ variable is named before the agent starts."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")

    assert main(["config", "check"]) == 2

    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in capsys.readouterr().err


def test_config_check_says_what_a_good_one_comes_to(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A good configuration exits with 0 and is summed up."""
    file = tmp_path / "agent.yaml"
    file.write_text("node: n7\nservers: [{url: 'http://127.0.0.1:8000'}]\n")

    assert main(["config", "check", "--config", str(file)]) == 0

    printed = capsys.readouterr().out
    assert "n7" in printed
    assert "1 model server" in printed


def test_config_default_and_schema_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """What `config default` prints is YAML that the printed schema takes."""
    assert main(["config", "default"]) == 0
    default = yaml.safe_load(capsys.readouterr().out) or {}
    assert main(["config", "schema"]) == 0
    schema = json.loads(capsys.readouterr().out)

    jsonschema.validate(default, schema)


def test_status_without_an_agent_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    """`warpwatch status` where no agent answers exits with 1 and names the address and the fix."""
    assert main(["status", "--url", "http://127.0.0.1:1"]) == 1

    printed = capsys.readouterr().err
    assert "http://127.0.0.1:1" in printed
    assert "warpwatch run" in printed


def test_doctor_finds_a_simulated_node_well(capsys: pytest.CaptureFixture[str]) -> None:
    """Every simulated GPU is a finding, and nothing failed."""
    assert main(["doctor", "--simulate", "2xL4", "--listen", "127.0.0.1:0", "--json"]) == 0

    findings = json.loads(capsys.readouterr().out)
    assert {"gpu 0", "gpu 1", "driver", "listen"} <= {each["subject"] for each in findings}
    assert {each["verdict"] for each in findings} == {"ok"}


def test_doctor_looks_at_what_protects_the_endpoint(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A token in the clear is a warning with the key to set, a file that is no use a failure."""
    token = tmp_path / "token"
    token.write_text("s3cret\n")
    file = tmp_path / "agent.yaml"
    file.write_text(f"simulate: 1xT4\nlisten: 192.0.2.1:0\nweb: {{bearer_token_file: {token}}}\n")

    open_code = main(["doctor", "--config", str(file), "--json"])
    findings = [each for each in json.loads(capsys.readouterr().out) if each["subject"] == "web"]
    token.write_text("")
    broken_code = main(["doctor", "--config", str(file), "--json"])
    broken = [each for each in json.loads(capsys.readouterr().out) if each["subject"] == "web"]

    assert (open_code, broken_code) == (0, 1)
    assert [(each["verdict"], each["action"]) for each in findings] == [
        ("warning", "set web.cert_file")
    ]
    assert [each["verdict"] for each in broken] == ["failed"]
    assert "web.bearer_token_file" in broken[0]["found"]


def test_doctor_names_a_server_that_does_not_answer(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """An endpoint that refuses is a failure with its address and an action; the exit code is 1."""
    file = tmp_path / "agent.yaml"
    file.write_text(
        "simulate: 1xT4\nlisten: 127.0.0.1:0\n"
        "servers: [{url: 'http://127.0.0.1:1', name: chat}]\n"
        "otlp: [{endpoint: 'http://127.0.0.1:1'}]\n"
    )

    assert main(["doctor", "--config", str(file), "--json"]) == 1

    failed = {
        each["subject"]: each
        for each in json.loads(capsys.readouterr().out)
        if each["verdict"] == "failed"
    }
    assert "serving/chat" in failed
    assert any(subject.startswith("otlp") for subject in failed)
    assert all(each["action"] for each in failed.values())
