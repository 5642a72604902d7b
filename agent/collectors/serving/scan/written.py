"""A profile as the configuration takes it: what `warpwatch scan` prints to be pasted.

The keys are those of `agent.config.profiles`; what is usual is left out.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from agent.catalogue import Kind, Metric
from agent.catalogue.serving import MODEL_ATTRIBUTES
from agent.collectors.serving.profile import (
    Added,
    By,
    Dialect,
    Facts,
    Mean,
    Origin,
    Product,
    Profile,
    Ratio,
    Signal,
    Source,
    Where,
)
from agent.collectors.serving.scan.guess import Guess, common_prefix, model_labels
from agent.collectors.serving.scan.inventory import Family

_WIDTH: Final = 100
_PLAIN: Final = re.compile(r"/?[a-zA-Z]\w*_\w+|/\w[\w/]*")
"""What needs no quotes in YAML."""
_TIMES: Final = {1e3: "ms", 1e6: "us", 1e9: "ns"}
_SHARES: Final = {100.0: "percent"}

_KINDS: Final = {
    Kind.GAUGE: "gauge",
    Kind.UP_DOWN_COUNTER: "gauge",
    Kind.COUNTER: "counter",
    Kind.HISTOGRAM: "histogram",
}

Plain = dict[str, Any]


def as_written(profile: Profile) -> Plain:
    """Return a profile as the mapping that a configuration file would hold for it."""
    return _kept(
        {
            "name": profile.name,
            "prefixes": list(profile.prefixes),
            "requires": list(profile.requires),
            "paths": [] if profile.paths == ("/metrics",) else list(profile.paths),
            "model_labels": list(profile.model_labels),
            "version_labels": list(profile.version_labels),
            "engine_labels": list(profile.engine_labels),
            "replica_labels": list(profile.replica_labels),
            "rank_labels": list(profile.rank_labels),
            "nameless": sorted(profile.nameless),
            "started": profile.started,
            "uptime": profile.uptime,
            "api": profile.api,
            "dialects": [_dialect(dialect) for dialect in profile.dialects],
            "signals": [_signal(signal) for signal in profile.signals],
        }
    )


def profile_yaml(*profiles: Profile, found: Iterable[Guess] = ()) -> str:
    """Return whole profiles as YAML, ready to stand in a configuration file.

    What ``found`` holds is added to the last one's signals, as comments.
    """
    written = _indented(_dumped([as_written(profile) for profile in profiles]))
    return f"profiles:\n{written}{_suggestions(found)}"


def draft_yaml(
    name: str, families: Iterable[Family], found: Iterable[Guess], paths: Iterable[str] = ()
) -> str:
    """Return the beginning of a profile for a server that nobody knows: guesses are comments.

    As it stands it recognises nothing and maps nothing; a server can be told to be of it by name.
    """
    families = tuple(families)
    lines = ["profiles:", f"  - name: {name}"]
    if paths := tuple(paths):
        lines.append(f"    paths: [{', '.join(map(_quoted, paths))}]")
    lines.append("    # What follows is guessed from names. Judge each line, then take its # away.")
    if prefix := common_prefix(families):
        lines.append(f"    #prefixes: [{_quoted(prefix)}]")
    labels = model_labels(families)
    lines += (f"    #{key}_labels: [{label}]" for key, label in labels.items())
    suggested = _suggestions(found, heading="    #signals:\n")
    return "\n".join(lines) + "\n" + suggested


def _suggestions(found: Iterable[Guess], heading: str = "") -> str:
    by_metric: dict[Metric, list[Guess]] = {}
    for guess in found:
        by_metric.setdefault(guess.metric, []).append(guess)
    if not by_metric:
        return ""
    lines = []
    for metric, each in by_metric.items():
        lines += [f"- metric: {metric.name}", "  sources:"]
        lines += (f"  - {{{_suggested(guess)}}}" for guess in each)
    head = (
        heading
        or "    # Not mapped, and guessed from names. Judge each line, then take its # away.\n"
    )
    return head + "".join(f"    #{line}\n" for line in lines)


def _suggested(guess: Guess) -> str:
    metric, family = guess.metric, guess.family
    kind = "summary" if family.type == "summary" else _KINDS[metric.kind]
    source = f"family: {_quoted(family.name)}, kind: {kind}"
    if guess.unit not in ("", "s"):
        source += f", unit: {guess.unit}"
    if len(metric.attributes) > len(MODEL_ATTRIBUTES):
        source += f", by: [{{labels: [{guess.by}]}}]" if guess.by else ", by: [{}]"
    return source


def _signal(signal: Signal) -> Plain:
    return _kept(
        {
            "metric": signal.metric.name,
            "of_server": signal.of_server,
            "sources": [_origin(source, signal.metric) for source in signal.sources],
            "models": _leaf(signal.models, signal.metric) if signal.models else None,
        }
    )


def _origin(origin: Origin, metric: Metric) -> Plain:
    match origin:
        case Source():
            return _leaf(origin, metric)
        case Added():
            parts = [_origin(part, metric) for part in origin.parts]
            return _kept({"sum": parts, "whole": origin.whole})
        case Ratio() | Mean():
            return {"of": _origin(origin.of, metric), "over": _origin(origin.over, metric)}
        case Product():
            return {"of": _origin(origin.of, metric), "times": _origin(origin.times, metric)}
        case Facts():
            facts = [
                _kept({"sources": [_leaf(source, metric) for source in sources]})
                for sources in origin.parts
            ]
            return {"models": _leaf(origin.models, metric), "facts": facts}


def _leaf(source: Source, metric: Metric) -> Plain:
    return _kept(
        {
            "family": source.name,
            "kind": source.native.value,
            "unit": _unit(source.per, metric),
            "where": [_where(where) for where in source.where],
            "by": [_by(by) for by in source.by],
            "declared": list(source.declared),
            "sentinels": list(source.sentinels),
            "value_label": source.value_label,
            "listed": source.listed,
            "newest": source.newest,
        }
    )


def _unit(per: float, metric: Metric) -> str | float | None:
    if per == 1.0:
        return None
    known: Mapping[float, str] = {"s": _TIMES, "1": _SHARES}.get(metric.unit, {})
    return known.get(per, per)


def _where(where: Where) -> Plain:
    return _kept(
        {
            "label": where.label,
            "values": sorted(where.values),
            "matching": where.matching,
            "excluding": where.excluding,
        }
    )


def _by(by: By) -> Plain:
    return _kept({"labels": list(by.labels), "otherwise": by.otherwise, "values": dict(by.values)})


def _dialect(dialect: Dialect) -> Plain:
    return _kept(
        {
            "native": dialect.native,
            "spoken": dialect.spoken,
            "declared": list(dialect.declared),
        }
    )


def _kept(pairs: Plain) -> Plain:
    """Leave out what is empty, which is the same as not saying it."""
    return {key: value for key, value in pairs.items() if value not in (None, "", False, [], {})}


def _dumped(value: object) -> str:
    import yaml  # noqa: PLC0415 - only who prints a profile needs it

    return yaml.safe_dump(
        value, sort_keys=False, default_flow_style=None, width=_WIDTH, allow_unicode=True
    )


def _quoted(name: str) -> str:
    """Return a name as YAML takes it for text: `on` and `null` are words of its own."""
    return name if _PLAIN.fullmatch(name) else "'{}'".format(name.replace("'", "''"))


def _indented(text: str, by: int = 2) -> str:
    return "".join(f"{' ' * by}{line}" for line in text.splitlines(keepends=True))
