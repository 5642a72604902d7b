"""Turns the profiles of the configuration into those that collectors read by.

The records say the same; they are two because collectors do not know the configuration, and because what a
person writes has units by name and leaves out what is usual.
"""

from collections.abc import Sequence

from agent.catalogue import BY_NAME, Kind
from agent.collectors.serving.profile import (
    Added,
    By,
    Dialect,
    Facts,
    Mean,
    Native,
    Origin,
    Product,
    Profile,
    Ratio,
    Scalar,
    Signal,
    Source,
    Where,
)
from agent.collectors.serving.profiles import PROFILES
from agent.config import profiles as written
from agent.config.profile_values import UNITS


def known_profiles(custom: Sequence[written.Profile]) -> tuple[Profile, ...]:
    """Return all profiles there are: those of the configuration first, which replace those of their name."""
    made = tuple(map(custom_profile, custom))
    names = {profile.name for profile in made}
    return (*made, *(profile for profile in PROFILES if profile.name not in names))


def custom_profile(profile: written.Profile) -> Profile:
    """Return a profile as collectors read by it. The configuration has judged it."""
    return Profile(
        name=profile.name,
        prefixes=profile.prefixes,
        requires=profile.requires,
        paths=profile.paths,
        model_labels=profile.model_labels,
        version_labels=profile.version_labels,
        engine_labels=profile.engine_labels,
        replica_labels=profile.replica_labels,
        rank_labels=profile.rank_labels,
        nameless=frozenset(profile.nameless),
        started=profile.started or "",
        uptime=profile.uptime or "",
        api=profile.api or "",
        signals=tuple(map(_signal, profile.signals)),
        dialects=tuple(Dialect(d.native, d.spoken, d.declared) for d in profile.dialects),
    )


def _signal(signal: written.ProfileSignal) -> Signal:
    metric = BY_NAME[signal.metric]
    histogram = metric.kind is Kind.HISTOGRAM
    return Signal(
        metric,
        tuple(_origin(source, histogram=histogram) for source in signal.sources),
        of_server=signal.of_server,
        models=_leaf(signal.models) if signal.models else None,
    )


def _origin(source: written.ProfileSource, *, histogram: bool) -> Origin:
    if source.models is not None:
        parts = tuple(tuple(map(_leaf, fact.sources)) for fact in source.facts)
        return Facts(_leaf(source.models), parts)
    if histogram and source.of is not None and source.over is not None:
        return Mean(_scalar(source.of), _scalar(source.over))
    return _scalar(source)


def _scalar(source: written.ProfileSource) -> Scalar:
    if source.sum:
        return Added(tuple(map(_scalar, source.sum)), whole=bool(source.whole))
    if source.of is not None and source.over is not None:
        return Ratio(_scalar(source.of), _scalar(source.over))
    if source.of is not None and source.times is not None:
        return Product(_scalar(source.of), _scalar(source.times))
    return _leaf(source)


def _leaf(source: written.ProfileSource) -> Source:
    return Source(
        name=source.family or "",
        native=Native(source.kind),
        per=_per(source.unit),
        where=tuple(
            Where(w.label, frozenset(w.values), w.matching or "", w.excluding) for w in source.where
        ),
        by=tuple(
            By(by.labels, by.otherwise or "", tuple((by.values or {}).items())) for by in source.by
        ),
        declared=source.declared,
        sentinels=source.sentinels,
        value_label=source.value_label or "",
        listed=bool(source.listed),
        newest=bool(source.newest),
    )


def _per(unit: str | float | None) -> float:
    if unit is None:
        return 1.0
    return UNITS[unit] if isinstance(unit, str) else unit
