"""Bounds that calibration learned: a file on each node, and series that the alert rules compare with."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final

from agent.catalogue.attributes import DRIFT_WINDOW, STATISTIC
from agent.catalogue.drift import THRESHOLD
from agent.snapshot import Problem, Reading

FORMAT: Final = 1
FILE: Final = "thresholds.json"
"""Within the state directory, where the configuration names no other file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One learned bound: a score, from so many days of history, with the alerts a month to expect."""

    model: str
    model_version: str
    reference: str
    feature: str
    statistic: str
    window: str
    value: float
    days: float = 0.0
    alerts_per_month: float | None = 0.0
    """To be expected of it; `None` where the history is too short to tell."""

    def __post_init__(self) -> None:
        """Refuse what no rule would ask for. Raises ValueError."""
        if self.statistic not in STATISTIC.values or self.window not in DRIFT_WINDOW.values:
            raise ValueError(f"no rule asks for {self.statistic} of {self.window}")
        if not isfinite(self.value) or self.value <= 0:
            raise ValueError(f"{self.feature}: {self.value!r} is no threshold")

    @property
    def key(self) -> tuple[str, ...]:
        """What it bounds."""
        identity = (self.model, self.model_version, self.reference, self.feature)
        return (*identity, self.statistic, self.window)

    @property
    def reading(self) -> Reading:
        """The series that rules compare with."""
        return Reading(THRESHOLD, self.key, self.value)


def to_json(thresholds: Iterable[Threshold], created: float) -> str:
    """Return the text of the file; ``created`` is Unix seconds."""
    told = {"format": FORMAT, "created": created, "thresholds": list(map(asdict, thresholds))}
    return json.dumps(told, indent=1) + "\n"


def from_json(text: str) -> tuple[Threshold, ...]:
    """Return what a file holds. Raises ValueError with what is wrong with it."""
    try:
        content = json.loads(text)
        json.dumps(content, ensure_ascii=False).encode()  # half a character could be in no label
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f"is no file of thresholds of format {FORMAT}")
        found = [_threshold(each) for each in _list(content["thresholds"])]
    except RecursionError as error:
        raise ValueError("is nested too deep") from error
    except (KeyError, TypeError, OverflowError) as error:
        raise ValueError(f"is no file of thresholds: {error}") from error
    seen = set()
    for each in found:
        if each.key in seen:
            raise ValueError(f"{' '.join(filter(None, each.key))} stands there twice")
        seen.add(each.key)
    return tuple(found)


def _list(told: object) -> list[Any]:
    if not isinstance(told, list):
        raise TypeError(f"thresholds must be a list, not {type(told).__name__}")
    return told


def _threshold(content: dict[str, Any]) -> Threshold:
    words = {name: _word(name, content[name]) for name in _WORDS}
    expected = content["alerts_per_month"]
    return Threshold(
        **words,
        value=_number("value", content["value"]),
        days=_number("days", content["days"]),
        alerts_per_month=None if expected is None else _number("alerts_per_month", expected),
    )


_WORDS: Final = ("model", "model_version", "reference", "feature", "statistic", "window")
_LONGEST: Final = 160
"""Characters: as long as a feature's name may be."""


def _word(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        said = str(value)[:60]
        raise ValueError(f"{name} must be text of {_LONGEST} characters at most, not {said!r}")
    return value


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise ValueError(f"{name} must be a finite number, not {str(value)[:60]!r}")
    return float(value)


class ThresholdFile:
    """The file of a running process; it is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self.thresholds: Sequence[Threshold] = ()

    def refresh(self) -> tuple[Problem, ...]:
        """Read the file if it is new. What cannot be read is a problem once, and changes nothing."""
        try:
            stat = self._path.stat()
            seen = stat.st_mtime_ns, stat.st_size
            if seen == self._seen:
                return ()
            self._seen = seen
            self.thresholds = from_json(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            self._seen, self.thresholds = None, ()
        except (OSError, ValueError) as error:
            return (Problem("unusable_thresholds", str(self._path), str(error)),)
        return ()
