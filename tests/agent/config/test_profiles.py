import re
from pathlib import Path

import jsonschema
import pytest
import yaml

from agent.config import ConfigError, load
from agent.config.document import default_yaml, json_schema
from agent.config.profiles import Profile, ProfileSource, ProfileWhere

ACME = """
profiles:
  - name: acme
    prefixes: [acme_]
    model_labels: [model]
    signals:
      - metric: inference.requests.running
        sources:
          - sum:
              - {family: acme_http_running, kind: gauge, where: [{label: kind, values: [infer]}]}
              - {family: acme_grpc_running, kind: gauge}
      - metric: gen_ai.server.request.duration
        sources:
          - {family: acme_latency_ms, kind: histogram, unit: ms}
          - of: {family: acme_busy_us, kind: counter, unit: us}
            over: {family: acme_requests, kind: counter}
      - metric: inference.requests.errors
        sources:
          - family: acme_errors_total
            kind: counter
            by: [{labels: [code], values: {"503": overloaded}}]
servers:
  - {url: 'http://127.0.0.1:9000', profile: acme}
"""


def loaded(text: str, tmp_path: Path) -> tuple[Profile, ...]:
    """Return the profiles of a file that holds ``text``; the schema must take it too."""
    jsonschema.validate(yaml.safe_load(text), json_schema())
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    return load(file, {}, {}).profiles


def problems(text: str, tmp_path: Path) -> list[str]:
    """Return what is wrong with a file that holds ``text``."""
    file = tmp_path / "agent.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, {}, {})
    return [f"{each.path}: {each.message}" for each in caught.value.problems]


def of_signal(signal: str) -> str:
    """Return a file with one profile that has one signal."""
    return f"profiles: [{{name: acme, signals: [{signal}]}}]"


def of_source(source: str, metric: str = "inference.requests.running") -> str:
    """Return a file with one profile, one signal and one source."""
    return of_signal(f"{{metric: {metric}, sources: [{source}]}}")


def test_a_profile_is_read_as_it_stands_there(tmp_path: Path) -> None:
    """Sums, pairs, conditions and words arrive in the records, and a server may name the profile."""
    (profile,) = loaded(ACME, tmp_path)

    running, duration, errors = profile.signals
    assert profile.prefixes == ("acme_",)
    assert profile.paths == ("/metrics",)
    assert running.sources[0].sum == (
        ProfileSource(
            family="acme_http_running",
            kind="gauge",
            where=(ProfileWhere(label="kind", values=("infer",)),),
        ),
        ProfileSource(family="acme_grpc_running", kind="gauge"),
    )
    assert [source.unit for source in duration.sources] == ["ms", None]
    assert errors.sources[0].by[0].values == {"503": "overloaded"}


def test_a_profile_without_signals_only_recognises(tmp_path: Path) -> None:
    """A name is enough: whether such a server is up is told, and nothing else of it."""
    assert loaded("profiles: [{name: acme}]", tmp_path) == (Profile(name="acme"),)


