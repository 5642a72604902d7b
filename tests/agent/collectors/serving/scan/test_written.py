from pathlib import Path

import pytest
import yaml

from agent.collectors.serving.profile import Profile
from agent.collectors.serving.profiles import PROFILES
from agent.collectors.serving.scan.written import as_written, profile_yaml
from agent.config import load
from agent.custom_profiles import custom_profile


@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_a_profile_comes_back_as_it_was(profile: Profile, tmp_path: Path) -> None:
    """The configuration can say all that a built-in profile says: written and read, it is the same."""
    file = tmp_path / "agent.yaml"
    file.write_text(profile_yaml(profile))

    (written,) = load(file, {}, {}).profiles

    assert custom_profile(written) == profile


def test_what_is_usual_is_left_out() -> None:
    """A bare profile is its name."""
    assert as_written(Profile(name="acme", prefixes=(), signals=())) == {"name": "acme"}


def test_it_is_a_whole_file() -> None:
    """What is printed is a list under `profiles`, not more."""
    parsed = yaml.safe_load(profile_yaml(PROFILES[0]))

    assert list(parsed) == ["profiles"]
    assert [profile["name"] for profile in parsed["profiles"]] == [PROFILES[0].name]
