"""What probes may cost, of one server or of all that were found: requests of a minute, tokens of a day."""

from collections import deque
from collections.abc import Callable
from typing import Final

_MINUTE: Final = 60.0
_DAY: Final = 86_400.0


class Budget:
    """Keeps accounts. ``clock`` gives seconds that only grow."""

    def __init__(self, *, requests: int, tokens: int, clock: Callable[[], float]) -> None:
        self._requests = requests
        self._tokens = tokens
        self._clock = clock
        self._sent: deque[float] = deque(maxlen=requests)
        self._spent: deque[tuple[float, int]] = deque()
        self._sum = 0

    def refusal(self, tokens: int) -> str:
        """Return which budget forbids a request of about so many tokens; empty if none does."""
        now = self._clock()
        while self._spent and self._spent[0][0] <= now - _DAY:
            self._sum -= self._spent.popleft()[1]
        if len(self._sent) == self._requests and self._sent[0] > now - _MINUTE:
            return "requests"
        return "tokens" if self._sum + tokens > self._tokens else ""

    def send(self) -> None:
        """Note that a request leaves now."""
        self._sent.append(self._clock())

    def spend(self, tokens: int) -> None:
        """Note what a request cost; a quarter of an hour is one entry, so a day is about a hundred."""
        now = self._clock()
        self._sum += tokens
        if self._spent and now - self._spent[-1][0] < _DAY / 96:
            since, before = self._spent[-1]
            self._spent[-1] = (since, before + tokens)
        else:
            self._spent.append((now, tokens))
