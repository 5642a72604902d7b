"""Profiles of model servers that somebody writes down in the configuration.

They have all that the built-in ones have, key for key as in the records of
`agent.collectors.serving.profile`; `warpwatch scan` prints one to begin with. What the keys mean together
is judged in `agent.config.profile_rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.config.fields import again, option, required, sections
from agent.config.profile_values import (
    NAME,
    NAMES,
    NUMBERS,
    PATHS,
    PATTERN,
    PROFILE_NAME,
    STRINGS,
    UNIT,
    WORDS,
)
from agent.config.values import SWITCH, TEXT, choice_form

KINDS: Final = ("gauge", "counter", "histogram", "summary", "sum", "count")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileWhere:
    """Which series of a family are read."""

    label: str = required(NAME, "The label to look at.", example="status")
    values: tuple[str, ...] = option(
        STRINGS,
        "Series with one of these values are read; an empty text stands for series without the label.",
        example="['500', '503']",
        default=(),
    )
    matching: str | None = option(
        PATTERN,
        "As well as those whose whole value matches this regular expression.",
        example='"5.."',
    )
    excluding: bool = option(SWITCH, "Read all the others instead.", example="false", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileBy:
    """Where an attribute beyond the model's comes from: the reason of finishing, the type of an error."""

    labels: tuple[str, ...] = option(
        NAMES,
        "The first of these labels that a series has.",
        example="[finished_reason]",
        default=(),
    )
    otherwise: str | None = option(
        TEXT, "The value where none of the labels is there. Default: absent.", example="success"
    )
    values: Mapping[str, str] | None = option(
        WORDS,
        "The server's words and ours for them; what is not here stays as it is.",
        example="{ok: success}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSource:
    """One family that can give a signal, or several together."""

    family: str | None = option(
        NAME,
        "The family's name as the server exposes it; of a counter both spellings, with and without "
        "_total, are found.",
        example="acme_request_errors_total",
    )
    kind: str | None = option(
        choice_form(*KINDS),
        "What the family is; sum and count are those of a histogram or summary, read as a counter.",
        example="counter",
    )
    unit: str | float | None = option(
        UNIT,
        "The server's unit where it is not the catalogue's: ms, us, ns, percent, or a number that says "
        "how many of the server's units make one of the catalogue's.",
        example="1",
    )
    where: tuple[ProfileWhere, ...] = sections(
        ProfileWhere, "Conditions that a series must all meet."
    )
    by: tuple[ProfileBy, ...] = sections(
        ProfileBy,
        "One entry for each attribute that the metric has beyond server, model, version and engine, in "
        "the order of `warpwatch metrics`.",
    )
    declared: tuple[str, ...] = option(
        STRINGS,
        "Types that some releases declare although the family is of the kind above.",
        example="[gauge]",
        default=(),
    )
    sentinels: tuple[float, ...] = option(
        NUMBERS, "Values that mean: none; NaN is written .nan.", example="[-1]", default=()
    )
    value_label: str | None = option(
        NAME,
        "The value stands in this label, not in the sample.",
        example="max_lora",
        aside=True,
    )
    listed: bool | None = option(
        SWITCH,
        "That label holds names with commas between them, and the value is how many.",
        example="true",
        aside=True,
    )
    newest: bool | None = option(
        SWITCH,
        "Of all series only the one with the greatest value, which is a time, is true.",
        example="true",
        aside=True,
    )
    sum: tuple["ProfileSource", ...] = again(
        lambda: ProfileSource,
        "Instead of a family: sources to add up.",
        example="[{family: acme_http_running, kind: gauge}, {family: acme_grpc_running, kind: gauge}]",
        many=True,
    )
    whole: bool | None = option(
        SWITCH, "All of them must be on the page, or there is no sum.", example="true", aside=True
    )
    of: "ProfileSource | None" = again(
        lambda: ProfileSource,
        "Instead of a family: a source to divide or to multiply.",
        example="{family: acme_busy_ms_total, kind: counter, unit: ms}",
    )
    over: "ProfileSource | None" = again(
        lambda: ProfileSource,
        "Divides `of`. Of two gauges that is a share; of two counters (what was spent, and on how many) "
        "it is a histogram whose mean is known.",
        example="{family: acme_requests_total, kind: counter}",
    )
    times: "ProfileSource | None" = again(
        lambda: ProfileSource,
        "Multiplies `of`: blocks, times the tokens of a block.",
        example="{family: acme_block_size, kind: gauge}",
    )
    models: "ProfileSource | None" = again(
        lambda: ProfileSource,
        "Instead of a family, for inference.server.info: a source that names the models.",
        example="{family: acme_info, kind: gauge}",
    )
    facts: tuple["ProfileFact", ...] = again(
        lambda: ProfileFact,
        "One entry for each attribute of inference.server.info, in the order of `warpwatch metrics`.",
        example="[{sources: [{family: acme_info, kind: gauge, value_label: version}]}, {}, {}]",
        many=True,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFact:
    """Where one fact about a model comes from."""

    sources: tuple[ProfileSource, ...] = sections(
        ProfileSource, "The first of these that a page has; none leaves the attribute empty."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileSignal:
    """A metric of the catalogue, and where a server has it."""

    metric: str = required(
        NAME,
        "The metric's OpenTelemetry name; `warpwatch metrics` lists them.",
        example="inference.requests.errors",
    )
    of_server: bool = option(
        SWITCH,
        "The families say nothing about models: the attributes of the model stay empty.",
        example="false",
        default=False,
    )
    sources: tuple[ProfileSource, ...] = sections(
        ProfileSource, "The first of these that a page has; the newest name stands first."
    )
    models: ProfileSource | None = again(
        lambda: ProfileSource,
        "Names the models of a family that tells an engine and no model.",
        example="{family: acme_info, kind: gauge}",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileDialect:
    """The same families under other names."""

    native: str = required(NAME, "How the names of its families begin.", example="acme_")
    spoken: str = required(NAME, "How they begin in the dialect.", example="ray_acme_")
    declared: tuple[str, ...] = option(
        STRINGS,
        "Types that counters are declared as, besides counter.",
        example="[gauge]",
        default=(),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """A kind of model server: how it is recognised, and how it names what it measures."""

    name: str = required(
        PROFILE_NAME,
        "What `servers` call it, and its gen_ai.provider.name. The name of a built-in profile replaces "
        "that one.",
        example="acme",
    )
    prefixes: tuple[str, ...] = option(
        NAMES,
        "How names of families begin that only this kind of server has, or whole names. Without them, "
        "only servers that name the profile have it.",
        example="[acme_]",
        default=(),
    )
    requires: tuple[str, ...] = option(
        NAMES,
        "Where those are too general: a page must also have a family that begins with each of these.",
        example="[acme_requests_total]",
        default=(),
    )
    paths: tuple[str, ...] = option(
        PATHS,
        "Where its metrics are, tried in order where the server's URL has no path.",
        example="[/metrics]",
        default=("/metrics",),
    )
    model_labels: tuple[str, ...] = option(
        NAMES,
        "Labels that name the model: the first one that a series has.",
        example="[model]",
        default=(),
    )
    version_labels: tuple[str, ...] = option(
        NAMES, "Labels that name its version.", example="[version]", default=()
    )
    engine_labels: tuple[str, ...] = option(
        NAMES, "Labels that tell data-parallel engines apart.", example="[engine]", default=()
    )
    replica_labels: tuple[str, ...] = option(
        NAMES, "Labels that tell replicas apart.", example="[replica]", default=()
    )
    rank_labels: tuple[str, ...] = option(
        NAMES,
        "Labels of ranks that all say the same: only the lowest one counts.",
        example="[tp_rank]",
        default=(),
    )
    nameless: tuple[str, ...] = option(
        STRINGS,
        "Values of the labels for model and version that mean: none.",
        example="['None']",
        default=(),
    )
    started: str | None = option(
        NAME,
        "The gauge that tells when the process began which counts all of this, in Unix seconds: a restart "
        "shows even where its counters soon are higher than before.",
        example="process_start_time_seconds",
    )
    uptime: str | None = option(
        NAME,
        "The gauge that tells for how long it has run, where none tells when it began.",
        example="acme_uptime_seconds",
    )
    api: str | None = option(
        choice_form("openai"),
        "The protocol by which it answers at host and port of its metrics, so that it can be probed where "
        "it is found (discovery.probe).",
        example="openai",
    )
    signals: tuple[ProfileSignal, ...] = sections(
        ProfileSignal,
        "What it measures. Series that differ in no attribute of the metric are added up.",
    )
    dialects: tuple[ProfileDialect, ...] = sections(
        ProfileDialect, "Other names for the same families, tried after its own."
    )


RECURSIVE: Final = (ProfileSource, ProfileFact)
"""Records that hold records of their own kind."""
