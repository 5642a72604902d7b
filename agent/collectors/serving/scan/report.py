"""What is understood of a page: by which profiles, which family became what, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from agent.catalogue import Metric
from agent.collectors.exposition import Faults, Page
from agent.collectors.scrape import overfull
from agent.collectors.serving.budget import MAX_READINGS
from agent.collectors.serving.detection import detect, evidence, names_on, spoken_on
from agent.collectors.serving.mapping import Translation
from agent.collectors.serving.profile import Origin, Profile, Signal, spellings
from agent.collectors.serving.scan.examination import examine
from agent.collectors.serving.scan.guess import Guess, guesses
from agent.collectors.serving.scan.inventory import Family, everything, family_of, inventory
from agent.snapshot import Problem, Reading

_OF_EACH_SERVER: Final = 3
"""Series that every server has beside its signals: whether it is up, a scrape's duration and its age."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A profile that the page is of; ``family`` is what shows it, empty where it was only named."""

    profile: Profile
    family: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """A signal that the page has: from which families, and its values now."""

    metric: Metric
    provider: str
    families: tuple[str, ...]
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """All that is known of one page.

    ``others`` are profiles that it would be of as well, had none been named. ``idle`` are families that
    a profile knows and needs not now: another name has the signal, or no series meets its conditions.
    """

    recognised: tuple[Recognised, ...]
    others: tuple[str, ...]
    families: tuple[Family, ...]
    mapped: tuple[Mapped, ...]
    idle: tuple[str, ...]
    problems: tuple[Problem, ...]
    guesses: tuple[Guess, ...]
    budget: int = MAX_READINGS
    """How many series a server may have, if no other wants any."""

    @property
    def series(self) -> int:
        """How many series of the catalogue the server would have."""
        return _OF_EACH_SERVER + sum(len(signal.readings) for signal in self.mapped)

    @property
    def used(self) -> frozenset[str]:
        """The families that a signal comes from."""
        return frozenset(name for signal in self.mapped for name in signal.families)

    @property
    def unmapped(self) -> tuple[Family, ...]:
        """The families that no profile knows."""
        known = self.used.union(self.idle)
        return tuple(family for family in self.families if family.name not in known)


def scan(
    text: str,
    profiles: Sequence[Profile],
    *,
    named: Profile | None = None,
    server: str = "",
    faults: Faults | None = None,
    budget: int = MAX_READINGS,
) -> Report:
    """Look at a page. ``named`` is the profile to read it by, whether it is recognised or not.

    ``faults`` are those that were found on the way to the text. Raises `ScrapeError` for a page that is
    too large to be read.
    """
    faults = faults or Faults(server)
    page = everything(text)
    if page.overfull:
        raise overfull(server)
    faults.add_page(page)
    families = inventory(page)
    found = detect(text, profiles)
    chosen = found if named is None else (spoken_on(text, named) or (named,))
    mapped = tuple(
        signal for profile in chosen for signal in _signals(page, profile, server, faults)
    )
    used = {name for signal in mapped for name in signal.families}
    known = {name for profile in chosen for name in _known(page, profile)}
    rest = tuple(family for family in families if family.name not in known)
    examine(page, rest, faults)
    names = names_on(text)
    return Report(
        budget=budget,
        recognised=tuple(
            Recognised(p, evidence(names, p.prefixes) if p.prefixes else "") for p in chosen
        ),
        others=tuple(p.name for p in found if p.name not in {each.name for each in chosen}),
        families=families,
        mapped=mapped,
        idle=tuple(sorted(known - used)),
        problems=faults.problems(),
        guesses=tuple(
            guess for guess in guesses(rest) if guess.metric not in {m.metric for m in mapped}
        ),
    )


def _signals(page: Page, profile: Profile, server: str, faults: Faults) -> list[Mapped]:
    """Read a page signal by signal, as the collector would, and keep where each came from."""
    found = []
    for signal in profile.signals:
        for origin in signal.sources:
            readings = _readings(page, profile, replace(signal, sources=(origin,)), server, faults)
            if readings:
                names = _families(page, _leaves_of(origin))
                found.append(Mapped(signal.metric, profile.name, names, tuple(readings)))
                break
    return found


def _readings(
    page: Page, profile: Profile, signal: Signal, server: str, faults: Faults
) -> list[Reading]:
    alone = replace(profile, signals=(signal,), dialects=())
    return Translation(alone, server).readings(page, faults)


def _known(page: Page, profile: Profile) -> set[str]:
    """Return the families on the page that the profile names, with samples or only declared."""
    leaves = [leaf for signal in profile.signals for leaf in signal.leaves]
    named = {name for leaf in leaves for name in (*spellings(leaf.name), leaf.name)}
    return {
        *_families(page, [sample for leaf in leaves for sample in leaf.samples]),
        *(name for name in named if name in page.types),
    }


def _leaves_of(origin: Origin) -> list[str]:
    return [sample for leaf in origin.leaves for sample in leaf.samples]


def _families(page: Page, samples: Sequence[str]) -> tuple[str, ...]:
    """Return the families on the page that some sample names are of, each once."""
    here = (sample for sample in samples if sample in page.samples)
    return tuple(dict.fromkeys(family_of(page, sample) for sample in here))
