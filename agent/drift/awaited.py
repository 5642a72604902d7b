"""What waits for its other half: predictions for their labels, and labels for their predictions.

Labels come with their rows, days later, or before them: a logger may be slower than whoever labels. What
waits is under a hash of the row's id, bounded in number and in time.
"""

import sys
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

TIME_TO_LIVE: Final = 7 * 86_400.0
"""Seconds for which a row waits for its label at most; for half of that at least, if there is room."""
MOST_WAITING: Final = 100_000
"""Rows of all models that wait, some 20 MiB."""
PATIENCE: Final = 3_600.0
"""Seconds for which a label waits for its row at most: loggers queue and try again for minutes."""
MOST_LABELS: Final = 20_000
"""Labels of all models that wait, some 10 MiB; a long text counts as several."""
_WEIGHED: Final = 64
"""Characters, or bytes of a number, of a label that count as one more."""


class Said(NamedTuple):
    """What a model said of a row, as short as it can be compared: a text is its hash."""

    score: float | None
    prediction: str | None


class Awaited:
    """Rows that wait for their labels, in two generations: the older one goes as a whole."""

    def __init__(self, most: int = MOST_WAITING, time_to_live: float = TIME_TO_LIVE) -> None:
        self._half = max(1, most // 2)
        self._lifetime = time_to_live / 2
        self._young: dict[int, Said] = {}
        self._old: dict[int, Said] = {}
        self._began = float("-inf")

    def put(self, model: tuple[str, str], row: object, said: Said, now: float) -> None:
        """Keep what was said of a row until its label comes. ``now`` is Unix seconds."""
        if said == (None, None):
            return
        if not 0 <= now - self._began < self._lifetime or len(self._young) >= self._half:
            within = 0 <= now - self._began < 2 * self._lifetime
            self._old, self._young = (self._young if within else {}), {}
            self._began = now
        self._young[_key(*model, row)] = said

    def take(self, model: tuple[str, str], row: object) -> Said | None:
        """Return what was said of a row, once; `None` where nothing is known of it (any more)."""
        key = _key(*model, row)
        young = self._young.pop(key, None)
        old = self._old.pop(key, None)
        return young if young is not None else old

    def knows(self, model: tuple[str, str], row: object) -> bool:
        """Tell whether a row waits."""
        key = _key(*model, row)
        return key in self._young or key in self._old

    def __len__(self) -> int:
        """Tell how many wait."""
        return len(self._young) + len(self._old)


class EarlyLabel(NamedTuple):
    """A label whose row has not come. ``model_version`` is empty where nobody told it."""

    model: str
    model_version: str
    value: object
    came: float
    counted: bool
    """Whether it is among the values of the feature that labels are."""


class EarlyLabels:
    """Labels that wait for their rows; the oldest give way to new ones."""

    def __init__(self, most: int = MOST_LABELS, patience: float = PATIENCE) -> None:
        self._most = most
        self._patience = patience
        self._waiting: OrderedDict[int, EarlyLabel] = OrderedDict()
        self._gone: list[EarlyLabel] = []
        self._weight = 0

    def put(
        self, model: tuple[str, str], row: object, value: object, now: float, *, counted: bool
    ) -> None:
        """Keep a label until its row comes. ``now`` is Unix seconds; see `EarlyLabel` for the rest."""
        plain = value if isinstance(value, str | int | float) else ()  # no class, whatever it holds
        name, version = map(sys.intern, model)  # the same for many labels
        label = EarlyLabel(name, version, plain, now, counted)
        key = _key(*model, row)
        if key in self._waiting:  # which of the two is true, nobody can tell: the later one
            self._gone.append(self._pop(key))
        self._waiting[key] = label
        self._weight += _weight(plain)
        while self._weight > self._most:
            self._gone.append(self._pop(next(iter(self._waiting))))

    def take(self, model: tuple[str, str], row: object) -> EarlyLabel | None:
        """Return the label of a row, once, whether or not its version was told; `None` if none waits."""
        for version in dict.fromkeys((model[1], "")) if self._waiting else ():
            key = _key(model[0], version, row)
            if key in self._waiting:
                return self._pop(key)
        return None

    def give_up(self, now: float) -> Iterator[EarlyLabel]:
        """Yield the labels that waited for too long, or had to make room; they wait no more."""
        gone, self._gone = self._gone, []
        yield from gone
        while self._waiting:
            key, oldest = next(iter(self._waiting.items()))
            if 0 <= now - oldest.came < self._patience:
                break
            yield self._pop(key)  # also where the clock was set back: nothing waits for ever

    def _pop(self, key: int) -> EarlyLabel:
        label = self._waiting.pop(key)
        self._weight -= _weight(label.value)
        return label

    def __len__(self) -> int:
        """Tell how many wait."""
        return len(self._waiting)


@dataclass(frozen=True)
class Halves:
    """What waits on both sides, of all models."""

    rows: Awaited = field(default_factory=Awaited)
    labels: EarlyLabels = field(default_factory=EarlyLabels)


def _weight(value: object) -> int:
    """Return for how many labels one counts."""
    size = len(value) if isinstance(value, str) else 0
    if isinstance(value, int):
        size = value.bit_length() // 8
    return 1 + size // _WEIGHED


def _key(model: str, model_version: str, row: object) -> int:
    # 64 bits, keyed anew in each process (PEP 456): nobody can make ids meet; a tenth of a digest's cost.
    return hash((model, model_version, str(row)))
