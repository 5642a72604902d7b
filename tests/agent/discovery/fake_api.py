"""An API server with pods and nothing else: lists, watches, bookmarks, and every way to fail.

It speaks what `kube-apiserver` speaks of /api/v1/pods: field and label selectors, `limit` and `continue`,
`resourceVersion`, watches of JSON lines, 410 in the status and in an event, bearer tokens.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

from aiohttp import web

NODE: Final = "gpu-node-07"
Json = dict[str, Any]


def container(name: str = "server", image: str = "vllm/vllm-openai:v0.11.0", **more: Any) -> Json:
    """Return a container that declares port 8000."""
    return {"name": name, "image": image, "ports": [{"containerPort": 8000}], **more}


def pod(name: str = "chat-0", ip: str = "10.0.0.5", **more: Any) -> Json:
    """Return a Pod object that runs and is ready; ``more`` are labels, annotations, containers, ..."""
    spec = {"nodeName": more.pop("node", NODE), "containers": more.pop("containers", [container()])}
    spec |= more.pop("spec", {})
    status: Json = {
        "phase": more.pop("phase", "Running"),
        "conditions": [{"type": "Ready", "status": "True" if more.pop("ready", True) else "False"}],
        "containerStatuses": [
            {
                "name": each.get("name", ""),
                "containerID": f"containerd://{name}-{each.get('name', '')}",
            }
            for each in spec["containers"]
        ],
    }
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    namespace = more.pop("namespace", "models")
    uid = more.pop("uid", f"uid-{name}")
    meta = {"namespace": namespace, "name": name, "uid": uid, **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec, "status": status}


@dataclass
class FakeApi:
    """What the server has, and how it behaves. Change it at any time from the same event loop."""

    pods: dict[str, Json] = field(default_factory=dict)
    url: str = ""
    token: str = ""
    """The one that is wanted; empty lets everybody in."""
    status: int = 200
    """What every request gets; 200 for a proper answer."""
    hang: bool = False
    bookmarks: float = 0.05
    page: int = 500
    """Pods in one answer, however many were asked for."""
    asked: list[dict[str, str]] = field(default_factory=list)
    oldest: int = 0
    """Versions before this one are forgotten: 410."""

    def __post_init__(self) -> None:
        """Begin at some version."""
        self._versions = count(100)
        self.version = next(self._versions)
        self._watches: list[asyncio.Queue[bytes | None]] = []
        self._log: list[tuple[int, bytes]] = []
        self.tokens: list[str] = []

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return len(self._watches)

    def put(self, thing: Json) -> None:
        """Add or change a pod."""
        uid = thing["metadata"]["uid"]
        kind = "MODIFIED" if uid in self.pods else "ADDED"
        self.pods[uid] = self._stamped(thing)
        self._send(kind, self.pods[uid])

    def remove(self, uid: str) -> None:
        """Delete a pod."""
        self._send("DELETED", self._stamped(self.pods.pop(uid)))

    def forget(self) -> None:
        """Compact: no version that anybody has can be gone on from."""
        self.version = self.oldest = next(self._versions)
        self._log.clear()

    def say(self, line: bytes | None) -> None:
        """Send bytes to every watch as they are; None ends them."""
        for watch in self._watches:
            watch.put_nowait(line)

    def expire(self) -> None:
        """End every watch by an event of error 410."""
        status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
        self.say(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")

    def _stamped(self, thing: Json) -> Json:
        self.version = next(self._versions)
        return {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}}

    def _send(self, kind: str, thing: Json) -> None:
        line = json.dumps({"type": kind, "object": thing}).encode() + b"\n"
        self._log.append((self.version, line))
        self.say(line)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Answer a list or a watch."""
        query = dict(request.query)
        self.asked.append(query)
        self.tokens.append(request.headers.get("Authorization", ""))
        if self.hang:
            await asyncio.sleep(3600)
        if self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"kind": "Status", "code": 401}, status=401)
        if self.status != 200:
            return web.json_response({"kind": "Status", "code": self.status}, status=self.status)
        assert query["fieldSelector"] == f"spec.nodeName={NODE}"
        return await self._watch(request) if "watch" in query else self._list(query)

    def _list(self, query: dict[str, str]) -> web.Response:
        mine = [each for each in self.pods.values() if each["spec"]["nodeName"] == NODE]
        start = int(query.get("continue", "0"))
        meta = {"resourceVersion": str(self.version)}
        if start + self.page < len(mine):
            meta["continue"] = str(start + self.page)
        items = mine[start : start + self.page]
        return web.json_response({"kind": "PodList", "metadata": meta, "items": items})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        since = int(request.query["resourceVersion"])
        if since < self.oldest:
            return web.json_response({"kind": "Status", "code": 410}, status=410)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        for version, line in self._log:
            if version > since:
                lines.put_nowait(line)
        self._watches.append(lines)
        try:
            await response.prepare(request)
            await self._stream(response, lines)
        finally:
            self._watches.remove(lines)
        return response

    async def _stream(
        self, response: web.StreamResponse, lines: "asyncio.Queue[bytes | None]"
    ) -> None:
        while True:
            try:
                line = await asyncio.wait_for(lines.get(), self.bookmarks)
            except TimeoutError:
                meta = {"metadata": {"resourceVersion": str(self.version)}}
                line = json.dumps({"type": "BOOKMARK", "object": meta}).encode() + b"\n"
            if line is None:
                return
            if line == b"":  # the connection breaks, as when a load balancer restarts
                assert response._req is not None
                assert response._req.transport is not None
                response._req.transport.abort()
                return
            await response.write(line)


@asynccontextmanager
async def fake_api(context: ssl.SSLContext | None = None) -> AsyncIterator[FakeApi]:
    """Serve one on an ephemeral port of the loopback."""
    api = FakeApi()
    app = web.Application()
    app.router.add_get("/api/v1/pods", api.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        scheme = "https" if context else "http"
        api.url = f"{scheme}://127.0.0.1:{runner.addresses[0][1]}"
        yield api
    finally:
        api.say(None)
        with suppress(TimeoutError):
            await asyncio.wait_for(runner.cleanup(), 5)
