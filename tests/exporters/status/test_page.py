import base64
import hashlib
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from agent.snapshot import Event, Holder, Snapshot
from exporters.status import page
from exporters.status.history import History
from exporters.status.node import node_view
from tests.exporters import snapshots

HEAVY = ("jinja2", "rich", "numpy", "pandas", "requests", "opentelemetry", "statistics")
NASTY = "<script>alert('1')</script>\"><img src=x onerror=alert(1)>&amp;{{ 7*7 }}"


def html_of(snapshot: Snapshot) -> str:
    """Return the page of a snapshot."""
    view = node_view(snapshot, History(), node="node-a", cluster="prod", now=snapshot.taken_at)
    return page.render(view)


class Outline(HTMLParser):
    """The tags of a document, and whether they are closed in order."""

    VOID = frozenset({"meta", "link", "br", "path", "rect"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that opens."""
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag that closes itself."""
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Demand that the innermost open tag closes."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Note text."""
        self.text += data


def outline(html: str) -> Outline:
    """Return the outline of a document."""
    parser = Outline()
    parser.feed(html)
    assert parser.open == []
    return parser


@pytest.mark.parametrize("snapshot", [snapshots.full(), snapshots.empty()], ids=["full", "empty"])
def test_page_is_well_formed_and_self_contained(snapshot: Snapshot) -> None:
    """Tags nest, ids are unique, nothing is loaded from anywhere, no style or handler is inline."""
    found = outline(html_of(snapshot))

    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in found.tags:
        assert "style" not in attributes
        assert not any(name.startswith("on") for name in attributes)
        assert "src" not in attributes
        if tag == "link":
            assert str(attributes["href"]).startswith("data:")


def test_every_foreign_word_stays_text() -> None:
    """Names, details and bodies that look like markup or templates are shown as they are."""
    full = snapshots.full()
    readings = [
        reading._replace(attributes=(*reading.attributes[:2], NASTY, *reading.attributes[3:]))
        for reading in snapshots.server_readings()
        if len(reading.attributes) > 3
    ]
    kind = full.events[0].kind
    snapshot = snapshots.assemble(
        1,
        snapshots.NOON,
        {"nvml": snapshots.gpu_readings(0), "serving/x": readings},
        states=(replace(full.collectors[1], name=NASTY, detail=NASTY),),
        exporters=(replace(full.exporters[1], name=NASTY, last_error=NASTY),),
        news=(Event(kind, snapshots.NOON, NASTY),),
        holders=(Holder(snapshots.uuid(0), 1, NASTY, 5),),
    )

    found = outline(html_of(snapshot))

    assert [tag for tag, _ in found.tags].count("script") == 1
    assert "img" not in [tag for tag, _ in found.tags]
    assert found.text.count(NASTY) >= 6


def test_lost_gpu_stalled_collector_and_failing_exporter_are_in_words() -> None:
    """What is wrong is readable without colour, picture or script."""
    text = " ".join(outline(html_of(snapshots.full())).text.split())

    assert "GPU 7: Lost: fallen off the bus" in text
    assert "Collector dcgm stalled: no answer for 5 s" in text
    assert "Exporter otlp/collector:4318 (logs): Failing: connection refused" in text
    assert "stalled no answer for 5 s" in text


def test_empty_node_says_why() -> None:
    """A node without GPUs shows the collector's own sentence, and what to do for servers."""
    text = outline(html_of(snapshots.empty())).text

    assert "libnvidia-ml.so.1 was not found" in text
    assert "Add its URL under servers" in text


def test_fragments_are_what_the_page_holds() -> None:
    """A fragment is word for word the inside of its section in the first paint."""
    snapshot = snapshots.full()
    view = node_view(snapshot, History(), node="n", cluster="", now=snapshot.taken_at)

    document, parts = page.render(view), page.fragments(view)

    assert set(parts) == set(page.FRAGMENTS)
    for name, part in parts.items():
        assert f'<section id="{name}"' in document
        assert part.strip() in document


def test_policy_names_the_hashes_of_what_is_inlined() -> None:
    """The policy lets exactly the style and the script of this page run."""
    html, policy = html_of(snapshots.full()), page.security_policy()

    for tag in ("style", "script"):
        (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_jinja_is_loaded_by_the_first_visit_only() -> None:
    """An agent that nobody looks at has neither jinja2 nor anything else that is heavy in memory."""
    code = f"import exporters.web, sys; print([m for m in {HEAVY} if m in sys.modules])"

    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own words

    assert said.stdout.strip() == "[]"


def _luminance(colour: str) -> float:
    """Return WCAG's relative luminance of ``#rgb`` or ``#rrggbb``."""
    digits = colour.lstrip("#")
    digits = "".join(digit * 2 for digit in digits) if len(digits) == 3 else digits
    channels = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_text_has_the_contrast_of_wcag_aa(theme: int) -> None:
    """Every colour of text has 4.5 to 1 or more on every ground it stands on."""
    css = page._asset("page.css")
    blocks = re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]+)", blocks[theme]))
    grounds = {
        "ink": ("page", "card", "attention-wash", "lost-wash", "track"),
        "soft": ("page", "card", "lost-wash", "track"),
        "ok": ("page", "card", "ok-wash"),
        "attention": ("page", "card", "attention-wash"),
        "lost": ("page", "card", "lost-wash"),
    }

    for text, on in grounds.items():
        for ground in on:
            one, two = sorted((_luminance(colours[text]), _luminance(colours[ground])))
            assert (two + 0.05) / (one + 0.05) >= 4.5, f"{text} on {ground}"
