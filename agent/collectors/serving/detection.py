"""Tells from a page which kinds of model server wrote it. By content: a port says nothing."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

from agent.collectors.serving.profile import Profile
from agent.collectors.serving.profiles import PROFILES

_REST_OF_SAMPLE: Final = r"[a-zA-Z0-9_:]*[ \t]*(?:\{[^\n]*\})?[ \t]+[-+.0-9NnIi]"
_ANY: Final = "[a-zA-Z_:]"


def profile_named(name: str, profiles: Iterable[Profile] = PROFILES) -> Profile:
    """Return the profile of that name. Raises ValueError, with the names that there are."""
    profiles = tuple(profiles)
    for profile in profiles:
        if profile.name == name:
            return profile
    known = ", ".join(sorted(profile.name for profile in profiles))
    raise ValueError(f"there is no profile {name!r}; known: {known}")


def detect(text: str, profiles: Iterable[Profile] = PROFILES) -> tuple[Profile, ...]:
    """Return every profile that the page has samples of, in their order, as the page speaks it.

    A page can be of several: Triton's with vLLM as a back end, a Ray node's with Serve and vLLM.
    """
    return tuple(spoken for profile in profiles for spoken in profile.spoken if is_of(text, spoken))


def is_of(text: str, profile: Profile) -> bool:
    """Tell whether the page has the samples that only this kind of server writes, under these names."""
    if _sample_of(profile.prefixes).search(text) is None:
        return False
    return all(_sample_of((name,)).search(text) is not None for name in profile.requires)


def is_exposition(text: str) -> bool:
    """Tell whether the page has anything that looks like a sample."""
    return _sample_of(()).search(text) is not None


@cache
def _sample_of(prefixes: tuple[str, ...]) -> re.Pattern[str]:
    start = "|".join(map(re.escape, prefixes)) or _ANY
    return re.compile(rf"^(?:{start}){_REST_OF_SAMPLE}", re.MULTILINE)
