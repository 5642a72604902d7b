"""The pods of the node, followed through everything that an API server does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from agent.collectors.scrape import OPEN, Access
from agent.discovery.kubernetes import ApiServer, KubernetesSource
from agent.discovery.kubernetes.api import _lines
from agent.discovery.kubernetes.in_cluster import in_cluster
from tests.agent.collectors.scrape.certificates import authority, server_context, signed
from tests.agent.discovery.fake_api import NODE, FakeApi, fake_api, pod

WITHIN = 10.0
OLD, NEW = "old", "new"


class Following:
    """A source that runs, and what it knows."""

    def __init__(self, source: KubernetesSource) -> None:
        self.source = source
        self.changed = asyncio.Event()
        self.slept: list[float] = []

    @property
    def names(self) -> set[str]:
        """The names of the targets."""
        return {target.name for target in self.source.targets}

    @property
    def reasons(self) -> list[str]:
        """The words of the problems."""
        return [problem.reason for problem in self.source.problems]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait for something to become true."""
        async with asyncio.timeout(WITHIN):
            while not true():
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.02):
                        await self.changed.wait()
                self.changed.clear()


@asynccontextmanager
async def following(
    api: FakeApi, *, access: Access = OPEN, selector: str = "", namespaces: tuple[str, ...] = ()
) -> AsyncIterator[Following]:
    """Follow the pods of an API server, impatiently."""
    server = ApiServer(api.url, NODE, access=access, selector=selector)
    seen: list[Following] = []

    async def sleep(seconds: float) -> None:
        seen[0].slept.append(seconds)
        await asyncio.sleep(0.01)

    source = KubernetesSource(server, namespaces=namespaces, sleep=sleep, jitter=lambda: 1.0)
    seen.append(Following(source))
    task = asyncio.create_task(source.run(seen[0].changed.set))
    try:
        yield seen[0]
        assert not task.done(), task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await source.close()
        await source.close()


async def test_pods_are_listed_then_watched() -> None:
    """What is there is found by the list, what comes by the watch, what goes is forgotten at once."""
    async with fake_api() as api:
        api.put(pod("a"))
        async with following(api) as seen:
            await seen.until(lambda: seen.names == {"models/a:8000"})

            api.put(pod("b", "10.0.0.6"))
            await seen.until(lambda: seen.names == {"models/a:8000", "models/b:8000"})
            api.remove("uid-a")
            await seen.until(lambda: seen.names == {"models/b:8000"})

            assert seen.reasons == []
            assert api.asked[0] == {
                "fieldSelector": f"spec.nodeName={NODE}", "limit": "250", "resourceVersion": "0",
            }  # fmt: skip


@pytest.mark.parametrize(
    "end",
    [{"phase": "Succeeded"}, {"phase": "Failed"}, {"deletionTimestamp": "2026-11-21T00:00:00Z"}],
    ids=["succeeded", "failed", "deleting"],
)
async def test_a_pod_that_ends_is_forgotten(end: dict[str, str]) -> None:
    """It need not be deleted: that it ended, or is to end, is enough."""
    async with fake_api() as api:
        api.put(pod("a"))
        async with following(api) as seen:
            await seen.until(lambda: bool(seen.names))

            api.put(pod("a", **end))

            await seen.until(lambda: not seen.names)


async def test_a_broken_watch_goes_on_where_it_was() -> None:
    """Half a line is no event; the watch is opened again from the last version, without a list."""
    async with fake_api() as api:
        api.bookmarks = 60.0
        api.put(pod("a"))
        async with following(api) as seen:
            await seen.until(lambda: api.watches == 1)
            api.say(b'{"type": "ADDED", "object": {"metadata": {"na')
            await asyncio.sleep(0.05)
            api.say(b"")
            api.put(pod("b", "10.0.0.6"))

            await seen.until(lambda: "models/b:8000" in seen.names)

            lists = [query for query in api.asked if "watch" not in query]
            assert len(lists) == 1
            assert seen.names == {"models/a:8000", "models/b:8000"}


