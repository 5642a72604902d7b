import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from agent.config import ConfigError, load
from agent.config.document import default_yaml, json_schema

UNCOMMENTED = re.sub(r"(?m)^#(?=[a-z]|  )", "", default_yaml())
"""The documented file with the # taken away from every key, as a reader would do."""


def test_the_default_file_changes_nothing(tmp_path: Path) -> None:
    """Printed to a file as it is, the documentation configures the defaults."""
    file = tmp_path / "agent.yaml"
    file.write_text(default_yaml())

    assert load(file, {}, {}) == load(None, {}, {})


def test_every_key_can_be_uncommented(tmp_path: Path) -> None:
    """With the comment signs taken away, every example in it is a good value."""
    file = tmp_path / "agent.yaml"
    file.write_text(UNCOMMENTED)

    config = load(file, {}, {})

    assert config.simulate == "8xH100"
    assert config.otlp[0].headers_file == "/etc/warpwatch/otlp-headers"
    assert config.servers[0].name == "chat"
    assert config.dcgm is not None


def test_the_schema_takes_the_documented_file() -> None:
    """The JSON schema is a valid schema and agrees with the documentation."""
    jsonschema.Draft202012Validator.check_schema(json_schema())

    jsonschema.validate(yaml.safe_load(UNCOMMENTED), json_schema())


@pytest.mark.parametrize(
    "text",
    [
        "lisen: 127.0.0.1:1",
        "interval: fast",
        "otlp: [{protocol: grpc}]",
        "otlp: [{endpoint: 'http://h:1', protocol: http}]",
        "servers: [{url: 'ftp://h'}]",
        "servers: [{url: 'http://me:secret@h'}]",
    ],
)
def test_the_schema_and_the_agent_refuse_the_same(text: str, tmp_path: Path) -> None:
    """What the schema refuses in an editor, the agent refuses as well."""
    file = tmp_path / "agent.yaml"
    file.write_text(text)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(yaml.safe_load(text), json_schema())
    with pytest.raises(ConfigError):
        load(file, {}, {})
