"""All models that traffic comes from: which there are, and which of them a row or a label is about."""

import random
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from typing import Final

from agent.drift.awaited import Halves
from agent.drift.gathering import Gathering
from agent.drift.kept import KeptReferences
from agent.drift.reference import Reference
from agent.drift.rows import LABEL, ROW_ID, Rows
from agent.drift.schema import Schema
from agent.drift.selection import EVERYTHING, Reservoir, Selection, selection_of
from agent.drift.store import ReferenceStore
from agent.drift.traffic import MAX_FEATURES, Learning, Traffic
from agent.snapshot import Event, Problem

MAX_MODELS: Final = 40
"""Models and versions on a node; more are refused, and counted."""
_NAMED: Final = 3
"""Columns that a problem names."""
IDLE: Final = 86_400.0
"""Seconds without traffic after which a version of a model makes room for another one."""
UNKNOWN: Final = 3_600.0
"""The same, of one that has no reference yet: names that came once, by mistake, must not keep others out."""


class Models:
    """What is known of each version of each model. ``clock`` gives Unix seconds.

    ``store`` keeps references; without one they live as long as the process. ``embeddings``: keep a sample
    of vectors while a reference is learned. Not for several threads.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        store: ReferenceStore | None = None,
        learning: Learning | None = None,
        most_features: int = MAX_FEATURES,
        most_models: int = MAX_MODELS,
        embeddings: bool = False,
        selections: Sequence[Selection] = (),
    ) -> None:
        self._clock = clock
        self._kept = KeptReferences(store, self._objection)
        self._learning = learning
        self._most_features = most_features
        self._most_models = most_models
        self._embeddings = embeddings
        self._selections = selections
        self._selected: dict[str, Selection] = {}
        self._chance = random.Random()  # noqa: S311 - a sample, not a secret
        self._reservoirs: dict[tuple[str, str], Reservoir] = {}
        self._traffic: dict[tuple[str, str], Traffic] = {}
        self._halves = Halves()
        self._unclaimed = 0
        """Labels that waited for a model of which nothing came."""
        self._gathering = Gathering()
        self._problems: list[Problem] = []
        self._refused: set[tuple[str, str]] = set()
        self._seen: dict[tuple[str, str], float] = {}
        self._short: set[tuple[str, str]] = set()
        """Of which it was told that they have too many features."""

    def add(self, rows: Rows) -> bool:
        """Take in rows; False where there are too many models already."""
        key = rows.model, rows.model_version
        if key not in self._traffic and not self._meet(key):
            return False
        self._seen.setdefault(key, rows.time)
        selection = self._selected[rows.model]
        if selection is not EVERYTHING:
            rows = selection.apply(rows, self._chance)
            if not rows.size:
                return True
        if selection.reservoir:
            self._sample(key, selection.reservoir, rows)
        self._gather(rows)
        return True

    def _gather(self, rows: Rows) -> None:
        for full in self._gathering.add(rows):
            self._count(full)

    def label(self, late: Rows) -> int:
        """Take in labels of rows that came before; return how many wait for rows that did not.

        Without a version, each goes to the version that its row comes from.
        """
        versions = list(self._versions(late.model, late.model_version))
        for key in versions:
            self._count_waiting(key)  # a label may follow its row within the second
        late = selection_of(late.model, self._selections).apply(late, self._chance)
        found: dict[tuple[str, str], list[int]] = {}
        alone = 0
        told = zip(late.columns[ROW_ID], late.columns[LABEL], strict=True)
        for place, (row, label) in enumerate(told):
            owner = next((key for key in versions if self._halves.rows.knows(key, row)), None)
            if owner is not None:
                found.setdefault(owner, []).append(place)
            elif label is not None:
                named = late.model, late.model_version
                self._halves.labels.put(named, row, label, late.time, counted=False)
                alone += 1
        for key, places in found.items():
            columns = {
                name: [values[place] for place in places] for name, values in late.columns.items()
            }
            self._gather(late._replace(model_version=key[1], columns=columns))
        self._give_up()
        return alone

    def unclaimed(self) -> int:
        """Return how many labels waited for a model of which nothing came, since the last time."""
        found, self._unclaimed = self._unclaimed, 0
        return found

    def _versions(self, model: str, model_version: str) -> Iterator[tuple[str, str]]:
        """Yield the versions that are meant, all where none is told."""
        return (key for key in self._traffic if key[0] == model and model_version in ("", key[1]))

    def _give_up(self) -> None:
        """Count labels whose rows did not come: for the newest version, where they tell none."""
        now = self._clock()
        newest: dict[tuple[str, str], tuple[str, str] | None] = {}
        late: dict[tuple[str, str], list[object]] = {}
        for label in self._halves.labels.give_up(now):
            named = label.model, label.model_version
            if named not in newest:
                newest[named] = next(iter([*self._versions(*named)][::-1]), None)
            key = newest[named]
            if key is None:
                self._unclaimed += 1
            elif label.counted:
                self._traffic[key].labels_unmatched += 1
            else:
                late.setdefault(key, []).append(label.value)
        for key, labels in late.items():
            self._gather(Rows(*key, {LABEL: labels}, now, whole=False))

    def count(self) -> None:
        """Count all rows that wait, and labels that waited for too long."""
        self._give_up()
        for key in self._traffic:
            self._count_waiting(key)

    def _count_waiting(self, key: tuple[str, str]) -> None:
        for rows in self._gathering.take(key):
            self._count(rows)

    def __iter__(self) -> Iterator[Traffic]:
        """Return what is known of each model and version."""
        return iter(self._traffic.values())

    def find(self, model: str, model_version: str) -> Traffic | None:
        """Return what is known of one."""
        return self._traffic.get((model, model_version))

    def sample(self, model: str, model_version: str) -> list[dict[str, object]]:
        """Return the rows that are kept of a model, none where that was not asked for."""
        reservoir = self._reservoirs.get((model, model_version))
        return list(reservoir.rows) if reservoir else []

    def _sample(self, key: tuple[str, str], most: int, rows: Rows) -> None:
        if key not in self._reservoirs:
            self._reservoirs[key] = Reservoir(most, self._chance)
        self._reservoirs[key].add(rows)

    def freeze(self, model: str, model_version: str) -> Reference | None:
        """End learning now; `None` where nothing was learned, or nothing is being learned."""
        self.count()
        traffic = self._traffic.get((model, model_version))
        if traffic is None or traffic.reference is not None:
            return None
        learned = traffic.freeze(self._clock())
        if learned is not None:
            self._keep(learned, traffic.no_features)
        return learned

    def _keep(self, learned: Reference, no_features: Collection[str]) -> None:
        """Keep a reference, and say which columns it could be learned nothing of."""
        self._kept.keep(learned, self._clock())
        if no_features:
            said = (
                f"no feature was made of {len(no_features)} columns, such as "
                f"{', '.join(islice(no_features, _NAMED))}: they hold neither numbers nor words, or vectors "
                "without drift.embeddings"
            )
            subject = f"{learned.model} {learned.model_version}".strip()
            self._problems.append(Problem("no_feature", subject, said))

    def refresh(self) -> None:
        """Take up references that were put in use in the store by somebody else, or before this start.

        A model that is in use has its counters at 0 then, before its first row.
        """
        now = self._clock()
        for key, traffic in self._traffic.items():
            known = traffic.reference.id if traffic.reference else ""
            reference = self._kept.changed(key, known, now)
            if reference is not None:
                traffic.use(reference)
        for key in self._kept.others(now):
            if key not in self._traffic and len(self._traffic) < self._most_models:
                self._begin(key)

    def take(self) -> tuple[tuple[Problem, ...], tuple[Event, ...]]:
        """Return what went wrong and what happened since the last time."""
        problems, happened = self._kept.take()
        problems += tuple(self._problems)
        self._problems = []
        return problems, happened

    def _meet(self, key: tuple[str, str]) -> bool:
        if len(self._traffic) >= self._most_models and not self._make_room():
            if key not in self._refused and len(self._refused) < self._most_models:
                self._refused.add(key)
                said = f"there are {self._most_models} models and versions already; see drift.max_models"
                self._problems.append(Problem("too_many_models", " ".join(key).strip(), said))
            return False
        self._begin(key)
        return True

    def _make_room(self) -> bool:
        """Let go of what had no traffic for the longest time; False if all had some."""
        now, never = self._clock(), float("-inf")
        idle = {
            key: seen
            for key, traffic in self._traffic.items()
            if now - (seen := self._seen.get(key, never))
            >= (IDLE if traffic.reference else UNKNOWN)
        }
        if not idle:
            return False
        key = min(idle, key=lambda each: idle[each])
        del self._traffic[key]
        self._kept.forget(key)
        self._seen.pop(key, None)
        self._reservoirs.pop(key, None)
        self._short.discard(key)
        self._gathering.take(key)
        return True

    def _begin(self, key: tuple[str, str]) -> None:
        self._selected[key[0]] = selection_of(key[0], self._selections)
        self._traffic[key] = Traffic(
            *key,
            reference=self._kept.current(key),
            learning=self._learning,
            most_features=self._most_features,
            embeddings=self._embeddings,
            halves=self._halves,
            schema=self._schema(key[0]),
        )

    def _tell_left_out(self, key: tuple[str, str], names: Collection[str]) -> None:
        """Say once which columns there is no room for."""
        if key not in self._short:
            self._short.add(key)
            said = (
                f"more columns than the {self._most_features} that a model may have are left out, such as "
                f"{', '.join(islice(names, _NAMED))}; see drift.max_features, and drift.models[].include"
            )
            self._problems.append(Problem("too_many_features", " ".join(key).strip(), said))

    def _schema(self, model: str) -> Schema:
        return Schema(selection_of(model, self._selections).declared)

    def _objection(self, reference: Reference) -> tuple[str, str]:
        said = reference.excess(self._most_features)
        if said:
            return "too_many_features", said
        return "schema_mismatch", self._schema(reference.model).contradiction(reference)

    def _count(self, rows: Rows) -> None:
        key, now = (rows.model, rows.model_version), self._clock()
        self._seen[key] = now
        self._kept.note(key, now)
        traffic = self._traffic[key]
        learned = traffic.add(rows._replace(time=now))
        if traffic.left_out:
            self._tell_left_out(key, traffic.left_out)
        if learned is not None:
            self._keep(learned, traffic.no_features)
