"""Writes docs/model-servers.md from the profiles, so that the reference cannot differ from what is read.

``python -m agent.collectors.serving.document`` writes it; with ``--check`` it only says whether it is fresh.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Final

from agent.catalogue import Attribute, Metric
from agent.catalogue.serving import MODEL_ATTRIBUTES
from agent.collectors.serving.profile import (
    Added,
    By,
    Facts,
    Mean,
    Native,
    Origin,
    Product,
    Profile,
    Ratio,
    Signal,
    Source,
    Where,
)
from agent.collectors.serving.profiles import PROFILES

PATH: Final = Path(__file__).resolve().parents[3] / "docs" / "model-servers.md"
_INTRODUCTION: Final = """\
<!-- Generated from agent/collectors/serving/profiles by `make generate`; edits here are lost. -->
# Model servers

Which servers are understood, and from which of their families each metric comes. A server is recognised by
what it exposes, never by its port. A page can be of several servers (Triton with vLLM as a back end, a Ray
node with Serve and vLLM): it is read as each of them, and the first one in the table below names the server.

What a server does not tell is absent. Of sources with "else" between them, the first one that a page has
values of is read: names change with releases, and the newest stands first. Series that differ in nothing that
the metric has as a label are added up; what a replica that went had counted stays in the sum. Histograms keep
the server's own buckets; a quotient of two counters is a histogram without buckets, whose mean is right.

`warpwatch scan URL` shows all of this for a server that runs.
"""
_OWN: Final = """\
## Your own server

A profile in the configuration has the same power as the built-in ones. Begin with what `warpwatch scan URL`
prints: for a server that is known, its whole profile; for an unknown one, a draft in which all guesses are
comments.

```yaml
profiles:
  - name: acme                      # its gen_ai.provider.name
    prefixes: [acme_]               # a page with such a family is this server's
    model_labels: [model]
    signals:
      - metric: inference.requests.running
        sources:
          - {family: acme_requests_active, kind: gauge}     # since 2.0
          - {family: acme_inflight, kind: gauge}            # before
      - metric: gen_ai.server.request.duration
        sources:
          - {family: acme_latency_ms, kind: histogram, unit: ms}
      - metric: inference.requests.errors
        sources:
          - family: acme_requests_total
            kind: counter
            where: [{label: code, matching: "5.."}]
            by: [{labels: [code], values: {"503": overloaded}}]
servers:
  - {url: "http://127.0.0.1:9000", profile: acme}           # or leave profile out: it is detected
```

