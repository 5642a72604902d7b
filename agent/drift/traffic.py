"""One version of one model: learns its reference from traffic, then counts against it.

While it learns, nothing is counted and so nothing is measured: that is said (`agent.drift.readings`), not
pretended to be calm.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.drift.awaited import Halves
from agent.drift.column import Column
from agent.drift.counting import FeatureCounter, counter
from agent.drift.embedding import Projection
from agent.drift.learning import FeatureLearner, Learned
from agent.drift.performance_labels import LabelCounter, joined
from agent.drift.performance_learning import PerformanceSample
from agent.drift.reference import Reference
from agent.drift.replica import ReplicaWindows
from agent.drift.rows import LABEL, LENGTH, ROW_ID, SCORE, Rows, is_own
from agent.drift.schema import Schema

MAX_FEATURES: Final = 50
"""Of a model, by default, beside prediction, score, label and latency: 12 series each. More names are
counted as schema violations, not as series."""
_MOST_NAMED: Final = 100
"""Names of columns that are left out, to be told; there may be any number of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """When a reference has been learned: both must be reached."""

    rows: int = 20_000
    """So that the reference's own sampling noise is small beside that of a window."""
    seconds: float = 86_400.0
    """A day, so that the reference knows night and noon."""


class Traffic:
    """What is known of one version of one model.

    With a ``reference`` it counts from the first row; without, it learns one first. ``clock`` values come
    with the rows. ``schema_violations`` counts values that break the declared ``schema``, and, of what it
    does not speak of, columns that the reference does not know or misses, by batch.
    """

    def __init__(
        self,
        model: str,
        model_version: str,
        *,
        reference: Reference | None = None,
        learning: Learning | None = None,
        most_features: int = MAX_FEATURES,
        embeddings: bool = False,
        halves: Halves | None = None,
        schema: Schema | None = None,
    ) -> None:
        self._schema = schema or Schema()
        self._embeddings = embeddings
        self._halves = halves or Halves()
        self._performance = PerformanceSample()
        self.labels: LabelCounter | None = None
        """What labels said; `None` until there are any, unless the reference was learned with some."""
        self.labels_unmatched = 0
        self.no_features: tuple[str, ...] = ()
        """Columns that came, and held nothing that could be compared, when the reference was learned."""
        self.left_out: dict[str, None] = {}
        """Columns that were not learned for want of room, in the order in which they came; the first ones."""
        self.model = model
        self.model_version = model_version
        self.reference: Reference | None = None
        self.counters: Mapping[str, FeatureCounter] = {}
        self.windows = ReplicaWindows(())
        self.rows = 0
        """Since the start, or since the reference came into use."""
        self.schema_violations = 0
        self._learning = learning or Learning()
        self._room = most_features
        """Columns that may still be learned."""
        self._learners: dict[str, FeatureLearner] = {}
        self._projections: Mapping[str, Projection] = {}
        self._judged: frozenset[str] = frozenset()
        """Features that are judged row by row, because they are declared."""
        self._began: float | None = None
        self._whole_rows = 0
        if reference is not None:
            self.use(reference)
        else:  # what is declared has a place, however many other columns come before it
            self._learners = {name: self._learner(name) for name in self._schema.by_name}
            self._room -= sum(not is_own(name) for name in self._learners)

    def use(self, reference: Reference) -> None:
        """Count against ``reference`` from now on, from 0."""
        self.reference = reference
        self.counters = {feature.name: counter(feature) for feature in reference.features}
        self.windows = ReplicaWindows(tuple(self.counters.values()))
        self._projections = {each.name: each for each in reference.projections}
        self.rows = self._whole_rows = 0
        self._learners = {}
        self._judged = self._schema.features(reference)
        self._performance = PerformanceSample()
        expected = reference.calibration is not None or LABEL in reference.by_name
        self.labels = LabelCounter(reference) if expected else None

    def add(self, rows: Rows) -> Reference | None:
        """Take in rows; return the reference if these completed it."""
        rows = self._judge(rows)
        columns = {name: Column(values) for name, values in rows.columns.items()}
        self.schema_violations += self._schema.violations(columns, rows.size if rows.whole else 0)
        if self.reference is not None:
            self._count(rows, columns)
            return None
        self._learn(rows)
        return self.freeze(rows.time) if self._has_learned(rows.time) else None

    def freeze(self, now: float, *, origin: str = "") -> Reference | None:
        """End learning: make the reference of what was seen and count against it.

        `None` where there was nothing to make one of. ``now`` is Unix seconds; ``origin`` says where the
        rows are from, live traffic if not given.
        """
        found = {
            name: told
            for name, each in self._learners.items()
            if (told := each.freeze()) and not self._is_taken(name, told)
        }
        if not found:
            return None
        self.no_features = tuple(
            name for name, each in self._learners.items() if each.samples and name not in found
        )
        learned = found.values()
        features = tuple(feature for each in learned for feature in each.features)
        score = next((feature for feature in features if feature.name == SCORE), None)
        reference = Reference(
            self.model,
            self.model_version,
            features,
            tuple(each.projection for each in learned if each.projection),
            self._performance.calibrate(score.bins) if score else None,
            origin=origin or f"learned from {self.rows} rows of live traffic",
            created=now,
        )
        self.use(reference)
        return reference

    def _is_taken(self, name: str, learned: Learned) -> bool:
        """Tell whether what is made of a column has the name of another column, which goes first."""
        return any(
            feature.name != name and feature.name in self._learners for feature in learned.features
        )

    def _judge(self, rows: Rows) -> Rows:
        """Hold the labels in a batch against the predictions; return the rows less their ids.

        A label that is not there yet is not missing: what is left of the column are those that came.
        """
        if LABEL not in rows.columns and ROW_ID not in rows.columns:
            return rows
        model = self.model, self.model_version
        found = joined(model, rows.columns, self._halves, rows.time)
        self.labels_unmatched += found.unmatched
        if self.reference is None:
            self._performance.add(found.judged)
        elif found.judged[LABEL]:
            self.labels = self.labels or LabelCounter(self.reference)
            self.labels.add(found.judged)
        columns = {
            name: values for name, values in rows.columns.items() if name not in (ROW_ID, LABEL)
        }
        return rows._replace(columns={**columns, LABEL: found.labels} if found.labels else columns)

    def _has_learned(self, now: float) -> bool:
        began = now if self._began is None else self._began
        return self.rows >= self._learning.rows and now - began >= self._learning.seconds

    def _learn(self, rows: Rows) -> None:
        if self._began is None or rows.time < self._began:  # the clock may have been set back
            self._began = rows.time
        for name, values in rows.columns.items():
            learner = self._learners.get(name)
            if learner is None:
                if not name or not self._has_room(name):
                    self.schema_violations += 1
                    continue
                self._room -= not is_own(name)
                learner = self._learners[name] = self._learner(name)
                learner.add_missing(self._whole_rows if name != LABEL else 0)
            learner.add(values)
        for name, learner in self._learners.items():
            if rows.whole and name not in rows.columns and name != LABEL:
                learner.add_missing(rows.size)
        self.rows += _size(rows)
        self._whole_rows += rows.size if rows.whole else 0

    def _has_room(self, name: str) -> bool:
        """Tell whether a column more is learned; what every model may have always is."""
        if is_own(name) or self._room > 0:
            return True
        if len(self.left_out) < _MOST_NAMED:
            self.left_out[name] = None
        return False

    def _learner(self, name: str) -> FeatureLearner:
        declared = self._schema.by_name.get(name)
        return FeatureLearner(name, embeddings=self._embeddings, declared=declared)

    def _count(self, rows: Rows, columns: Mapping[str, Column]) -> None:
        size = rows.size
        met = set()
        for name, column in columns.items():
            taken = name not in self.counters and name + LENGTH in columns
            told = {} if taken else self.derived(name, column)
            if not told and name != LABEL:  # labels may come to any model, sooner or later
                self.schema_violations += 1
            for feature, derived in told.items():
                known = self.counters[feature]
                known.add(derived)
                known.add_missing(size - len(derived.values) if name != LABEL else 0)
                met.add(feature)
        for feature, known in self.counters.items():
            if rows.whole and feature not in met and feature != LABEL:
                known.add_missing(size)
                self.schema_violations += feature not in self._judged
        self.rows += _size(rows)

    def derived(self, name: str, column: Column) -> Mapping[str, Column]:
        """Return the features that a column is, or that are made of it; none for a column nobody knows."""
        if name in self.counters:
            return {name: column}
        if name + LENGTH in self.counters:
            return {name + LENGTH: column.lengths}
        if name in self._projections:
            made = self._projections[name].columns(column.values)
            return {feature: Column(values) for feature, values in made.items()}
        return {}


def _size(rows: Rows) -> int:
    """Return how many rows these are; labels that came late are none."""
    return 0 if rows.columns.keys() == {LABEL} else rows.size