def test_every_mistake_is_listed_at_once_with_its_path(tmp_path: Path) -> None:
    """One run names every wrong key of every profile, and what was probably meant."""
    text = """
profiles:
  - name: Acme!
    prefixs: [acme_]
    signals:
      - metric: inference.request.running
        sources: [{family: acme_running, kind: gauge}]
      - metric: inference.requests.waiting
        sources: [{family: acme_waiting, kind: gage}]
  - name: other
    paths: [metrics]
    signals:
      - metric: inference.queue.duration
        sources: [{family: acme_queue_ms, kind: gauge, unit: parsecs}]
servers: [{url: 'http://h', profile: oter}]
"""
    assert problems(text, tmp_path) == [
        "profiles[0].prefixs: is not known; did you mean prefixes?",
        "profiles[0].name: must be a short name in lower case, such as acme, not 'Acme!'",
        (
            "profiles[0].signals[0].metric: inference.request.running is no metric that a profile can "
            "give; did you mean inference.requests.running?"
        ),
        (
            "profiles[0].signals[1].sources[0].kind: must be one of gauge, counter, histogram, summary, "
            "sum, count, not 'gage'; did you mean gauge?"
        ),
        "profiles[1].paths: must be a path such as /metrics, not 'metrics'",
        (
            "profiles[1].signals[0].sources[0].unit: must be s, ms, us, ns, percent, or how many of the "
            "server's units make one of ours, not 'parsecs'"
        ),
        "servers[0].profile: there is no profile 'oter'; did you mean other?",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            of_signal("{metric: hw.power, sources: [{}]}"),
            "signals[0].sources[0]: needs exactly one of",
        ),
        (
            of_signal("{metric: inference.server.up}"),
            "metric: inference.server.up is no metric that",
        ),
        (
            of_signal("{metric: inference.requests.running}"),
            "sources: must hold at least one source",
        ),
        (of_source("{family: a}"), "sources[0].kind: is required where there is a family"),
        (
            of_source("{family: a, kind: counter}"),
            "kind: must be gauge for inference.requests.running",
        ),
        (of_source("{family: 'a b', kind: gauge}"), "family: must be a name of letters"),
        (of_source("{family: a, kind: gauge, unit: ms}"), "unit: ms is no unit of"),
        (of_source("{family: a, kind: gauge, unit: 0}"), "unit: must be s, ms"),
        (of_source("{family: a, kind: gauge, by: [{labels: [b]}]}"), "by: must have no entry"),
        (of_source("{family: a, kind: gauge, listed: true}"), "listed: needs value_label"),
        (of_source("{family: a, kind: gauge, whole: true}"), "whole: stands with sum"),
        (
            of_source("{family: a, kind: gauge, over: {family: b, kind: gauge}}"),
            "over: stands with of",
        ),
        (
            of_source("{of: {family: a, kind: gauge}}"),
            "exactly one of over and times beside of; has none",
        ),
        (of_source("{sum: [{family: a, kind: counter}]}"), "sources[0].sum[0].kind: must be gauge"),
        (of_source("{sum: [{family: a, kind: gauge}], kind: gauge}"), "kind: belongs to a family"),
        (of_source("{family: a, kind: gauge, where: [{label: b}]}"), "needs values, or matching"),
        (
            of_source("{family: a, kind: gauge, where: [{label: b, matching: '('}]}"),
            "matching: is not a regular expression",
        ),
        (
            of_source("{family: a, kind: counter}", "inference.requests.finished"),
            "by: must have one entry for reason",
        ),
        (
            of_source("{family: a, kind: gauge}", "inference.queue.duration"),
            "kind: must be histogram or summary",
        ),
        (
            of_source("{sum: [{family: a, kind: histogram}]}", "inference.queue.duration"),
            "cannot be added up",
        ),
        (
            of_source("{family: a, kind: gauge}", "inference.server.info"),
            "models and facts are for",
        ),
        (
            of_source("{models: {family: a, kind: gauge}}", "inference.server.info"),
            "facts: must have 3 entries",
        ),
        (
            "profiles: [{name: a}, {name: a}]",
            "profiles[1].name: profiles[0] has the name 'a' as well",
        ),
        ("profiles: [{name: a, paths: []}]", "paths: must hold at least one path"),
        ("profiles: [{name: a, model_labels: model}]", "model_labels: must be a list"),
        ("servers: [{url: 'http://h', profile: vlllm}]", "did you mean vllm?"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_fix(
    text: str, complaint: str, tmp_path: Path
) -> None:
    """Each mistake is one problem that names its key and what would be right."""
    (problem,) = problems(text, tmp_path)

    assert complaint in problem


def test_a_built_in_name_may_be_taken(tmp_path: Path) -> None:
    """A profile named as a built-in one stands in its place, so its name is no mistake."""
    text = (
        "profiles: [{name: vllm, prefixes: ['vllm:']}]\nservers: [{url: 'http://h', profile: vllm}]"
    )

    assert [profile.name for profile in loaded(text, tmp_path)] == ["vllm"]


def test_profiles_can_come_from_the_environment() -> None:
    """A whole profile, or a list within one, is given as YAML."""
    config = load(
        None,
        {
            "WARPWATCH_PROFILES_0_NAME": "acme",
            "WARPWATCH_PROFILES_0_PREFIXES": "[acme_]",
            "WARPWATCH_PROFILES_0_SIGNALS": "[{metric: inference.requests.running, "
            "sources: [{family: acme_running, kind: gauge}]}]",
        },
        {},
    )

    assert config.profiles[0].signals[0].sources[0].family == "acme_running"


def test_keys_that_exclude_each_other_are_documented_in_comments() -> None:
    """The documented file holds every key of a source, but only those that go together uncommented."""
    text = default_yaml()

    assert re.search(r"(?m)^# +- family: acme_request_errors_total$", text)
    assert re.search(r"(?m)^# +# sum: \[\{family", text)
    assert not re.search(r"(?m)^# +sum:", text)
