"""The one owner of XIDs: every source tells it what it saw, and it alone counts.

Sources call `hear` from any thread; one reader calls `settle` now and then and gets each error once. Nothing
flows back to the sources, so a source that hangs or is missing costs nothing but its sightings.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from agent.xid.account import Account, News
from agent.xid.merge import SLACK, Twins, Unpaired
from agent.xid.policy import LARGEST_CODE, Policy
from agent.xid.sighting import KnownGpu, Sighting, Source

HOLD: Final = 0.75
"""Seconds that an error which NVML reports waits for its kernel line, which says more."""
GRACE: Final = 5.0
"""Seconds after the start in which an error at an unknown PCI address waits for its GPU to be met."""
INBOX: Final = 20_000
"""Sightings that wait for `settle`; more are lost, and counted as lost."""
_LARGEST_SXID: Final = 99_999
_STRANGERS: Final = 1000
_TWIN_SECONDS: Final = 600.0
"""How long what the kernel said waits for a library that hangs."""


class XidLedger:
    """Takes in what the sources saw, makes one error of what two of them saw, and keeps the account."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.account: Final = Account(policy or Policy())
        """For the one that calls `settle`."""
        self._lock = threading.Lock()
        self._inbox: deque[Sighting] = deque()
        self._lost = 0
        self._until: dict[Source, float] = {}
        self._gpus: dict[str, KnownGpu] = {}
        self._at: dict[str, str] = {}
        self._gone: list[str] = []
        self._twins = Twins()
        self._held: deque[Unpaired] = deque()
        self._strangers: list[Sighting] = []
        self._patient_until: float | None = None
        self._tell: Callable[[], None] | None = None
        self._fresh = False
        """Whether there is news that nobody has been told of."""

    @property
    def waits(self) -> bool:
        """Whether something was heard that is not settled yet."""
        return bool(self._inbox or self._held or self._strangers)

    def on_news(self, tell: Callable[[], None] | None) -> None:
        """Call ``tell`` once when there is something new to settle, from the thread that brings it."""
        with self._lock:
            self._tell = tell
            fresh = self._fresh
        if fresh:
            self._announce()

    def _announce(self) -> None:
        with self._lock:
            tell, self._tell = self._tell, None
            self._fresh = tell is None
        if tell is not None:
            tell()

    def hear(self, source: Source, until: float, sightings: Sequence[Sighting] = ()) -> None:
        """Take in what ``source`` saw; ``until`` (Unix seconds) says up to when that is all of it."""
        with self._lock:
            news = bool(sightings) or source not in self._until
            self._until[source] = until
            room = INBOX - len(self._inbox)
            self._inbox.extend(sightings[:room])
            self._lost += max(0, len(sightings) - room)
        if news:
            self._announce()

    def heard_until(self, source: Source) -> float | None:
        """Return up to when ``source`` has told all; `None` while it is deaf."""
        with self._lock:
            return self._until.get(source)

    def deaf(self, source: Source) -> None:
        """Take in that ``source`` cannot hear now."""
        with self._lock:
            self._until.pop(source, None)

    def know(self, gpu: KnownGpu) -> None:
        """Take in who a GPU is; costs next to nothing where that is known already."""
        known = self._gpus.get(gpu.hw_id)
        if known is gpu or known == gpu:
            return
        with self._lock:
            self._gpus = {**self._gpus, gpu.hw_id: gpu}
            if gpu.pci:
                self._at = {**self._at, gpu.pci: gpu.hw_id}
        self._announce()

    def forget(self, hw_id: str) -> None:
        """Take in that a GPU is gone for good, as one that was replaced: its counts end."""
        with self._lock:
            self._gpus = {key: gpu for key, gpu in self._gpus.items() if key != hw_id}
            self._at = {pci: key for pci, key in self._at.items() if key != hw_id}
            self._gone.append(hw_id)
        self._announce()

    def locate(self, pci: str, hw_id: str) -> None:
        """Take in which GPU sits at a PCI address, where nobody who knows more has told it yet."""
        with self._lock:
            self._at = {pci: hw_id, **self._at}

    def settle(self, now: float) -> News:
        """Return what came since the last call, each error once. One reader; ``now`` in Unix seconds."""
        with self._lock:
            came, self._inbox = self._inbox, deque()
            lost, self._lost = self._lost, 0
            self._fresh = False
            until = dict(self._until)
            gone, self._gone = self._gone, []
        for hw_id in gone:
            self.account.close(hw_id)
        news = News(lost=lost)
        if self._patient_until is None:
            self._patient_until = now + GRACE
        for gpu in self._gpus.values():
            if "kernel" in until or gpu.hears_xids:
                self.account.open(gpu.hw_id)
        waited, self._strangers = self._strangers, []
        for sighting in (*waited, *came):
            self._take(sighting, now, "kernel" in until, news)
        while self._held and self._held[0].sighting.time + HOLD <= now:
            self._release(self._held.popleft(), news)
        self.account.pass_time(now, news)
        self._forget(now, until.get("nvml"))
        return news

    def _take(self, sighting: Sighting, now: float, kernel_hears: bool, news: News) -> None:
        if not 1 <= sighting.code <= (_LARGEST_SXID if sighting.switch else LARGEST_CODE):
            news.refused.append(sighting)
        elif sighting.switch:
            self.account.take(sighting, sighting.pci, None, news)
        elif (hw_id := self._whose(sighting, now)) is None:
            self._strangers.append(sighting)
        else:
            self._pair(sighting, hw_id, kernel_hears, news)

    def _whose(self, sighting: Sighting, now: float) -> str | None:
        """Return whose error it is; `None` while it is worth waiting for an answer."""
        hw_id = sighting.hw_id or self._at.get(sighting.pci)
        if hw_id or not sighting.pci:
            return hw_id or ""
        if now < (self._patient_until or 0.0) and len(self._strangers) < _STRANGERS:
            return None
        return f"pci:{sighting.pci}"

    def _pair(self, sighting: Sighting, hw_id: str, kernel_hears: bool, news: News) -> None:
        key = hw_id, sighting.code
        gpu = self._gpus.get(hw_id)
        twin = self._twins.take(key, sighting)
        if twin is not None:
            if twin.held:
                self.account.take(sighting, hw_id, gpu, news)
        elif sighting.source == "nvml" and kernel_hears:
            self._held.append(self._twins.leave(key, sighting, held=True))
        elif self.account.take(sighting, hw_id, gpu, news):
            self._twins.leave(key, sighting)

    def _release(self, one: Unpaired, news: News) -> None:
        """Take in what waited in vain for its kernel line."""
        if not one.paired:
            one.held = False
            hw_id = one.sighting.hw_id
            self.account.take(one.sighting, hw_id, self._gpus.get(hw_id), news)

    def _forget(self, now: float, nvml_until: float | None) -> None:
        """Let go of sightings whose twin cannot come any more."""
        oldest = now if nvml_until is None else max(nvml_until, now - _TWIN_SECONDS)
        self._twins.forget("kernel", oldest - 2 * SLACK)
        self._twins.forget("nvml", now - 2 * SLACK)