@pytest.mark.parametrize("how", ["event", "status"])
async def test_what_happened_unseen_is_listed_anew(how: str) -> None:
    """After 410 the list tells what is there, and what ended meanwhile is forgotten."""
    async with fake_api() as api:
        api.put(pod("a"))
        async with following(api) as seen:
            await seen.until(lambda: api.watches == 1)
            del api.pods["uid-a"]
            api.pods["uid-b"] = pod("b", "10.0.0.6")
            api.forget()
            if how == "event":
                api.expire()
            else:
                api.say(None)

            await seen.until(lambda: seen.names == {"models/b:8000"})

            lists = [query for query in api.asked if "watch" not in query]
            assert "resourceVersion" not in lists[-1]


async def test_bookmarks_move_the_version() -> None:
    """A quiet watch is not listed anew though the server forgets old versions."""
    async with fake_api() as api:
        api.put(pod("a"))
        async with following(api) as seen:
            await seen.until(lambda: api.watches == 1)
            api.forget()
            asked = len(api.asked)
            await asyncio.sleep(0.3)
            api.say(None)
            await seen.until(lambda: len(api.asked) > asked and api.watches == 1)

            assert [query for query in api.asked[asked:] if "watch" not in query] == []
            assert seen.names == {"models/a:8000"}


async def test_pods_stay_known_while_the_api_is_away() -> None:
    """An API server that fails says nothing about pods; that it fails is a problem, until it is over."""
    async with fake_api() as api:
        api.put(pod("a"))
        async with following(api) as seen:
            await seen.until(lambda: api.watches == 1)
            api.status = 503
            api.say(None)

            await seen.until(lambda: seen.reasons == ["api_error"] and len(seen.slept) > 4)
            (problem,) = seen.source.problems
            names, slept = seen.names, list(seen.slept)
            api.status = 200
            await seen.until(lambda: seen.reasons == [])

        assert names == {"models/a:8000"}
        assert "what is known of 1 pods stays" in problem.detail
        assert slept[:4] == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("status", "reason", "fix"),
    [
        (403, "api_forbidden", "list and watch of pods"),
        (401, "api_unauthorized", "token"),
        (500, "api_error", "answers 500"),
    ],
)
async def test_a_refusal_says_what_to_do(status: int, reason: str, fix: str) -> None:
    """What is missing is a problem with the fix named, not the end of the agent."""
    async with fake_api() as api:
        api.status = status
        async with following(api) as seen:
            await seen.until(lambda: seen.reasons == [reason])

            assert fix in seen.source.problems[0].detail


async def test_an_api_server_that_is_not_there() -> None:
    """Nobody listening is a problem as well, and it is tried again, ever more rarely."""
    async with fake_api() as api:
        nobody = FakeApi(url=api.url)
    async with following(nobody) as seen:
        await seen.until(lambda: len(seen.slept) > 9)

        assert seen.reasons == ["api_unreachable"]
        assert max(seen.slept) == 30


async def test_the_token_is_read_again(tmp_path: Path) -> None:
    """Kubernetes renews it under us; it goes over TLS that the mounted authority vouches for."""
    ca = authority(tmp_path)
    server = signed(tmp_path, ca, "api", "IP:127.0.0.1")
    (tmp_path / "ca.crt").write_bytes(ca.cert.read_bytes())
    (tmp_path / "token").write_text("old\n")

    async with fake_api(server_context(server)) as api:
        api.token = OLD
        found = in_cluster({}, url=api.url, folder=tmp_path)
        api.put(pod("a"))
        async with following(api, access=found.access) as seen:
            await seen.until(lambda: api.watches == 1)
            (tmp_path / "fresh").write_text("new")
            (tmp_path / "fresh").rename(tmp_path / "token")
            api.token = NEW
            api.say(None)
            await seen.until(lambda: api.tokens[-1] == "Bearer new" and api.watches == 1)

            assert seen.reasons == []


