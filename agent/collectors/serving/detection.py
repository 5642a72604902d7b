"""Tells from a page which kinds of model server wrote it. By content: a port says nothing."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from agent.collectors.serving.profile import Profile
from agent.collectors.serving.profiles import PROFILES

_LINE: Final = re.compile(
    r"^(?:# TYPE[ \t]+([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]+[a-z]"
    r"|([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*(?:\{[^\n]*\})?[ \t]+[-+.0-9NnIi])",
    re.MULTILINE,
)


class Names(NamedTuple):
    """The names on a page: of its samples, and those that a ``# TYPE`` declares."""

    samples: frozenset[str]
    declared: frozenset[str]


def names_on(text: str) -> Names:
    """Return the names on a page, each once."""
    found = dict.fromkeys(_LINE.findall(text))
    return Names(
        frozenset(sample for _, sample in found if sample),
        frozenset(declared for declared, _ in found if declared),
    )


def profile_named(name: str, profiles: Iterable[Profile] = PROFILES) -> Profile:
    """Return the profile of that name. Raises ValueError, with the names that there are."""
    profiles = tuple(profiles)
    for profile in profiles:
        if profile.name == name:
            return profile
    known = ", ".join(sorted(profile.name for profile in profiles))
    raise ValueError(f"there is no profile {name!r}; known: {known}")


def detect(text: str, profiles: Iterable[Profile] = PROFILES) -> tuple[Profile, ...]:
    """Return every profile that the page has families of, in their order, as the page speaks it.

    A page can be of several: Triton's with vLLM as a back end, a Ray node's with Serve and vLLM. Profiles
    without prefixes are none that can be told from a page.
    """
    names = names_on(text)
    told = (profile for profile in profiles if profile.prefixes)
    return tuple(spoken for profile in told for spoken in profile.spoken if _is_of(names, spoken))


def spoken_on(text: str, profile: Profile) -> tuple[Profile, ...]:
    """Return the profile under the names that the page has, or nothing where it has none of them."""
    names = names_on(text)
    return tuple(spoken for spoken in profile.spoken if _is_of(names, spoken))


def is_exposition(text: str) -> bool:
    """Tell whether the page has anything that looks like a sample."""
    return any(match[2] for match in _LINE.finditer(text))


def evidence(names: Names, prefixes: tuple[str, ...]) -> str:
    """Return a name on the page that begins with one of ``prefixes``, or nothing.

    A family that is only declared counts on a page that has any sample: a server that nobody has asked
    anything yet may have none of its own.
    """
    for known in (names.samples, names.declared if names.samples else ()):
        found = min((name for name in known if name.startswith(prefixes)), default="")
        if found:
            return found
    return ""


def _is_of(names: Names, profile: Profile) -> bool:
    """Tell whether the page has the families that only this kind of server writes."""
    if not names.samples:
        return False
    return all(evidence(names, each) for each in (profile.prefixes or ("",), *_each(profile)))


def _each(profile: Profile) -> Iterable[tuple[str, ...]]:
    return ((name,) for name in profile.requires)
