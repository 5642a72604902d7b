"""Who was not let in: counted by reason, and told in the log once a minute for each, without any secret."""

import logging
from collections.abc import Callable
from typing import Final

from agent.catalogue.attributes import NOT_LET_IN

CREDENTIALS_MISSING: Final = "credentials_missing"
CREDENTIALS_WRONG: Final = "credentials_wrong"
CERTIFICATE_MISSING: Final = "certificate_missing"
TOO_MANY_ATTEMPTS: Final = "too_many_attempts"
HANDSHAKE_FAILED: Final = "handshake_failed"
_PAUSE: Final = 60.0
"""Seconds between two lines of the log for one reason."""

_log = logging.getLogger(__name__)


class Refusals:
    """Counts by reason, at 0 for what has not happened. ``clock`` gives seconds that never go back."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}
        self.counts: Final = dict.fromkeys(NOT_LET_IN.values, 0)

    def note(self, reason: str, address: str, detail: str = "") -> None:
        """Count one; ``detail`` is for the log and holds nothing that a client chose."""
        self.counts[reason] += 1
        now = self._clock()
        if now >= self._told.get(reason, now):
            self._told[reason] = now + _PAUSE
            said = f" ({detail})" if detail else ""
            _log.warning(
                "%s was not let in: %s%s; others within a minute are only counted",
                address or "somebody",
                reason.replace("_", " "),
                said,
            )
