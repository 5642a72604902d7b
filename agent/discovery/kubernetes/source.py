"""Keeps the pods of this node in mind, and where servers might be in them.

What is known is kept while the API server is away: its absence says nothing about the pods. Only it ends
their being known, and then at once.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Final

from agent.collectors.scrape import OPEN, Access
from agent.discovery.kubernetes.api import OPENED, ApiError, ApiServer, Gone
from agent.discovery.kubernetes.pods import Pod, pod_of
from agent.discovery.kubernetes.recognition import SOURCE, complaints, identity, targets_of
from agent.discovery.target import PodIdentity, Target
from agent.snapshot import Problem

SHORTEST: Final = 0.5
LONGEST: Final = 30.0
"""Seconds between two tries while the API server is away."""
_BRIEF: Final = 1.0
"""Seconds: a watch that ends sooner and says nothing counts as a failure, or it would be a busy loop."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Known:
    pod: Pod
    targets: tuple[Target, ...]
    problems: tuple[Problem, ...]


class KubernetesSource:
    """Lists and watches. ``namespaces`` empty stands for all; ``access`` is for the pods that are found.

    ``sleep`` and ``jitter`` (from 0 to 1) are for tests.
    """

    name = SOURCE

    def __init__(
        self,
        api: ApiServer,
        *,
        namespaces: Collection[str] = (),
        access: Access = OPEN,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._api = api
        self._namespaces = frozenset(namespaces)
        self._access = access
        self._sleep = sleep
        self._jitter = jitter
        self._pods: dict[str, _Known] = {}
        self._version = ""
        self._forgot = False
        self._trouble: Problem | None = None

    @property
    def targets(self) -> tuple[Target, ...]:
        """Where servers might be, in the pods that are known."""
        return tuple(target for pod in self._pods.values() for target in pod.targets)

    @property
    def problems(self) -> tuple[Problem, ...]:
        """Why the API server cannot be asked, and annotations that make no sense."""
        odd = tuple(problem for pod in self._pods.values() for problem in pod.problems)
        return odd if self._trouble is None else (self._trouble, *odd)

    def pod_of(self, container: str) -> tuple[PodIdentity, str] | None:
        """Return the pod that a container (its id) is of, and the pod's address."""
        for known in self._pods.values():
            if container and container in known.pod.container_ids.values():
                return identity(known.pod, container), known.pod.address
        return None

    async def run(self, changed: Callable[[], None]) -> None:
        """List, then watch for ever; see `agent.discovery.source.Source.run`."""
        failures = 0
        while True:
            try:
                if not self._version:
                    await self._list()
                    changed()
                failures = 0 if await self._watch(changed) else failures + 1
            except Gone:
                self._version, self._forgot = "", True
                failures += 1
            except ApiError as error:
                self._fail(error)
                changed()
                failures += 1
            if failures:
                longest = min(LONGEST, SHORTEST * 2 ** min(failures - 1, 10))
                await self._sleep(longest * (0.5 + self._jitter() / 2))

    async def close(self) -> None:
        """Leave the API server alone."""
        await self._api.close()

    async def _list(self) -> None:
        """Begin anew: what the list does not have is gone."""
        pods, version = await self._api.pods("" if self._forgot else "0")
        before, self._pods = self._pods, {}
        for raw in pods:
            self._take(raw)
        self._well()
        self._version, self._forgot = version, False
        _log.info("%d of %d pods may hold a model server", self._hopeful(), len(pods))
        if lost := before.keys() - self._pods.keys():
            _log.info("%d pods ended while the API server was not asked", len(lost))

    async def _watch(self, changed: Callable[[], None]) -> bool:
        """Take in what happens; return whether that was a watch worth its name."""
        loop = asyncio.get_running_loop()
        began, heard = loop.time(), False
        async for kind, thing in self._api.events(self._version):
            self._well()
            if kind == OPENED:
                continue
            heard = True
            if kind == "DELETED":
                self._pods.pop(_uid(thing), None)
                changed()
            elif kind in ("ADDED", "MODIFIED"):
                self._take(thing)
                changed()
            # A BOOKMARK moves the version alone.
            if version := (thing.get("metadata") or {}).get("resourceVersion"):
                self._version = str(version)
        return heard or loop.time() - began >= _BRIEF

    def _take(self, raw: object) -> None:
        try:
            pod = pod_of(raw)
        except ValueError as error:
            _log.debug("left out: %s", error)
            return
        if pod.over:
            self._pods.pop(pod.uid, None)
        else:
            self._pods[pod.uid] = self._known(pod)

    def _known(self, pod: Pod) -> _Known:
        """Look at a pod once; what it declares is not kept."""
        rest = pod._replace(labels={}, annotations={}, containers=())
        if self._namespaces and pod.namespace not in self._namespaces:
            return _Known(rest, (), ())
        subject = f"{pod.namespace}/{pod.name}"
        odd = tuple(Problem("bad_annotation", subject, text) for text in complaints(pod))
        return _Known(rest, targets_of(pod, self._access), odd)

    def _hopeful(self) -> int:
        return sum(bool(pod.targets) for pod in self._pods.values())

    def _fail(self, error: ApiError) -> None:
        kept = f"; {self._hopeful()} pods stay known as they were" if self._pods else ""
        if self._trouble is None:
            _log.warning("pods cannot be followed: %s%s", error.detail, kept)
        self._trouble = Problem(error.reason, "kubernetes", f"{error.detail}{kept}")

    def _well(self) -> None:
        if self._trouble is not None:
            _log.info("pods can be followed again")
            self._trouble = None


def _uid(thing: Any) -> str:
    try:
        return pod_of(thing).uid
    except ValueError:
        return ""
