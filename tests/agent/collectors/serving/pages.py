"""Captured pages, and what a profile makes of a page."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.catalogue import Metric
from agent.collectors.exposition import Faults, Parser
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profile import Profile
from agent.snapshot import Distribution, Problem, Reading

_FIXTURES: Final = Path(__file__).parents[3] / "fixtures"
SERVER: Final = "chat"


def captured(name: str) -> str:
    """Return a page of tests/fixtures."""
    return (_FIXTURES / name).read_text()


def translate(profile: Profile, text: str) -> tuple[list[Reading], tuple[Problem, ...]]:
    """Return what a profile reads from a page, and its problems."""
    faults = Faults(SERVER)
    page = Parser(profile.samples).parse(text)
    faults.add_page(page)
    return Translation(profile, SERVER).readings(page, faults), faults.problems()


def values(readings: list[Reading], metric: Metric) -> dict[tuple[str, ...], float | Distribution]:
    """Return the values of one metric by its attributes, without server and provider."""
    return {attributes[2:]: value for found, attributes, value in readings if found is metric}


def reasons(problems: tuple[Problem, ...]) -> set[str]:
    """Return the words of the problems."""
    return {problem.reason for problem in problems}


def names(profiles: Iterable[Profile]) -> list[str]:
    """Return the names of profiles."""
    return [profile.name for profile in profiles]
