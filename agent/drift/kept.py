"""References of a running process: what the store has for it, and what it has for the store.

The store may be missing, damaged, full or read-only, and somebody else may write it meanwhile. None of that
stops the counting: what goes wrong is told, once, and what was in use stays in use.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from agent.catalogue import events
from agent.drift.reference import InvalidReferenceError, Reference
from agent.drift.store import ReferenceStore
from agent.snapshot import Event, Problem

IN_USE: Final = 7 * 86_400.0
"""Seconds: what had no traffic for longer makes no series at a start, until there is some."""
_LOOK: Final = 15.0
"""Seconds between looks for references of models that nothing came of yet."""
_NOTE: Final = 3_600.0
"""Seconds between notes in the store that there is traffic."""
_NEVER: Final = float("-inf")

Key = tuple[str, str]
"""A model and its version."""


class KeptReferences:
    """The references in ``store``; without one, they live as long as the process. Not for several threads.

    ``objection`` tells why a reference is not used: a reason of one word and a sentence, "" if it is.
    """

    def __init__(
        self,
        store: ReferenceStore | None,
        objection: Callable[[Reference], tuple[str, str]] = lambda _: ("", ""),
    ) -> None:
        self._store = store
        self._objection = objection
        self._problems: list[Problem] = []
        self._events: list[Event] = []
        self._unusable: dict[Key, str] = {}
        self._unkept: dict[Key, tuple[Reference, str]] = {}
        self._noted: dict[Key, float] = {}
        self._looked = _NEVER

    def take(self) -> tuple[tuple[Problem, ...], tuple[Event, ...]]:
        """Return what went wrong and what happened since the last time."""
        taken = tuple(self._problems), tuple(self._events)
        self._problems, self._events = [], []
        return taken

    def current(self, key: Key) -> Reference | None:
        """Return the reference in use of a version of a model; `None` where there is none to be had."""
        if self._store is None:
            return None
        try:
            found = self._store.current(*key)
        except (InvalidReferenceError, OSError) as error:
            self._problem("unusable_reference", key, str(error))
            return None
        reason, said = self._objection(found) if found else ("", "")
        if found and said:
            self._unusable[key] = found.id  # told once
            self._problem(reason, key, f"{said}; it is not used")
            return None
        return found

    def changed(self, key: Key, known: str, now: float) -> Reference | None:
        """Return the reference that somebody put in use instead of the ``known`` id, `None` if nobody did."""
        if self._store is None:
            return None
        try:
            history = self._store.history(*key)
        except (InvalidReferenceError, OSError) as error:
            if key not in self._unusable:
                self._unusable[key] = ""
                self._problem("unusable_reference", key, str(error))
            return None
        if not history or history[-1] in (known, self._unusable.get(key)):
            return None
        found = self.current(key)
        if found is None:
            self._unusable[key] = history[-1]  # told once
            return None
        self._events.append(_in_use(found, now))
        return found

    def others(self, now: float) -> list[Key]:
        """Return what had traffic lately, the latest first; nothing if that was asked a moment ago."""
        if self._store is None or 0 <= now - self._looked < _LOOK:
            return []
        self._looked = now
        self._keep_again()
        try:
            return self._store.recent(now - IN_USE)
        except OSError as error:
            if ("", "") not in self._unusable:
                self._unusable["", ""] = ""
                self._problem("unusable_reference", ("", ""), str(error))
            return []

    def keep(self, learned: Reference, now: float) -> None:
        """Keep a reference that was learned; if the disk does not take it, later, once it does."""
        if self._store is not None:
            try:
                self._store.use(learned)
            except (InvalidReferenceError, OSError) as error:
                key = learned.model, learned.model_version
                self._unkept[key] = learned, self._in_use(key)
                said = f"the reference {learned.id} could not be kept, and is tried again: {error}"
                self._problem("reference_not_kept", key, said)
        self._events.append(_in_use(learned, now))

    def _keep_again(self) -> None:
        """Keep what could not be kept, unless somebody has put another reference in use meanwhile."""
        for key, (learned, before) in tuple(self._unkept.items()):
            with suppress(InvalidReferenceError, OSError):
                if self._store is not None and self._in_use(key) == before:
                    self._store.use(learned)
                del self._unkept[key]

    def _in_use(self, key: Key) -> str:
        """Return the id in use in the store, "" where there is none to be read."""
        history: list[str] = []
        if self._store is not None:
            with suppress(InvalidReferenceError, OSError):
                history = self._store.history(*key)
        return history[-1] if history else ""

    def note(self, key: Key, now: float) -> None:
        """Note in the store every now and then that there is traffic."""
        if self._store is None or 0 <= now - self._noted.get(key, _NEVER) < _NOTE:
            return
        self._noted[key] = now
        try:
            self._store.seen(*key, now)
        except OSError as error:
            self._problem("reference_not_kept", key, f"its use could not be noted: {error}")

    def forget(self, key: Key) -> None:
        """Forget a version of a model that is no longer counted."""
        self._noted.pop(key, None)
        self._unkept.pop(key, None)
        self._unusable.pop(key, None)

    def _problem(self, reason: str, key: Key, said: str) -> None:
        self._problems.append(Problem(reason, " ".join(key).strip(), said))


def _in_use(reference: Reference, now: float) -> Event:
    named = f"{reference.model} {reference.model_version}".strip()
    body = f"Model {named} has the reference {reference.id} now, {reference.origin}"
    told = {
        "model": reference.model,
        "model_version": reference.model_version,
        "reference": reference.id,
    }
    pairs = tuple((key, value) for key, value in told.items() if value)
    return Event(events.REFERENCE_IN_USE, now, body, pairs)
