"""Row about the time between two exports: what a mean over fifteen seconds hides."""

from typing import Final

from agent.catalogue import Attribute, Metric, gpu, window
from agent.catalogue.attributes import GPU_TASK, SENSOR
from agent.catalogue.promql import PER_GPU, Condition, equals, rate
from dashboards.layout import Row, Tile
from dashboards.lines import SHARE, drawn, lines, speed
from dashboards.panel import EACH_GPU, Panel, Query
from dashboards.scope import ON_GPU, RATE, of_gpu, per_gpu

_GENERAL: Final = equals(GPU_TASK, "general")
_BOUND: Final = Attribute("le", "A histogram bucket's upper bound, in Prometheus.")
_QUANTILES: Final = (0.5, 0.95, 0.99)


def row() -> Row:
    """Return the row."""
    return Row("Between two exports", [Tile(panel, 12, 8) for panel in _panels()], collapsed=True)


def _panels() -> tuple[Panel, ...]:
    return (
        drawn(
            "Utilization, least and greatest",
            _called("max", window.UTILIZATION_MAX, _GENERAL),
            window.UTILIZATION_MAX,
            more=(_called("min", window.UTILIZATION_MIN, _GENERAL),),
            note=window.UTILIZATION_MIN.description,
            look=SHARE,
        ),
        speed("Time busy, share", window.BUSY_TIME, by=(GPU_TASK,), look=SHARE),
        drawn(
            "Power, least and greatest",
            _called("max", window.POWER_MAX),
            window.POWER_MAX,
            more=(_called("min", window.POWER_MIN),),
            note=window.POWER_MIN.description,
        ),
        lines("Highest temperature", window.TEMPERATURE_MAX, by=(SENSOR,)),
        drawn(
            "Memory used, the most",
            _called("max", window.MEMORY_USAGE_MAX),
            window.MEMORY_USAGE_MAX,
            more=(_called("limit", gpu.MEMORY_LIMIT), _called("reserved", gpu.MEMORY_RESERVED)),
            note=gpu.MEMORY_RESERVED.description,
        ),
        _quantiles("Utilization, quantiles", window.UTILIZATION_DISTRIBUTION, _GENERAL),
        _quantiles("Power, quantiles", window.POWER_DISTRIBUTION),
    )


def _called(word: str, metric: Metric, *conditions: Condition) -> Query:
    return Query(per_gpu(metric, *conditions).expression, f"{word} {EACH_GPU}")


def _quantiles(title: str, metric: Metric, *conditions: Condition) -> Panel:
    buckets = rate(metric, (*PER_GPU, _BOUND), *ON_GPU, *conditions, window=RATE, part="bucket")
    queries = [
        Query(
            of_gpu(f"histogram_quantile({q}, {buckets}) >= 0").expression,
            f"p{q * 100:g} {EACH_GPU}",
        )
        for q in _QUANTILES
    ]
    return drawn(title, queries[0], metric, more=tuple(queries[1:]))
