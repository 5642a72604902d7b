"""What the keys of a server's profile must be together: each rule names the key and what would be right.

The metrics are the catalogue's, so that a misspelt one is found before the agent starts.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from agent.catalogue import BY_NAME, Kind, Metric
from agent.catalogue.serving import METRICS, MODEL_ATTRIBUTES, SERVER_INFO
from agent.config.profile_values import UNITS
from agent.config.profiles import Profile, ProfileBy, ProfileSignal, ProfileSource, ProfileWhere

Wrong = Iterator[tuple[str, str]]
"""Paths of keys, and what is wrong with each."""

_OF_A_FAMILY: Final = (
    "kind",
    "unit",
    "where",
    "by",
    "declared",
    "sentinels",
    "value_label",
    "listed",
    "newest",
)
_GAUGES: Final = ("gauge",)
_COUNTERS: Final = ("counter", "sum", "count")
_KINDS: Final = {
    Kind.GAUGE: _GAUGES,
    Kind.UP_DOWN_COUNTER: _GAUGES,
    Kind.COUNTER: _COUNTERS,
    Kind.HISTOGRAM: ("histogram", "summary"),
    Kind.SUMMARY: ("summary",),
}
_UNIT_OF: Final = {"percent": "1"} | dict.fromkeys(set(UNITS) - {"percent"}, "s")
MAPPABLE: Final = tuple(
    metric for metric in METRICS if metric.attributes[: len(MODEL_ATTRIBUTES)] == MODEL_ATTRIBUTES
)
"""The metrics that a profile can give."""


def own_attributes(metric: Metric) -> tuple[str, ...]:
    """Return the keys of the attributes that a metric has beyond the model's."""
    return tuple(each.key for each in metric.attributes[len(MODEL_ATTRIBUTES) :])


def wrong(record: object) -> Wrong:
    """Give what is wrong with a record whose single values are right."""
    match record:
        case ProfileWhere() if not record.values and record.matching is None:
            yield "", "needs values, or matching"
        case ProfileBy() if not record.labels and record.otherwise is None:
            yield "", "needs labels, or otherwise"
        case ProfileSource():
            yield from _source(record)
        case ProfileSignal():
            yield from _signal(record)
        case Profile() if not record.paths:
            yield "paths", "must hold at least one path; leave the key out for /metrics"


def wrong_names(raw: Mapping[str, object], built_in: Sequence[str]) -> Wrong:
    """Give servers whose profile there is not, and profiles of one name, in what a file holds.

    It looks at what is not judged yet, so that nothing else that is wrong hides these.
    """
    custom: dict[str, int] = {}
    for position, profile in enumerate(_mappings(raw.get("profiles"))):
        name = str(profile.get("name", ""))
        if name in custom:
            message = f"profiles[{custom[name]}] has the name {name!r} as well; give each its own"
            yield f"profiles[{position}].name", message
        custom.setdefault(name, position)
    known = (*custom, *built_in)
    for position, server in enumerate(_mappings(raw.get("servers"))):
        wanted = server.get("profile")
        if isinstance(wanted, str) and wanted not in known:
            near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            yield f"servers[{position}].profile", f"there is no profile {wanted!r}; {hint}"


def _mappings(raw: object) -> list[Mapping[str, object]]:
    """Return a list's entries, something empty in the place of each that is no mapping."""
    entries = raw if isinstance(raw, list) else []
    return [each if isinstance(each, Mapping) else {} for each in entries]


def _source(source: ProfileSource) -> Wrong:
    forms = {
        "family": source.family is not None,
        "sum": bool(source.sum),
        "of": source.of is not None,
        "models": source.models is not None,
    }
    chosen = [name for name, given in forms.items() if given]
    if len(chosen) != 1:
        yield "", f"needs exactly one of family, sum, of and models; has {_and(chosen)}"
        return
    if source.family is not None:
        if source.kind is None:
            yield "kind", "is required where there is a family, such as gauge"
    else:
        for key in _OF_A_FAMILY:
            if getattr(source, key) not in (None, ()):
                yield key, f"belongs to a family, not to {chosen[0]}; move it into its sources"
    yield from _companions(source, chosen[0])


