"""The status page: one HTML document that needs nothing but itself.

The same templates make the first paint and the fragments that are sent while somebody watches. jinja2 is
imported with the first visit; a node that nobody looks at never pays for it.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from exporters.status import words
from exporters.status.model import NodeView
from exporters.status.sparkline import sparkline

if TYPE_CHECKING:
    from jinja2 import Environment

_HERE: Final = Path(__file__).parent

FRAGMENTS: Final = ("summary", "gpus", "servers", "events", "agent")
"""The parts that change: each a template, and the id of the element that holds it."""


def render(view: NodeView) -> str:
    """Return the whole document."""
    return (
        _environment()
        .get_template("page.html")
        .render(view=view, fragments=FRAGMENTS, style=_asset("page.css"), script=_asset("page.js"))
    )


def fragments(view: NodeView) -> dict[str, str]:
    """Return the HTML of each part that can change, by the id of its element."""
    environment = _environment()
    return {name: environment.get_template(f"{name}.html").render(view=view) for name in FRAGMENTS}


def prepare() -> None:
    """Import jinja2 and compile the templates; everything else here does it where it was not done."""
    environment = _environment()
    for name in environment.list_templates():
        environment.get_template(name)


def is_prepared() -> bool:
    """Return whether the templates are compiled, so that rendering takes milliseconds."""
    return _environment.cache_info().currsize > 0


@cache
def security_policy() -> str:
    """Return the Content-Security-Policy under which the page, and nothing else, runs."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_digest(_asset('page.css'))}'",
            f"script-src '{_digest(_asset('page.js'))}'",
            "connect-src 'self'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@cache
def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


@cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - see above

    environment = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _FILTERS
    environment.globals["sparkline"] = sparkline
    return environment


_FILTERS: Final[Mapping[str, object]] = {
    "gib": words.gib,
    "size": words.size,
    "percent": words.percent,
    "whole": words.whole,
    "rate": words.rate,
    "seconds": words.seconds,
    "span": words.span,
    "short_id": words.short_id,
    "short_model": words.short_model,
    "clock": words.clock,
    "moment": words.moment,
    "throttle": lambda reason: words.THROTTLE_WORDS.get(reason, reason),
}
