"""What happened and what went wrong: counted, kept for those who look later, and logged within bounds."""

import logging
from collections import Counter, deque
from collections.abc import Iterable
from typing import Final

from agent.catalogue import Severity
from agent.snapshot import Event, Problem

EVENTS_KEPT: Final = 200
"""Newest events kept for the status page and late readers; exporters see each one as it comes."""
EVENTS_LOGGED_A_MINUTE: Final = 20
"""Of each kind; the log is for people."""

_LEVELS: Final = {
    Severity.PAGE: logging.ERROR,
    Severity.TICKET: logging.WARNING,
    Severity.INFO: logging.INFO,
}
_log = logging.getLogger(__name__)


class Journal:
    """One for all collectors."""

    def __init__(self) -> None:
        self.problems: Final[Counter[tuple[str, str]]] = Counter()
        """By collector and reason."""
        self.counts: Final[Counter[str]] = Counter()
        """Events by the name of their kind."""
        self.total = 0
        """Events there ever were."""
        self._events: deque[Event] = deque(maxlen=EVENTS_KEPT)
        self._logged: dict[str, tuple[int, int]] = {}
        self._newest: tuple[Event, ...] = ()

    @property
    def events(self) -> tuple[Event, ...]:
        """The newest events, oldest first; the same object until there is another."""
        return self._newest

    def count(self, collector: str, problems: Iterable[Problem]) -> None:
        """Count problems; the first one of a reason is logged."""
        for problem in problems:
            key = collector, problem.reason
            if key not in self.problems:
                said = " ".join(f"{problem.subject} {problem.detail}".split())
                _log.warning("collector %s: %s: %s (further ones are only counted)", *key, said)
            self.problems[key] += 1

    def forget(self, collector: str) -> None:
        """Forget the problems of a collector that is not run any more."""
        for key in [key for key in self.problems if key[0] == collector]:
            del self.problems[key]

    def take(self, happened: tuple[Event, ...]) -> None:
        """Count and keep events."""
        if not happened:
            return
        for event in happened:
            self.counts[event.kind.name] += 1
            self._events.append(event)
        self.total += len(happened)
        self._newest = tuple(self._events)

    def log(self, happened: Iterable[Event]) -> None:
        """Log events; a storm of one kind is cut off, since each is counted and exported."""
        for event in happened:
            name, minute = event.kind.name, int(event.time // 60)
            since, logged = self._logged.get(name, (minute, 0))
            logged = logged + 1 if since == minute else 1
            self._logged[name] = (minute, logged)
            if logged <= EVENTS_LOGGED_A_MINUTE:
                _log.log(_LEVELS[event.kind.severity], "%s: %s", name, " ".join(event.body.split()))
