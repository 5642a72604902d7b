"""A number that goes when its source does.

Grafana shows the last value that there was: of a server that is down, that of an hour ago. Here nothing is a
value too, `NaN`, and then the last one.
"""

from collections.abc import Sequence
from typing import Final

from grafana_foundation_sdk.builders import common, stat
from grafana_foundation_sdk.models import dashboard as model

from dashboards.panel import Query, Step, mapping, number

_UNTOLD: Final = "#6E7480"
"""Neither good nor bad: green behind "not told" would say that all is well."""


def current(
    title: str,
    expression: str,
    *,
    unit: str,
    description: str,
    steps: Sequence[Step],
    absent: str,
    states: Sequence[tuple[int, str, str]] = (),
) -> stat.Panel:
    """Return a number, as `number` does, of an expression without labels; ``states`` are words for it."""
    untold = model.SpecialValueMap(
        options=model.DashboardSpecialValueMapOptions(
            match=model.SpecialValueMatch.NULL_AND_NAN,
            result=model.ValueMappingResult(text=absent, color=_UNTOLD, index=len(states)),
        )
    )
    panel = number(
        title,
        Query(f"({expression}) or vector(NaN)", title),
        unit=unit,
        description=description,
        steps=steps,
        absent=absent,
    )
    panel.mappings([mapping(states), untold] if states else [untold])
    return panel.reduce_options(common.ReduceDataOptions().calcs(["last"]))