def test_in_cluster_is_what_kubernetes_gives_to_pods(tmp_path: Path) -> None:
    """The URL comes from the environment; what is missing is named."""
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "6443"}

    without = in_cluster(environment, folder=tmp_path)
    (tmp_path / "token").write_text("t")

    assert "automountServiceAccountToken" in without.missing
    assert in_cluster(environment, folder=tmp_path).url == "https://[fd00::1]:6443"
    assert "KUBERNETES_SERVICE_HOST is not set" in in_cluster({}, folder=tmp_path).missing


async def test_a_long_list_comes_in_pages() -> None:
    """Every page is asked for."""
    async with fake_api() as api:
        api.page = 3
        for number in range(8):
            api.put(pod(f"p{number}", f"10.0.0.{number + 1}"))
        async with following(api) as seen:
            await seen.until(lambda: len(seen.names) == 8)


async def test_only_what_was_asked_for() -> None:
    """The selector goes to the server, the namespaces are looked at here."""
    async with fake_api() as api:
        api.put(pod("a"))
        api.put(pod("b", "10.0.0.6", namespace="others"))
        async with following(api, selector="app=vllm", namespaces=("models",)) as seen:
            await seen.until(lambda: api.watches == 1)

            assert seen.names == {"models/a:8000"}
            assert {query["labelSelector"] for query in api.asked} == {"app=vllm"}


async def test_objects_that_make_no_sense_are_left_out() -> None:
    """A pod that cannot be read spoils no other; lines that are no JSON begin the watch anew."""
    async with fake_api() as api:
        api.pods["odd"] = {"metadata": {"namespace": 1}, "spec": {"nodeName": NODE}}
        api.put(pod("worse", "no address"))
        api.put(pod("a"))
        async with following(api) as seen:
            await seen.until(lambda: api.watches == 1)
            for line in (b"not json", b"[]", b'{"type": "ADDED", "object": 5}',
                         b'{"type": "ADDED", "object": {"metadata": []}}',
                         b'{"type": "DELETED", "object": {"metadata": {"name": 1}}}',
                         b'{"type": "BOOKMARK", "object": {"metadata": "x"}}'):  # fmt: skip
                before = len(api.asked)
                api.say(line + b"\n")
                api.say(None)
                await seen.until(lambda: len(api.asked) > before and api.watches == 1)  # noqa: B023 - awaited here
            api.put(pod("b", "10.0.0.6"))
            await seen.until(lambda: seen.names == {"models/a:8000", "models/b:8000"})


async def test_a_port_that_is_none_is_a_problem_of_the_pod() -> None:
    """The annotation is named, and the rest of the pod is looked at."""
    async with fake_api() as api:
        api.put(
            pod("a", annotations={"prometheus.io/scrape": "true", "prometheus.io/port": "http"})
        )
        async with following(api) as seen:
            await seen.until(lambda: bool(seen.names))

            (problem,) = seen.source.problems
            assert (problem.reason, problem.subject) == ("bad_annotation", "models/a")
            assert "prometheus.io/port" in problem.detail


async def test_a_container_leads_to_its_pod() -> None:
    """By the id that the runtime gave it, also in a pod that is no server's."""
    async with fake_api() as api:
        api.put(pod("job", containers=[{"name": "train", "image": "trainer"}]))
        async with following(api) as seen:
            await seen.until(lambda: api.watches == 1)

            found = seen.source.pod_of("job-train")
            assert found is not None
            assert (found[0].namespace, found[0].name, found[0].container) == (
                "models", "job", "train",
            )  # fmt: skip
            assert seen.source.pod_of("") is None
            assert seen.names == set()


async def test_lines_may_come_in_any_pieces() -> None:
    """One byte at a time gives the same lines, and the last one that does not end is none."""

    async def bytes_of(text: bytes) -> AsyncIterator[bytes]:
        for at in range(len(text)):
            yield text[at : at + 1]

    found = [line async for line in _lines(bytes_of(b'{"a":1}\n\n{"b":2}\n{"c'))]

    assert found == [b'{"a":1}', b'{"b":2}']
