import re
from pathlib import Path

import pytest

from agent.collectors.serving.document import document, main
from agent.collectors.serving.profiles import PROFILES
from agent.config import load
from agent.custom_profiles import known_profiles


def test_the_reference_is_fresh() -> None:
    """docs/model-servers.md is what the profiles say; `make generate` writes it."""
    assert main(["--check"]) == 0


def test_the_reference_has_every_family_of_every_server() -> None:
    """Each server has a section with what is easily got wrong, its metrics and their families."""
    page = document()

    for profile in PROFILES:
        section = page.partition(f"\n## {profile.name}\n")[2].partition("\n## ")[0]
        assert "easily got wrong" in section
        assert ("discovery.probe" in section) is bool(profile.api)
        assert ("A restart that" in section) is bool(profile.started or profile.uptime)
        for signal in profile.signals:
            assert f"| `{signal.metric.name}` |" in section
            assert all(f"`{leaf.name}`" in section for leaf in signal.leaves)


def test_the_example_of_a_profile_is_one(tmp_path: Path) -> None:
    """What the page shows as a profile of one's own is accepted, whole."""
    (example,) = re.findall(r"```yaml\n(.*?)```", document(), re.DOTALL)
    file = tmp_path / "agent.yaml"
    file.write_text(example)

    config = load(file, {}, {})

    assert known_profiles(config.profiles)[0].name == config.servers[0].profile == "acme"


def test_a_stale_reference_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A page that differs from the profiles fails the check, and writing it makes the check pass."""
    monkeypatch.setattr("agent.collectors.serving.document.PATH", tmp_path / "model-servers.md")

    assert main(["--check"]) == 1
    assert "run `make generate`" in capsys.readouterr().err
    assert main([]) == 0
    assert main(["--check"]) == 0