def _companions(source: ProfileSource, form: str) -> Wrong:
    """Give the keys that stand with the wrong ones."""
    given = [key for key in ("over", "times") if getattr(source, key) is not None]
    if form == "of" and len(given) != 1:
        yield "", f"needs exactly one of over and times beside of; has {_and(given)}"
    if form != "of":
        for key in given:
            yield key, "stands with of; there is none"
    if source.whole is not None and form != "sum":
        yield "whole", "stands with sum; there is none"
    if source.facts and form != "models":
        yield "facts", "stands with models; there is none"
    if source.listed and source.value_label is None:
        yield "listed", "needs value_label: the label that holds the names"


def _signal(signal: ProfileSignal) -> Wrong:
    metric = BY_NAME.get(signal.metric)
    if metric not in MAPPABLE:
        yield "metric", _unknown_metric(signal.metric)
        return
    if not signal.sources:
        yield (
            "sources",
            "must hold at least one source, such as {family: acme_running, kind: gauge}",
        )
    for position, source in enumerate(signal.sources):
        for path, message in _fits(source, metric):
            yield f"sources[{position}]{path}", message


def _unknown_metric(name: str) -> str:
    names = [metric.name for metric in MAPPABLE]
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}?" if near else "`warpwatch metrics inference` lists them"
    return f"{name} is no metric that a profile can give; {hint}"


def _fits(source: ProfileSource, metric: Metric) -> Wrong:
    """Give what makes a source unfit for a metric; paths begin with a dot, or are empty."""
    if (source.models is not None) is not (metric is SERVER_INFO):
        yield "", f"models and facts are for {SERVER_INFO.name}, and nothing else is"
    elif source.models is not None:
        own = own_attributes(metric)
        if len(source.facts) != len(own):
            yield ".facts", f"must have {len(own)} entries, one each for {', '.join(own)}"
    elif metric.kind is Kind.HISTOGRAM and source.of is not None and source.over is not None:
        yield from _scalar(source.of, metric, _COUNTERS, ".of")
        yield from _scalar(source.over, metric, _COUNTERS, ".over", measured=False)
    elif metric.kind in (Kind.HISTOGRAM, Kind.SUMMARY) and source.family is None:
        yield (
            "",
            f"{metric.name} is a {metric.kind.value.lower()} and cannot be added up or multiplied",
        )
    else:
        yield from _scalar(source, metric, _KINDS[metric.kind], "")


def _scalar(
    source: ProfileSource,
    metric: Metric,
    kinds: tuple[str, ...],
    path: str,
    *,
    measured: bool = True,
) -> Wrong:
    """Judge every family of which a value is made; ``measured`` ones are in the metric's unit."""
    for position, part in enumerate(source.sum):
        yield from _scalar(part, metric, kinds, f"{path}.sum[{position}]", measured=measured)
    if source.of is not None:
        ratio = source.over is not None
        yield from _scalar(source.of, metric, kinds, f"{path}.of", measured=measured and not ratio)
    for key, other in (("over", source.over), ("times", source.times)):
        if other is not None:
            allowed = (*kinds, "gauge") if key == "times" else kinds
            yield from _scalar(other, metric, allowed, f"{path}.{key}", measured=False)
    if source.family is not None:
        yield from _leaf(source, metric, kinds, path, measured=measured)


def _leaf(
    source: ProfileSource, metric: Metric, kinds: tuple[str, ...], path: str, *, measured: bool
) -> Wrong:
    if source.kind not in kinds:
        yield f"{path}.kind", f"must be {' or '.join(kinds)} for {metric.name}, not {source.kind}"
    own = own_attributes(metric)
    if len(source.by) != len(own):
        what = f"one entry for {', '.join(own)}" if own else "no entry"
        yield f"{path}.by", f"must have {what}, which {metric.name} has; it has {len(source.by)}"
    unit = source.unit
    if measured and isinstance(unit, str) and _UNIT_OF[unit] != metric.unit:
        yield f"{path}.unit", f"{unit} is no unit of {metric.name}, which is in {metric.unit}"


def _and(names: list[str]) -> str:
    return " and ".join(names) or "none"
