"""Tells from a page which kind of model server wrote it. By content: a port says nothing."""

import re
from collections.abc import Iterable
from functools import cache
from typing import Final

from agent.collectors.serving.profile import Profile
from agent.collectors.serving.triton import TRITON
from agent.collectors.serving.vllm import VLLM

PROFILES: Final = (TRITON, VLLM)
"""In the order in which they are tried. Triton first: it passes on the families of vLLM as a back end."""

_REST_OF_SAMPLE: Final = r"[a-zA-Z0-9_:]*[ \t]*(?:\{[^\n]*\})?[ \t]+[-+.0-9NnIi]"
_ANY: Final = "[a-zA-Z_:]"


def profile_named(name: str) -> Profile:
    """Return the profile of that name. Raises ValueError, with the names that there are."""
    for profile in PROFILES:
        if profile.name == name:
            return profile
    known = ", ".join(sorted(profile.name for profile in PROFILES))
    raise ValueError(f"there is no profile {name!r}; known: {known}")


def detect(text: str, profiles: Iterable[Profile] = PROFILES) -> Profile | None:
    """Return the first profile that the page has a sample of."""
    return next((profile for profile in profiles if is_of(text, profile)), None)


def is_of(text: str, profile: Profile) -> bool:
    """Tell whether the page has a sample that only this kind of server writes."""
    return _sample_of(profile.prefixes).search(text) is not None


def is_exposition(text: str) -> bool:
    """Tell whether the page has anything that looks like a sample."""
    return _sample_of(()).search(text) is not None


@cache
def _sample_of(prefixes: tuple[str, ...]) -> re.Pattern[str]:
    start = "|".join(map(re.escape, prefixes)) or _ANY
    return re.compile(rf"^(?:{start}){_REST_OF_SAMPLE}", re.MULTILINE)
