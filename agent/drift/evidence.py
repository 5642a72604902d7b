"""A page that shows what calibration saw: each score's history, its bound, and when it would have alerted.

One file without scripts or anything from elsewhere, so that it can be mailed and kept.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from html import escape
from itertools import pairwise
from statistics import median
from typing import Final

from agent.drift.calibration import Calibrated, Point

_WIDTH: Final = 720
_HEIGHT: Final = 120
_MOST_DRAWN: Final = 720
"""Points of a line, about: one a pixel; of those that fall together the extreme one is drawn."""
_GAP: Final = 3.0
"""Times the usual distance of two points beyond which no line is drawn between them."""
_UP: Final = ' class="up"'
_DAY: Final = 86_400.0
_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:760px;padding:0 1rem;"
    "color:#1b1f24;background:#fff;overflow-wrap:anywhere}"
    "h2{font-size:1rem;margin:2rem 0 0}p{margin:.2rem 0}svg{width:100%;height:auto;display:block}"
    ".line{fill:none;stroke:#2563eb;stroke-width:1.2}.bound{stroke:#b45309;stroke-dasharray:5 4}"
    ".zero,.week{stroke:#8884}.none{color:#b45309}.alert{stroke:#dc2626;stroke-width:2}"
    ".chart{position:relative;margin-top:.4rem}.chart span{position:absolute;left:0;font-size:11px;"
    "line-height:1;transform:translateY(2px);opacity:.7}.chart .up{transform:translateY(-13px)}"
    ".axis{display:flex;justify-content:space-between;font-size:11px;opacity:.7}"
    "@media(prefers-color-scheme:dark){body{color:#e6e8eb;background:#14171a}"
    ".line{stroke:#7aa7ff}.bound{stroke:#f0a94a}.none{color:#f0a94a}.alert{stroke:#f87171}}"
)


def page(found: Sequence[Calibrated], now: float) -> str:
    """Return the page; what is in doubt stands first, then what would alert most. ``now`` is Unix seconds."""
    ordered = sorted(found, key=_noisiest_first)
    when = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Drift calibration, {when}</title><style>{_STYLE}</style>"
        f"<h1>Drift calibration</h1><p>{when}: {_expected(found, now)}</p>"
        "<p>Blue: the score; dashed: its bound, which is learned from all weeks; red: when an alert would "
        "have come, each week judged by a bound from the others. Grey: weeks. Where there is no line, "
        "nothing was measured.</p>"
        f"{''.join(map(_section, ordered))}</html>\n"
    )


def _expected(found: Sequence[Calibrated], now: float) -> str:
    """Return in words what is to be expected of the scores that go on, and of how many that is not known."""
    bound = [each for each in found if each.threshold]
    going = [each for each in bound if now - each.points[-1].time < _DAY]
    told = [each.threshold.alerts_per_month for each in going if each.threshold]
    known = [alerts for alerts in told if alerts is not None]
    said = f"{len(bound)} of {len(found)} scores have a bound. "
    if known:
        said += (
            f"Of {len(known)} of them about {sum(known):.1f} alerts a month are to be expected, "
            "if the traffic stays as it was. "
        )
    if short := len(told) - len(known):
        said += f"Of {short} the history is too short to tell. "
    if ended := len(bound) - len(going):
        said += f"{ended} had no value within the last day: their model or reference has gone. "
    return said.strip()


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

    bounds = ([bound, -bound] if signed else [bound]) if bound else []
    weeks = (first + number * 7 * _DAY for number in range(1, int((last - first) / 7 / _DAY) + 1))
    lines = [
        *(_line("week", (x(time), x(time)), (0, _HEIGHT)) for time in weeks),
        _line("zero", (0, _WIDTH), (y(0), y(0))),
        *(_line("bound", (0, _WIDTH), (y(at), y(at))) for at in bounds),
        *(_line("alert", (x(time), x(time)), (0, _HEIGHT)) for time in each.alerts),
    ]
    path = "".join(
        "M" + "L".join(f"{x(time):.1f} {y(value):.1f}" for time, value in stretch)
        for stretch in _drawn(each.points)
    )
    labels = "".join(
        f'<span{"" if at > 0 else _UP} style="top:{100 * y(at) / _HEIGHT:.1f}%">{at:.3g}</span>'
        for at in (*bounds, 0.0)
    )
    return (
        f'<div class="chart"><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="history">'
        f'{"".join(lines)}<path class="line" d="{path}"/></svg>{labels}</div>'
        f'<p class="axis"><span>{_day(first)}</span><span>{_day(last)}</span></p>'
    )


def _line(kind: str, x: tuple[float, float], y: tuple[float, float]) -> str:
    return f'<line class="{kind}" x1="{x[0]:.1f}" x2="{x[1]:.1f}" y1="{y[0]:.1f}" y2="{y[1]:.1f}"/>'


def thinned(found: Calibrated) -> Calibrated:
    """Return what was calibrated with the points alone that the page draws: all would be gigabytes."""
    if len(found.points) < 2:
        return found
    points = tuple(point for stretch in _drawn(found.points) for point in stretch)
    return replace(found, points=points)


def _drawn(points: Sequence[Point]) -> Iterator[list[Point]]:
    """Yield what hangs together, about a point a pixel: the one farthest from 0, which decides."""
    usual = median(later.time - earlier.time for earlier, later in pairwise(points))
    each = max(1, len(points) // _MOST_DRAWN)
    start = 0
    for place in range(1, len(points) + 1):
        ended = place == len(points)
        if ended or points[place].time - points[place - 1].time > _GAP * usual:
            groups = (points[at : min(at + each, place)] for at in range(start, place, each))
            yield [max(group, key=lambda point: abs(point.value)) for group in groups]
            start = place
