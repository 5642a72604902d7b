"""What the driver does not allow us is told once and asked seldom: permissions do not come by themselves.

An agent without privileges is refused the same things each second for as long as it runs. Counted each time,
they would hide in their number the problem that is new.
"""

from typing import Final

REASON: Final = "no_permission"
AGAIN: Final = 600.0
"""Seconds after which what was refused is asked again, and told again. A judgement."""


class Refusals:
    """What was told of refusals, by whom they are about and by field; bounded by what is refused now."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], float] = {}

    def is_news(self, subject: str, field: str, now: float) -> bool:
        """Return whether a refusal is to be told at ``now`` (seconds), and remember that it was."""
        told = self._told.get((subject, field))
        if told is not None and 0.0 <= now - told < AGAIN:
            return False
        self._told = {key: at for key, at in self._told.items() if 0.0 <= now - at < AGAIN}
        self._told[subject, field] = now
        return True

    def forget(self) -> None:
        """Have everything told again: another driver may allow other things."""
        self._told.clear()
