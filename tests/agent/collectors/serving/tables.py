"""What a page says, as a table that a person can write and check."""

from agent.collectors.serving.profile import Profile
from agent.snapshot import Distribution, Problem
from tests.agent.collectors.serving.pages import translate

Told = float | tuple[int, float]


def table(profile: Profile, text: str) -> dict[tuple[str, ...], Told]:
    """Return all readings by name and attributes, without server and provider; no page has problems.

    A histogram is its count and its sum, rounded to a microsecond.
    """
    readings, problems = translate(profile, text)
    assert problems == ()
    found = {(r.metric.name, *r.attributes[2:]): _plain(r.value) for r in readings}
    assert len(found) == len(readings), "a series is told twice"
    return found


def complaints(profile: Profile, text: str) -> tuple[Problem, ...]:
    """Return the problems of a page."""
    return translate(profile, text)[1]


def _plain(value: float | Distribution) -> Told:
    if isinstance(value, Distribution):
        return (value.observations, round(value.sum, 6))
    return value
