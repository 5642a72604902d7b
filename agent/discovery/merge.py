"""Makes one list of what several sources found, each server once."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Final

from agent.discovery.target import Place, Target

_ORDER: Final = ("static", "kubernetes", "sockets")
"""Who knows best what a server is called: who configured it, then its pod, then its process."""


def merge(targets: Iterable[Target]) -> Mapping[Place, Target]:
    """Return one target for each place, whatever the order in which they come.

    The best source gives name and URLs; pod and processes come from whoever knows them.
    """
    merged: dict[Place, Target] = {}
    for target in sorted(targets, key=_rank):
        known = merged.get(target.place)
        merged[target.place] = target if known is None else _joined(known, target)
    return merged


def _rank(target: Target) -> tuple[int, bool, bool, str, str]:
    return (
        _ORDER.index(target.source),
        target.spare,
        not target.sure,
        target.owner,
        target.name,
    )


def _joined(known: Target, other: Target) -> Target:
    return replace(known, pod=known.pod or other.pod, pids=known.pids | other.pids)