Profiles of the configuration are tried before the built-in ones. One that has the name of a built-in profile
stands in its place: a release that renames a family can be followed without waiting for ours. One without
`prefixes` is never detected, only read where a server names it. `warpwatch config default` explains every
key.
"""
_TRUTH: Final = {Native.SUM: "sum of ", Native.COUNT: "count of "}
_UNITS: Final = {1e3: "ms", 1e6: "µs", 1e9: "ns"}


def document() -> str:
    """Return the whole page."""
    parts = [_INTRODUCTION, "## Overview\n", _overview()]
    parts += [part for profile in PROFILES for part in _server(profile)]
    return "\n".join([*parts, _OWN])


def _overview() -> str:
    rows = (
        (
            f"[{profile.name}](#{profile.name})",
            _code(profile.prefixes),
            _code(profile.paths),
            _code(profile.model_labels),
            _code((*profile.replica_labels, *profile.engine_labels)),
            str(len({signal.metric for signal in profile.signals})),
        )
        for profile in PROFILES
    )
    head = ("Server", "Families begin with", "Paths", "Model", "Replica, engine", "Metrics")
    return _table(head, rows)


def _server(profile: Profile) -> Iterator[str]:
    yield f"## {profile.name}\n"
    yield _notes(profile)
    if sign := profile.started or profile.uptime:
        yield f"A restart that its counters do not show is seen by `{sign}`.\n"
    if profile.api:
        yield "It answers OpenAI's API where its metrics are: `discovery.probe` asks it, where that is set.\n"
    if profile.dialects:
        spoken = ", ".join(f"`{each.spoken}`" for each in profile.dialects)
        yield f"The same families are known as {spoken}.\n"
    yield _table(("Metric", "From", "Its own attributes"), map(_row, profile.signals))


def _row(signal: Signal) -> tuple[str, str, str]:
    sources = " else ".join(_source(origin, signal.metric) for origin in signal.sources)
    own = signal.metric.attributes[len(MODEL_ATTRIBUTES) :]
    facts = [origin for origin in signal.sources if isinstance(origin, Facts)]
    if facts:
        return f"`{signal.metric.name}`", sources, ""
    leaves = [leaf for origin in signal.sources for leaf in origin.leaves]
    told = dict.fromkeys(_attributes(own, leaf) for leaf in leaves)
    return f"`{signal.metric.name}`", sources, " else ".join(filter(None, told))


def _source(origin: Origin, metric: Metric) -> str:
    where = dict.fromkeys(condition for leaf in origin.leaves for condition in leaf.where)
    if len({leaf.where for leaf in origin.leaves}) > 1 or not where:
        return _origin(origin, metric)
    return f"{_origin(origin, metric)} where {' and '.join(map(_condition, where))}"


def _attributes(own: Sequence[Attribute], leaf: Source) -> str:
    return ", ".join(
        f"{attribute.label}: {_by(by)}" for attribute, by in zip(own, leaf.by, strict=True)
    )


def _by(by: By) -> str:
    words = ", ".join(f"{native} is {ours}" for native, ours in by.values)
    otherwise = f"{'else ' if by.labels else ''}{by.otherwise}" if by.otherwise else ""
    told = " ".join(filter(None, (_code(by.labels), otherwise))) or "none"
    return f"{told} ({words})" if words else told


def _origin(origin: Origin, metric: Metric) -> str:
    match origin:
        case Source():
            return _family(origin, metric)
        case Added() | Ratio() | Product() if len({leaf.where for leaf in origin.leaves}) > 1:
            return _apart(origin, metric)
        case Added():
            return " + ".join(_origin(part, metric) for part in origin.parts)
        case Ratio() | Mean():
            return f"{_origin(origin.of, metric)} / {_origin(origin.over, metric)}"
        case Product():
            return f"{_origin(origin.of, metric)} * {_origin(origin.times, metric)}"
        case Facts():
            leaves = dict.fromkeys(_family(leaf, metric) for leaf in origin.leaves)
            return ", ".join(leaves)


def _apart(origin: Added | Ratio | Product, metric: Metric) -> str:
    """Return an origin whose families have conditions of their own."""
    match origin:
        case Added():
            return " + ".join(_source(part, metric) for part in origin.parts)
        case Ratio():
            return f"({_source(origin.of, metric)}) / ({_source(origin.over, metric)})"
        case Product():
            return f"({_source(origin.of, metric)}) * ({_source(origin.times, metric)})"


def _family(source: Source, metric: Metric) -> str:
    unit = _UNITS.get(source.per, f"1/{source.per:g}") if source.per != 1.0 else ""
    unit = "percent" if source.per == 100.0 and metric.unit == "1" else unit
    label = f" label `{source.value_label}`" if source.value_label else ""
    return f"{_TRUTH.get(source.native, '')}`{source.name}`{label}{f' ({unit})' if unit else ''}"


def _condition(where: Where) -> str:
    values = [f"`{value}`" if value else "none" for value in sorted(where.values)]
    values += [f"`/{where.matching}/`"] if where.matching else []
    return f"{where.label} {'not ' if where.excluding else ''}{' or '.join(values)}"


def _notes(profile: Profile) -> str:
    """Return what the profile's module says of the server: where it is from, and its pitfalls."""
    for name in _modules():
        module = import_module(name)
        if profile in vars(module).values():
            return (module.__doc__ or "").replace("``", "`")
    return ""


def _modules() -> Iterable[str]:
    package = import_module("agent.collectors.serving.profiles")
    folder = Path(str(package.__file__)).parent
    return (f"{package.__name__}.{path.stem}" for path in sorted(folder.glob("[a-z]*.py")))


def _code(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    cells = ([cell.replace("|", r"\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with ``--check`` return 1 where the file is not what it would be."""
    fresh = document()
    if "--check" not in arguments:
        PATH.write_text(fresh, encoding="utf-8")
        return 0
    if PATH.exists() and PATH.read_text(encoding="utf-8") == fresh:
        return 0
    sys.stderr.write("docs/model-servers.md is not what the profiles say: run `make generate`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
