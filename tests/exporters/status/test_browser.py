"""The page in a real Chromium."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

from agent.snapshot import Snapshot
from exporters.prometheus import Exposition
from exporters.web import make_app, serve
from tests.exporters import snapshots
from tests.exporters.source import Handed

pytestmark = pytest.mark.browser

FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE: Final = 15_000
"""Milliseconds; the machine may be busy."""


class Node:
    """A node that the test drives, and the browser's tab that looks at it."""

    def __init__(self, source: Handed) -> None:
        self.source = source
        self.now = snapshots.NOON
        self.port = 0
        self.runner: web.AppRunner | None = None
        self.complaints: list[str] = []
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.port}/"

    async def start(self) -> None:
        """Serve, on the port that it had before if there was one."""
        app = make_app(self.source, Exposition("node-a", "prod"), clock=lambda: self.now)
        self.runner, self.port = await serve(app, "127.0.0.1", self.port)

    async def stop(self) -> None:
        """Stop serving."""
        if self.runner is not None:
            await self.runner.cleanup()

    def show(self, snapshot: Snapshot) -> None:
        """Publish a snapshot, taken now."""
        self.now = snapshot.taken_at
        self.source.hand(snapshot)

    async def visit(self, context: BrowserContext) -> Page:
        """Open the page and listen to what the browser says of it."""
        tab = await context.new_page()
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))
        await tab.goto(self.url)
        return tab


@pytest.fixture
async def browser(chromium: Path) -> AsyncIterator[Browser]:
    """Return a Chromium."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        await started.close()


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """Return a node with everything on it, served."""
    made = Node(Handed(snapshots.full()))
    await made.start()
    yield made
    await made.stop()


async def test_live_update_arrives_in_place(browser: Browser, node: Node) -> None:
    """A new snapshot changes the words on the page and leaves the rest of the document alone."""
    tab = await node.visit(await browser.new_context())
    card = tab.locator(f"[id='{snapshots.uuid(2)}']")
    await expect(card).to_contain_text("idle with 64.0 GiB held")
    await expect(tab.locator("#live")).to_contain_text("Live", timeout=PATIENCE)
    await card.evaluate(
        "card => { card.mark = 1; getSelection().selectAllChildren(card.querySelector('h3')) }"
    )

    changed = [*snapshots.node_readings()]
    changed += snapshots.gpu_readings(8)
    busy = snapshots.assemble(2, snapshots.NOON + 1, {"nvml": changed})
    node.show(busy)

    await expect(tab.locator(f"[id='{snapshots.uuid(8)}']")).to_be_visible(timeout=PATIENCE)
    assert await card.evaluate("card => card.mark") == 1
    assert (await tab.evaluate("getSelection().toString()")).startswith("GPU 2")
    assert node.complaints == []


async def test_nothing_is_asked_of_anybody_else(browser: Browser, node: Node) -> None:
    """The page asks its own server alone, and runs without a word on the console."""
    tab = await node.visit(await browser.new_context())
    await expect(tab.locator("#live")).to_contain_text("Live", timeout=PATIENCE)

    asked = {url for url in node.requests if not url.startswith("data:")}

    assert asked == {node.url, f"{node.url}stream"}
    assert node.complaints == []


async def test_page_is_whole_without_script(browser: Browser, node: Node) -> None:
    """Without JavaScript every GPU, server, event and collector is there to read."""
    tab = await node.visit(await browser.new_context(java_script_enabled=False))

    await expect(tab.locator(".card")).to_have_count(8)
    await expect(tab.locator("#servers tbody tr")).to_have_count(2)
    await expect(tab.locator("#events li")).to_have_count(6)
    await expect(tab.locator("#live")).to_contain_text("Snapshot of 12:00:00 UTC")
    await expect(tab.locator("#pause")).to_be_hidden()


async def test_lost_connection_looks_lost_and_heals(browser: Browser, node: Node) -> None:
    """While the connection is gone the page says since when and dims; then it goes on by itself."""
    tab = await node.visit(await browser.new_context())
    live = tab.locator("#live")
    await expect(live).to_contain_text("Live", timeout=PATIENCE)

    await node.stop()
    await expect(live).to_contain_text("Connection lost", timeout=PATIENCE)
    await expect(tab.locator("body")).to_have_class("stale")
    await node.start()

    await expect(live).to_contain_text("Live", timeout=PATIENCE)
    await expect(tab.locator("body")).not_to_have_class("stale")


async def test_silent_agent_looks_stale(browser: Browser, node: Node) -> None:
    """A connection that lives but brings nothing new does not look live."""
    tab = await browser.new_page()
    await tab.clock.install()
    await tab.goto(node.url)
    await expect(tab.locator("#live")).to_contain_text("Live", timeout=PATIENCE)

    await tab.clock.run_for(42_000)

    await expect(tab.locator("#live")).to_contain_text("No new data for 4")
    await expect(tab.locator("body")).to_have_class("stale")


async def test_pause_holds_the_page_still(browser: Browser, node: Node) -> None:
    """A paused page does not change under the reader; resuming brings the latest."""
    tab = await node.visit(await browser.new_context())
    await expect(tab.locator("#live")).to_contain_text("Live", timeout=PATIENCE)

    await tab.locator("#pause").click()
    node.show(snapshots.assemble(2, snapshots.NOON + 1, {"nvml": snapshots.gpu_readings(0)}))
    await asyncio.sleep(0.3)
    held = await tab.locator(".card").count()
    await expect(tab.locator("#live")).to_contain_text("Paused")
    await tab.locator("#pause").click()

    await expect(tab.locator(".card")).to_have_count(1, timeout=PATIENCE)
    assert held == 8


async def test_page_never_scrolls_sideways(browser: Browser, node: Node) -> None:
    """From phone to desk, the page fits its window."""
    tab = await node.visit(await browser.new_context())
    too_wide = []

    for width in (360, 390, 768, 1024, 1160, 1400):
        await tab.set_viewport_size({"width": width, "height": 800})
        if await tab.evaluate("document.documentElement.scrollWidth") > width:
            too_wide.append(width)

    assert too_wide == []
