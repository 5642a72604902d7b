"""What the document on drift says can be typed and looked up as it stands there."""

import re
import shlex
from pathlib import Path

import pytest

from agent.catalogue.recorded_drift import RECORDED_DRIFT
from agent.catalogue.recorded_performance import RECORDED_PERFORMANCE
from agent.cli import _parser

TEXT = (Path(__file__).resolve().parents[3] / "docs" / "drift.md").read_text(encoding="utf-8")
RECORDED = {each.name for each in (*RECORDED_DRIFT, *RECORDED_PERFORMANCE)}


def commands() -> list[str]:
    """Return each command of the document, in a block or in a sentence."""
    found = re.findall(r"^warpwatch [^#>\n]*", TEXT, re.MULTILINE)
    found += re.findall(r"`(warpwatch drift [^`]* [^`]*)`", TEXT)
    found += [f"warpwatch {each}" for each in re.findall(r"`(drift reference [^`]*)`", TEXT)]
    return [each.strip() for each in found]


@pytest.mark.parametrize("command", commands())
def test_each_command_can_be_typed(command: str) -> None:
    """Its words and flags are those of the command line."""
    options = _parser().parse_args(shlex.split(command)[1:])

    assert options.module.startswith("drift")


def test_each_score_that_is_named_is_recorded() -> None:
    """A name with a window is that of a recording rule."""
    named = set(re.findall(r"`(drift:[a-z0-9_]+:1[hd])`", TEXT))

    assert len(named) > 5
    assert named <= RECORDED
