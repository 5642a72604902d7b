"""A page that shows what calibration saw: each score's history, its bound, and what to expect of it.

One file without scripts or anything from elsewhere, so that it can be mailed and kept.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape
from typing import Final

from agent.drift.calibration import Calibrated, Point

_WIDTH: Final = 720
_HEIGHT: Final = 120
_MOST_DRAWN: Final = 720
"""Points of a line: one a pixel; of those that fall together the extreme one is drawn."""
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:760px;padding:0 1rem;"
    "color:#1b1f24;background:#fff}"
    "h2{font-size:1rem;margin:2rem 0 0}p{margin:.2rem 0}svg{width:100%;height:auto;display:block}"
    ".line{fill:none;stroke:#2563eb;stroke-width:1.2}.bound{stroke:#b45309;stroke-dasharray:5 4}"
    ".zero{stroke:#8884}.none{color:#b45309}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#14171a}"
    ".line{stroke:#7aa7ff}.bound{stroke:#f0a94a}.none{color:#f0a94a}}"
)


def page(found: Sequence[Calibrated], now: float) -> str:
    """Return the page; what is in doubt stands first, then what would alert most. ``now`` is Unix seconds."""
    ordered = sorted(found, key=_noisiest_first)
    learned = [each.threshold for each in found if each.threshold]
    expected = sum(each.alerts_per_month or 0.0 for each in learned)
    when = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Drift calibration, {when}</title><style>{_STYLE}</style>"
        f"<h1>Drift calibration</h1><p>{when}: {len(learned)} of {len(found)} scores have a bound; "
        f"about {expected:.1f} alerts a month are to be expected of them, if the traffic stays as it was.</p>"
        f"{''.join(map(_section, ordered))}</html>\n"
    )


def _noisiest_first(each: Calibrated) -> tuple[float, str]:
    expected = (each.threshold.alerts_per_month or 0.0) if each.threshold else -1.0
    return -expected - 1_000.0 * bool(each.doubt), " ".join(each.identity)


def _section(each: Calibrated) -> str:
    who = each.identity
    named = escape(" ".join(filter(None, (who.model, who.model_version))))
    head = f"<h2>{named}: {escape(who.feature)}, {each.statistic} of {each.window}</h2>"
    if each.threshold is None:
        return f'{head}<p class="none">No bound: {escape(each.why_not)}.</p>{_chart(each)}'
    first, last = (_day(each.points[place].time) for place in (0, -1))
    alerts = each.threshold.alerts_per_month
    expected = (
        "too short to tell how often it alerts"
        if alerts is None
        else f"{alerts:.2f} alerts a month"
    )
    doubt = f'<p class="none">{escape(each.doubt)}.</p>' if each.doubt else ""
    return (
        f"{head}<p>Bound {each.threshold.value:.4f}, from {each.days:.1f} days, {first} to {last}; "
        f"{expected}. Reference {escape(who.reference)}.</p>{doubt}{_chart(each)}"
    )


def _day(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d")


def _chart(each: Calibrated) -> str:
    """Return the history as a line, with the bound on both sides where a score has a sign."""
    if len(each.points) < 2:
        return ""
    bound = each.threshold.value if each.threshold else 0.0
    signed = each.statistic == "rank_shift"
    top = 1.1 * max(bound, *(abs(point.value) for point in each.points), 1e-9)
    bottom = -top if signed else 0.0
    first, last = each.points[0].time, each.points[-1].time

    def x(time: float) -> float:
        return (time - first) / ((last - first) or 1.0) * _WIDTH

    def y(value: float) -> float:
        return (top - value) / (top - bottom) * _HEIGHT

    line = " ".join(f"{x(time):.1f},{y(value):.1f}" for time, value in _thinned(each.points))
    bounds = ([bound, -bound] if signed else [bound]) if bound else []
    marks = "".join(
        f'<line class="bound" x1="0" x2="{_WIDTH}" y1="{y(at):.1f}" y2="{y(at):.1f}"/>'
        for at in bounds
    )
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="history">'
        f'<line class="zero" x1="0" x2="{_WIDTH}" y1="{y(0):.1f}" y2="{y(0):.1f}"/>{marks}'
        f'<polyline class="line" points="{line}"/></svg>'
    )


def _thinned(points: Sequence[Point]) -> list[Point]:
    """Return at most one point a pixel, the one that is farthest from 0: it decides about the bound."""
    each = max(1, -(-len(points) // _MOST_DRAWN))
    groups = (points[place : place + each] for place in range(0, len(points), each))
    return [max(group, key=lambda point: abs(point.value)) for group in groups]
